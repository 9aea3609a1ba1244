"""Other spacings and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_core.errors import DataError
from medical_segmentation.resample import resample, resample_to


def test_linear_by_hand():
    # Two voxels of 2 mm with the values 0 and 100 have their centres at 1 and 3 mm; four of 1 mm have theirs at 0.5,
    # 1.5, 2.5 and 3.5: the outer ones lie outside and take the nearest value, the inner ones a quarter and three.
    voxels = np.array([0, 100], dtype=np.int16).reshape(1, 1, 2)
    finer, spacing = resample(voxels, (1, 1, 2), (1, 1, 1))
    assert finer.ravel().tolist() == [0, 25, 75, 100]
    assert finer.dtype == np.int16
    assert spacing == (1, 1, 1)


def test_nearest_by_hand():
    # Five labels on three places: new centres at 5/6, 15/6, 25/6 old voxels, which lie in the voxels 0, 2 and 4.
    labels = np.array([7, 8, 9, 300, 11], dtype=np.uint16).reshape(5, 1, 1)
    assert resample_to(labels, (3, 1, 1), order="nearest").ravel().tolist() == [7, 9, 11]
    assert resample_to(labels, (10, 1, 1), order="nearest").ravel().tolist() == [7, 7, 8, 8, 9, 9, 300, 300, 11, 11]


def test_the_spacing_returned_is_the_one_that_the_block_got():
    # 10 voxels of 1 mm in 3 mm: 3.33 voxels become 3, of 10 / 3 mm each.
    coarse, spacing = resample(np.zeros((10, 10, 10), np.float32), (1, 1, 1), (3, 3, 20))
    assert coarse.shape == (3, 3, 1)
    assert spacing == pytest.approx((10 / 3, 10 / 3, 10))


@settings(max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    new=st.tuples(*[st.integers(1, 9)] * 3),
    leading=st.sampled_from([(), (2,)]),
)
def test_linear_equals_grid_sampling_by_position_and_labels_come_back(shape, new, leading):
    rng = np.random.default_rng(sum(shape))
    voxels = rng.normal(size=(*leading, *shape)).astype(np.float32)
    got = resample_to(voxels, new)
    # The reference: `map_coordinates`, which interpolates between voxel centres at given places.
    from scipy.ndimage import map_coordinates

    places = np.meshgrid(
        *[(np.arange(n) + 0.5) * old / n - 0.5 for old, n in zip(shape, new, strict=True)], indexing="ij"
    )
    for place in np.ndindex(leading):
        want = map_coordinates(voxels[place], places, order=1, mode="nearest")
        np.testing.assert_allclose(got[place], want, atol=1e-5)
    labels = rng.integers(0, 4, (*leading, *shape)).astype(np.uint8)
    finer = tuple(edge * 3 for edge in shape)
    up = resample_to(labels, finer, order="nearest")
    np.testing.assert_array_equal(up, labels.repeat(3, -1).repeat(3, -2).repeat(3, -3))
    np.testing.assert_array_equal(resample_to(up, shape, order="nearest"), labels)


def test_any_memory_order_and_no_aliasing():
    voxels = np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    same = resample_to(voxels, (2, 3, 4))
    same[:] = 0
    assert voxels[1, 2, 3] == 23
    assert torch.from_numpy(resample_to(voxels[::-1], (4, 3, 4))).shape == (4, 3, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"spacing": (1, 1, 0), "new_spacing": (1, 1, 1)}, "three positive numbers"),
        ({"spacing": (1, 1, 1), "new_spacing": (1, 1, -2)}, "three positive numbers"),
        ({"spacing": (1, 1, 1), "new_spacing": (1, 1, float("nan"))}, "three positive numbers"),
        ({"spacing": (1, 1, 1), "new_spacing": (1e-9, 1e-9, 1e-9)}, "1,000 million"),
        ({"spacing": (1, 1, 1), "new_spacing": (1, 1, 2), "order": "cubic"}, "'linear' or 'nearest'"),
    ],
)
def test_what_cannot_be_resampled_is_refused(arguments, words):
    with pytest.raises(DataError, match=words):
        resample(np.zeros((4, 4, 4), np.float32), **arguments)
