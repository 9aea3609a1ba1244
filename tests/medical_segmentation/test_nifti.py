"""NIfTI files of every kind, and those that lie, against nibabel."""

import copy
import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from cnn_core.errors import DataError, StorageError
from medical_segmentation import safety
from medical_segmentation.scan import count_volumes, read_mask, read_scan, write_mask

AFFINE = np.array([[-0.7, 0, 0, 100], [0, -0.7, 0, 90], [0, 0, 2.5, -300], [0, 0, 0, 1]])  # as CT files have it


def canonical(path):
    """The voxels and the affine that nibabel reads."""
    image = nib.as_closest_canonical(nib.load(path))
    return image.get_fdata(), image.affine


def agrees(path, **options):
    scan = read_scan(path, **options)
    voxels, affine = canonical(path)
    np.testing.assert_allclose(scan.voxels, voxels, rtol=1e-6)
    np.testing.assert_allclose(scan.affine, affine, rtol=1e-6)
    assert all(stride > 0 for stride in scan.voxels.strides)
    return scan


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "SCAN.NII.GZ", "without_ending"])
def test_a_plain_ct(save, tmp_path, ct, name):
    path = save(ct, AFFINE)
    if name != "scan.nii.gz":
        data = path.read_bytes() if name != "scan.nii" else gzip.decompress(path.read_bytes())
        path = tmp_path / name
        path.write_bytes(data)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels, ct[::-1, ::-1])
    assert scan.voxels.dtype == np.int16
    assert scan.spacing == pytest.approx((0.7, 0.7, 2.5))
    assert scan.voxel_ml == pytest.approx(0.7 * 0.7 * 2.5 / 1000)
    assert scan.name == name
    assert scan.warnings == ()
    assert scan.modality == ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_number_type_in_both_byte_orders(tmp_path, kind, order):
    dtype = np.dtype(order + kind)
    high = 120 if dtype.itemsize == 1 else 30000
    array = np.linspace(0, high, 24).round().astype(dtype).reshape(2, 3, 4)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(array, AFFINE, header), tmp_path / "scan.nii")
    scan = agrees(tmp_path / "scan.nii")
    assert scan.voxels.dtype == (np.float32 if kind[0] == "f" else np.int16)
    assert scan.grid.dtype == str(dtype.newbyteorder("="))


def test_numbers_too_large_for_int16_become_float32(save, ct):
    wide = ct.astype(np.int32)
    wide[4, 5, 3] = 40_000  # in the last plane, when the others are already there
    scan = agrees(save(wide, AFFINE))
    assert scan.voxels.dtype == np.float32
    assert read_scan(save(np.full((2, 2, 2), 2**64 - 1, np.uint64))).voxels.max() == np.float32(2**64 - 1)


@pytest.mark.parametrize(
    ("slope", "inter", "dtype"),
    [(1, -1024, np.int16), (2, 0, np.int16), (0.5, 0, np.float32), (1, 0.5, np.float32), (100, 0, np.float32)],
)
def test_scaling(save, tmp_path, ct, slope, inter, dtype):
    path = save(np.abs(ct), AFFINE, "scan.nii")
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([slope, inter], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(data)
    scan = agrees(path)
    assert scan.voxels.dtype == dtype
    assert scan.voxels.max() == 1000 * slope + inter


def test_a_pair_is_read_from_either_half(tmp_path, ct):
    nib.save(nib.Nifti1Pair(ct, AFFINE), tmp_path / "a.b.img")
    for name in ("a.b.img", "a.b.hdr"):
        np.testing.assert_array_equal(read_scan(tmp_path / name).voxels, ct[::-1, ::-1])
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, ct[::-1, ::-1])  # one scan in a folder
    (tmp_path / "a.b.img").unlink()
    with pytest.raises(DataError, match=r"the \.img file is not beside it"):
        read_scan(tmp_path / "a.b.hdr")


def test_nifti_2(tmp_path, ct):
    affine = AFFINE + np.diag([1e-9, 0, 0, 0])  # more digits than float32 has
    nib.save(nib.Nifti2Image(ct, affine), tmp_path / "scan.nii.gz")
    scan = agrees(tmp_path / "scan.nii.gz")
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii")
    np.testing.assert_array_equal(nib.load(tmp_path / "mask.nii").affine, affine)


