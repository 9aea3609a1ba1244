"""Orientation to RAS and back, on any grid, against nibabel."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_core.errors import DataError
from medical_segmentation.grid import Grid, bare_header, check_affine, geometry_warnings, header_for, tilt_degrees
from medical_segmentation.scan import read_mask, read_scan, write_mask

DEGREES = st.floats(-44, 44)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Oblique, flipped, permuted, sheared, moved."""
    a, b, c = np.radians([draw(DEGREES) for _ in range(3)])
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = turn @ np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn = turn @ np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    shear = np.eye(3)
    shear[1, 2] = draw(st.floats(-0.4, 0.4))
    axes = np.eye(3)[list(draw(st.permutations(range(3))))] * draw(st.tuples(*[st.sampled_from((-1, 1))] * 3))
    spacing = draw(st.tuples(*[st.floats(0.2, 8)] * 3))
    affine = np.eye(4)
    affine[:3, :3] = turn @ shear @ axes @ np.diag(spacing)
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine


@settings(max_examples=40)
@given(affine=affines(), shape=st.tuples(*[st.integers(1, 5)] * 3))
def test_the_way_back_is_that_of_nibabels_closest_canonical(affine, shape):
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    image = nib.Nifti1Image(array, affine)
    canonical = nib.as_closest_canonical(image)
    grid = Grid(shape, affine, bare_header(image.header))
    ras = np.asarray(canonical.dataobj)
    np.testing.assert_allclose(grid.ras_affine, canonical.affine, atol=1e-9)
    assert grid.ras_shape == ras.shape
    np.testing.assert_array_equal(grid.from_ras(ras), array)


@settings(max_examples=15)
@given(affine=affines(), shape=st.tuples(*[st.integers(2, 5)] * 3), version=st.sampled_from((1, 2)))
def test_a_file_on_any_grid_gets_its_mask_back_voxel_by_voxel(tmp_path_factory, affine, shape, version):
    folder = tmp_path_factory.mktemp("grid")
    array = np.random.default_rng(0).integers(-1000, 1000, shape).astype(np.int16)
    kind = nib.Nifti1Image if version == 1 else nib.Nifti2Image
    nib.save(kind(array, affine), folder / "scan.nii")
    scan = read_scan(folder / "scan.nii")
    canonical = nib.as_closest_canonical(nib.load(folder / "scan.nii"))
    np.testing.assert_array_equal(scan.voxels, canonical.get_fdata())
    np.testing.assert_allclose(scan.affine, canonical.affine, atol=1e-5)
    write_mask(scan.voxels > 0, scan, folder / "mask.nii.gz")
    mask, source = nib.load(folder / "mask.nii.gz"), nib.load(folder / "scan.nii")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), array > 0)
    np.testing.assert_array_equal(mask.affine, source.affine)
    assert type(mask) is type(source)
    np.testing.assert_array_equal(read_mask(folder / "mask.nii.gz", scan), scan.voxels > 0)


def test_spacing_and_volume_of_a_slanted_voxel_by_hand():
    # Columns (1, 0, 0), (0, 2, 0) and (0, 3, 4): edges 1, 2 and 5 mm, volume 1 * 2 * 4 = 8 cubic mm, and
    # the angle between the last two has the cosine 3/5, so 90 - 53.13 degrees are missing to the right angle.
    affine = np.array([[1, 0, 0, 0], [0, 2, 3, 0], [0, 0, 4, 0], [0, 0, 0, 1.0]])
    assert tilt_degrees(affine) == pytest.approx(36.8699, abs=1e-4)
    said = geometry_warnings(Grid((5, 5, 5), affine, header_for(affine)))
    assert len(said) == 1
    assert said[0].startswith("gantry tilt of 36.9 degrees")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda affine: affine * 0, "spacing of 0 x 0 x 0 mm"),
        (lambda affine: affine * np.nan, "NaN or infinite"),
        (lambda affine: affine @ np.diag([1, 1, 0, 1]), "spacing of 2 x 2 x 0 mm"),
        (lambda affine: affine * 1e4, "expected 0.001 to 1000"),
        (lambda affine: affine[:, [0, 0, 2, 3]], "into one plane"),
    ],
)
def test_affines_that_place_nothing_are_refused(change, words):
    with pytest.raises(DataError, match=words):
        check_affine(change(np.diag([2.0, 2.0, 2.0, 1.0])), "scan.nii")


def test_ordinary_grids_raise_no_warning():
    affine = np.diag([-0.7, -0.7, 1.5, 1.0])
    assert geometry_warnings(Grid((5, 5, 5), affine, header_for(affine))) == []
    turned = affine.copy()
    turned[:3, :3] = [[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]]  # 0.2 rad
    assert geometry_warnings(Grid((5, 5, 5), turned, header_for(turned))) == [
        "oblique: the scan is turned by 11.5 degrees against the patient's axes"
    ]