def test_one_volume_of_four_axes_is_taken_and_several_must_be_chosen_from(save, tmp_path, ct):
    scan = read_scan(save(ct[..., None], AFFINE))
    np.testing.assert_array_equal(scan.voxels, ct[::-1, ::-1])
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii.gz")
    assert nib.load(tmp_path / "mask.nii.gz").shape == (5, 6, 4, 1)
    path = save(np.stack([ct, ct + 1, ct + 2], axis=-1), AFFINE)
    with pytest.raises(
        DataError, match=r"holds 3 volumes \(shape 5 x 6 x 4 x 3\).*or choose it: .*with --volume 0 to 2, in Python"
    ):
        read_scan(path)
    for volume in range(3):
        np.testing.assert_array_equal(read_scan(path, volume=volume).voxels, ct[::-1, ::-1] + volume)
    for volume in (-1, 3):
        with pytest.raises(DataError, match=f"no volume {volume}, expected 0 to 2"):
            read_scan(path, volume=volume)
    scan = read_scan(path, volume=1)
    assert "volume 1 of 0 to 2 was taken, as requested; the others are left out" in scan.warnings
    assert count_volumes(path) == 3
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii.gz")
    assert nib.load(tmp_path / "mask.nii.gz").shape == (5, 6, 4)


def test_a_picture_of_two_axes_is_a_single_slice(save, tmp_path, ct):
    scan = read_scan(save(ct[:, :, 0], AFFINE))
    assert scan.voxels.shape == (5, 6, 1)
    assert any(said.startswith("a single slice") for said in scan.warnings)
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii.gz")
    assert nib.load(tmp_path / "mask.nii.gz").shape == (5, 6)


@pytest.mark.parametrize(("qform", "sform"), [(1, 0), (0, 2), (3, 4), (1, 1), (0, 0)], ids=lambda code: str(code))
def test_the_mask_has_the_codes_and_the_bytes_of_the_position(tmp_path, ct, qform, sform):
    image = nib.Nifti1Image(ct, None)
    image.header.set_zooms((0.7, 0.7, 2.5))
    image.set_qform(AFFINE, qform) if qform else None
    image.set_sform(AFFINE, sform) if sform else None
    image.header["descrip"] = b"Doe John"
    nib.save(image, tmp_path / "scan.nii")
    scan = agrees(tmp_path / "scan.nii")
    assert any("left and right may be swapped" in said for said in scan.warnings) == (qform == sform == 0)
    labels = np.arange(ct.size).reshape(scan.voxels.shape)  # up to 119
    write_mask(labels, scan, tmp_path / "mask.nii.gz")
    mask, source = nib.load(tmp_path / "mask.nii.gz"), nib.load(tmp_path / "scan.nii")
    for field in ("qform_code", "sform_code", "pixdim", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "srow_z"):
        kept, was = (np.atleast_1d(header[field])[:4] for header in (mask.header, source.header))
        np.testing.assert_array_equal(kept, was)
    assert mask.shape == source.shape
    assert mask.get_data_dtype() == np.uint8
    assert mask.header.get_slope_inter() in ((None, None), (1, 0))
    assert b"Doe" not in gzip.decompress((tmp_path / "mask.nii.gz").read_bytes())
    np.testing.assert_array_equal(nib.as_closest_canonical(mask).get_fdata(), labels)


def test_more_than_255_labels_take_16_bits(save, tmp_path, ct):
    scan = read_scan(save(ct))
    labels = np.arange(ct.size).reshape(ct.shape) * 3
    write_mask(labels, scan, tmp_path / "mask.nii.gz")
    assert nib.load(tmp_path / "mask.nii.gz").get_data_dtype() == np.uint16
    got = read_mask(tmp_path / "mask.nii.gz", like=scan)
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, labels)


def test_two_positions_that_differ_are_said(save, ct):
    path = save(ct, AFFINE, "scan.nii")
    image = nib.load(path)
    moved = AFFINE.copy()
    moved[0, 3] += 30
    image.set_qform(moved, 1)
    nib.save(image, path)
    assert any(
        "qform, sform) differ by up to 30.0 mm; the sform was taken" in said for said in read_scan(path).warnings
    )


# ---- what is refused


def break_header(path, place, value, kind):
    """Overwrite a header field at the byte `place` of a plain NIfTI-1 file."""
    data = bytearray(path.read_bytes())
    raw = np.array(value, kind).tobytes()
    data[place : place + len(raw)] = raw
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("place", "value", "kind", "words"),
    [
        (40, [3, 8000, 8000, 15], "<i2", "header promises 8000 x 8000 x 15 voxels.*1.8 GB.*incomplete"),
        (40, [3, 20000, 20000, 20000], "<i2", "claims 20000 x 20000 x 20000 voxels"),
        (40, [3, -5536, -5536, -5536], "<i2", "expected positive numbers"),  # 60000 in 16 bits
        (40, [3, 0, 5, 5], "<i2", "expected positive numbers"),
        (40, [7, 5, 6, 4, 30000, 30000, 30000, 30000], "<i2", "header promises"),
        (40, [9], "<i2", "claims 9 axes"),
        (70, [128], "<i2", "colour picture"),
        (70, [32], "<i2", "NIfTI type 32"),  # complex
        (70, [1536], "<i2", "NIfTI type 1536"),  # 128-bit floats
        (70, [7777], "<i2", "NIfTI type 7777"),
        (108, [1e9], "<f4", "voxels at byte 1e\\+09"),
        (108, [np.nan], "<f4", "voxels at byte nan"),
        (108, [-352], "<f4", "voxels at byte -352"),
        (116, [np.inf], "<f4", "scl_slope"),
        (80, [0.0], "<f4", "spacing of 0 x 0.7 x 2.5 mm"),
        (84, [-0.7], "<f4", "spacing of 0.7 x -0.7 x 2.5 mm"),
        (88, [np.nan], "<f4", "spacing of 0.7 x 0.7 x nan mm"),
        (123, [3], "u1", "lengths in micrometres, expected mm"),
        (280, np.zeros(12), "<f4", "spacing of 0 x 0 x 0 mm"),  # the sform
        (280, np.full(12, np.nan), "<f4", "NaN or infinite"),
        (344, np.frombuffer(b"\0\0\0\0", "u1"), "u1", "Analyze 7.5"),
        (344, np.frombuffer(b"ni1\0", "u1"), "u1", "voxels are in another file"),
    ],
)  # fmt: skip
def test_headers_that_make_no_sense_are_refused_before_anything_is_allocated(save, ct, place, value, kind, words):
    path = break_header(save(ct, AFFINE, "scan.nii"), place, value, kind)
    tracemalloc.start()
    with pytest.raises(DataError, match=words) as caught:
        read_scan(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert str(caught.value).startswith("scan.nii: ")


def test_a_quaternion_that_is_no_rotation_is_refused(tmp_path, ct):
    image = nib.Nifti1Image(ct, None)
    image.set_qform(AFFINE, 1)
    nib.save(image, tmp_path / "scan.nii")
    with pytest.raises(DataError, match="qform holds no rotation"):
        read_scan(break_header(tmp_path / "scan.nii", 256, [3.0, 3.0, 3.0], "<f4"))


def test_a_nifti_2_that_claims_60000_voxels_along_each_axis(tmp_path, ct):
    nib.save(nib.Nifti2Image(ct, AFFINE), tmp_path / "scan.nii")
    data = bytearray((tmp_path / "scan.nii").read_bytes())
    data[16:48] = np.array([3, 60000, 60000, 60000], "<i8").tobytes()
    for name, packed in (("a.nii", bytes(data)), ("b.nii.gz", gzip.compress(bytes(data)))):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError, match="claims 60000 x 60000 x 60000 voxels"):
            read_scan(tmp_path / name)


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_truncated_file_is_incomplete_wherever_it_ends(save, tmp_path, name):
    array = np.random.default_rng(0).integers(-1000, 1000, (9, 9, 9)).astype(np.int16)
    whole = save(array, AFFINE, name).read_bytes()
    for end in (5, 20, 100, len(whole) // 2, len(whole) - 4, len(whole) - 1):
        (tmp_path / f"cut_{name}").write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"incomplete|expected a NIfTI header|ends too early"):
            read_scan(tmp_path / f"cut_{name}")


def test_a_whole_gzip_file_of_a_truncated_one_is_incomplete(save, tmp_path, ct):
    plain = gzip.decompress(save(np.stack([ct, ct + 1], axis=-1), AFFINE).read_bytes())
    for end in (-1, -ct.nbytes - 1):  # in the second volume, in the first
        (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(plain[:end]))
        for volume in (0, 1):
            with pytest.raises(DataError, match="ends too early"):
                read_scan(tmp_path / "cut.nii.gz", volume=volume)


def test_a_flipped_bit_in_a_gzip_file_is_found(save, tmp_path):
    array = np.random.default_rng(0).integers(-1000, 1000, (9, 9, 9)).astype(np.int16)
    data = bytearray(gzip.compress(gzip.decompress(save(array).read_bytes()), 0))  # stored, so that only the sum tells
    data[900] ^= 1
    (tmp_path / "scan.nii.gz").write_bytes(data)
    with pytest.raises(DataError, match="compressed data is damaged"):
        read_scan(tmp_path / "scan.nii.gz")


def test_a_gzip_bomb_is_not_unpacked(save, tmp_path, ct):
    plain = gzip.decompress(save(ct).read_bytes())
    bomb = tmp_path / "bomb.nii.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(plain)
        for _ in range(50):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match="more than its header promises"):
        read_scan(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    # A little padding is no bomb.
    (tmp_path / "padded.nii.gz").write_bytes(gzip.compress(plain + bytes(1000)))
    np.testing.assert_array_equal(read_scan(tmp_path / "padded.nii.gz").voxels, ct)


def test_a_gzip_file_cannot_promise_more_than_gzip_can_hold(save, tmp_path, ct):
    path = break_header(save(ct, AFFINE, "scan.nii"), 40, [3, 8000, 8000, 15], "<i2")
    packed = tmp_path / "scan.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert packed.stat().st_size * safety.GZIP_RATIO < 8000 * 8000 * 15 * 2
    with pytest.raises(DataError, match=r"which take 1\.8 GB, the file has \d+ bytes that unpack to"):
        read_scan(packed)


def test_missing_numbers_are_replaced_and_said_or_refused(save, ct):
    array = ct.astype(np.float64)
    array[0, 0, 0], array[1, 0, 0], array[2, 0, 0] = np.nan, np.inf, 1e300
    array[3, 0, 0] = -np.inf
    scan = read_scan(save(array))
    low = array[0, 0, 1]
    assert scan.voxels[:4, 0, 0].tolist() == [low] * 4
    assert scan.voxels.min() == low
    assert f"4 voxels (3.3%) were NaN or infinite and were set to {low:g}" in scan.warnings
    array[:4] = np.nan
    with pytest.raises(DataError, match="80% of the voxels are NaN or infinite"):
        read_scan(save(array))


def test_slices_without_a_picture_between_others_are_said(save, ct):
    blank = ct.copy()
    blank[:, :, [0, 3]] = -1000  # at the ends: padding
    assert read_scan(save(blank, AFFINE)).warnings == ()
    blank = ct.copy()
    blank[:, :, 1] = 0
    (said,) = read_scan(save(blank, AFFINE)).warnings
    assert said.startswith("1 slice between others holds the same number everywhere")


# ---- masks


def test_masks_that_do_not_belong_to_the_scan_are_refused(save, tmp_path, ct):
    scan = read_scan(save(ct, AFFINE))
    moved = AFFINE.copy()
    moved[2, 3] += 5
    for array, affine, words in (
        (np.zeros((5, 6, 5), np.uint8), AFFINE, "5 x 6 x 5 voxels, its scan scan.nii.gz has 5 x 6 x 4"),
        (np.zeros((5, 6, 4), np.uint8), moved, "up to 5.00 mm beside its scan"),
        (np.full((5, 6, 4), -1, np.int16), AFFINE, "values from -1 to -1"),
        (np.full((5, 6, 4), 0.5, np.float32), AFFINE, "values from 0.5 to 0.5"),
        (np.full((5, 6, 4), np.nan, np.float32), AFFINE, "values from nan"),
    ):
        with pytest.raises(DataError, match=words):
            read_mask(save(array, affine, "mask.nii.gz"), scan)
    with pytest.raises(DataError, match="expected a mask as NIfTI"):
        read_mask(tmp_path, scan)


def test_a_mask_in_another_axis_order_is_turned_to_its_scan(save, ct):
    scan = read_scan(save(ct, AFFINE))
    labels = np.arange(ct.size, dtype=np.int64).reshape(scan.voxels.shape)
    path = save(labels.astype(np.float64), scan.affine, "mask.nii.gz")  # RAS, where the scan's file is LPS
    got = read_mask(path, scan)
    np.testing.assert_array_equal(got, labels)
    assert got.dtype == np.uint8


def test_what_is_no_mask_is_not_written(save, tmp_path, ct):
    scan = read_scan(save(ct))
    (tmp_path / "mask.nii.gz").write_bytes(b"old")
    for mask, words in (
        (ct[:4] > 0, "expected that of the scan"),
        (ct, "0 to 65535"),
        (ct.astype(np.float32), "0 to 65535, got float32"),
        (np.full(ct.shape, 70_000), "0 to 65535"),
    ):
        with pytest.raises(DataError, match=words):
            write_mask(mask, scan, tmp_path / "mask.nii.gz")
    assert (tmp_path / "mask.nii.gz").read_bytes() == b"old"
    with pytest.raises(DataError, match=r"ends in \.nii"):
        write_mask(ct > 0, scan, tmp_path / "mask.png")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_mask(ct > 0, scan, tmp_path / "file" / "mask.nii.gz")


def test_a_scan_can_be_handed_to_another_process(save, tmp_path, ct):
    scan = copy.deepcopy(read_scan(save(ct, AFFINE)))  # by the same protocol as pickle
    write_mask(scan.voxels > 0, scan, tmp_path / "mask.nii")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "mask.nii").dataobj), ct > 0)


def test_the_same_mask_gives_the_same_bytes(save, tmp_path, ct):
    scan = read_scan(save(ct))
    one, two = (write_mask(ct > 0, scan, tmp_path / name).read_bytes() for name in ("a.nii.gz", "b.nii.gz"))
    assert one == two
    assert {path.name for path in tmp_path.iterdir()} == {"scan.nii.gz", "a.nii.gz", "b.nii.gz"}
