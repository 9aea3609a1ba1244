"""Every control of the medical page, driven as a browser would drive it, on the shipped weights."""

import gzip
import io
import tempfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from driving import checked, html, opened
from streamlit.testing.v1 import AppTest

from views.medical_parts.ask import Given
from views.medical_parts.source import CHESTS, CUBES, CUTOUTS, THORAXES, drawn, given_of
from views.medical_parts.steps import mask_steps, nodule_steps


def open_page(**address: str) -> AppTest:
    return opened("medical", **address)


def volumes(page: AppTest) -> dict[str, str]:
    """The table's volumes by label."""
    body = html(page).split('aria-label="Volumes of the labels"')[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = [row.split("</td>") for row in body.split("<tr")[1:]]
    return {row[0].split("</span> ")[1]: row[1].split(">")[-1] for row in rows}


def upload(page: AppTest, name: str, data: bytes) -> AppTest:
    page.segmented_control(key="scan-from").set_value("Upload").run()
    page.file_uploader[0].upload(name, data, "application/octet-stream")
    return checked(page.run())


def nifti(array: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    return gzip.compress(nib.Nifti1Image(array, np.eye(4) if affine is None else affine).to_bytes())


def test_a_real_scan_is_segmented_on_opening() -> None:
    page = open_page()
    assert page.pills(key="weights").value == "lung-ct"
    assert 3000 < float(volumes(page)["lung"].replace(",", "")) < 5000  # mL: a grown-up's lungs
    assert "Research and teaching only, not for diagnosis." in html(page)
    assert "Mean HU" in html(page) and not page.warning


def test_the_address_says_what_is_shown() -> None:
    page = open_page(weights="phantom", scan="thorax-2")
    assert page.pills(key="scan").value == "thorax-2" and set(volumes(page)) == {"lung", "heart", "spine", "nodule"}
    before = volumes(page)
    page.pills(key="scan").set_value("thorax-3").run()
    assert volumes(checked(page)) != before and page.query_params["scan"] == "thorax-3"


def test_an_uploaded_scan_is_answered_and_nothing_is_left_behind(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    page = upload(open_page(weights="phantom"), "mine.nii.gz", drawn(2001))
    assert set(volumes(page)) == {"lung", "heart", "spine", "nodule"} and "your file" in html(page)
    assert not [*tmp_path.glob("cnn-*")]


@pytest.mark.parametrize(("name", "data", "said"), [
    ("broken.nii.gz", gzip.compress(b"nonsense" * 100), "expected a NIfTI file"),
    ("short.nii.gz", nifti(np.zeros((20, 20, 20), np.int16))[:60], "ends too early"),
    ("empty.nii", b"", "empty"),
    ("rgb.nii.gz", nifti(np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])), "colour"),
], ids=["nonsense", "cut short", "empty", "colour"])  # fmt: skip
def test_what_is_no_scan_gets_a_sentence(name: str, data: bytes, said: str) -> None:
    page = upload(open_page(weights="phantom"), name, data)
    assert said in " ".join(warning.value for warning in page.warning), [w.value for w in page.warning]


def test_one_of_several_volumes_is_chosen() -> None:
    noise = np.random.default_rng(0).integers(-1000, 900, (30, 30, 20, 3)).astype(np.int16)
    page = upload(open_page(weights="phantom"), "four.nii.gz", nifti(noise))
    assert page.number_input[0].label == "Which of 3 volumes, 0 to 2" and "--volume 0" in page.code[-1].value
    checked(page.number_input[0].set_value(2).run())
    assert any(warning.value.startswith("Volume 2 of 0 to 2 was taken") for warning in page.warning)
    assert "--volume 2" in page.code[-1].value


def test_a_zip_that_climbs_out_of_its_folder_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)  # it is unpacked below
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a" / "b"))
    block = io.BytesIO()
    with zipfile.ZipFile(block, "w") as archive:
        archive.writestr("../../outside.dcm", b"x")
    page = upload(open_page(weights="phantom"), "series.zip", block.getvalue())
    assert len(page.warning) == 1
    assert page.warning[0].value.startswith("series.zip") and tempfile.gettempdir() not in page.warning[0].value
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_scan_that_is_no_ct_is_answered_with_a_warning() -> None:
    noise = np.random.default_rng(0).integers(0, 900, (30, 30, 20)).astype(np.int16)
    page = upload(open_page(weights="phantom"), "mr.nii.gz", nifti(noise))
    assert any("Unlike the scans that the network learned from" in warning.value for warning in page.warning)
    assert "Mean intensity" in html(page) and "Mean HU" not in html(page)


def test_a_judgement_can_be_had() -> None:
    page = open_page(weights="nodule-malignancy", scan="malignant-1")
    names = [button.proto.label for button in page.get("download_button")]
    assert {"CSV", "JSON", "Heat map (PNG)", "Model card", "lidc-malignant-1.png"} <= {*names}


def test_a_report_can_be_had_and_holds_no_header() -> None:
    page = open_page(weights="phantom")
    names = [button.proto.label for button in page.get("download_button")]
    assert {"Mask (NIfTI)", "CSV", "JSON", "Model card"} <= {*names}


@pytest.mark.parametrize("sample", [*CHESTS, *CUBES, *CUTOUTS, *THORAXES], ids=lambda sample: sample.id)
def test_every_sample_is_there(sample) -> None:
    given = given_of(sample)
    assert isinstance(given, Given) and len(given.data) > 100 and given.source
    if given.name.endswith(".png"):
        return
    image = nib.Nifti1Image.from_bytes(gzip.decompress(given.data))
    assert len(image.shape) == 3
    said = [bytes(image.header[name]).strip(b"\0") for name in ("descrip", "aux_file", "intent_name", "db_name")]
    assert said == [b""] * 4 and not image.header.extensions  # nothing that could name a patient


def test_a_nodule_in_a_cube_is_outlined() -> None:
    page = open_page(weights="lidc-nodule")
    assert 0.1 < float(volumes(page)["nodule"]) < 10  # mL


def test_a_cut_out_nodule_is_judged_and_the_size_alone_is_named() -> None:
    page = open_page(weights="nodule-malignancy", scan="malignant-1")
    assert '<p class="word">malignant<' in html(page) and "the diameter alone reaches 0.87" in html(page)
    page.pills(key="scan").set_value("benign-2").run()
    assert '<p class="word">benign<' in html(checked(page))
    page = upload(page, "note.png", b"no picture")
    assert len(page.warning) == 1


def test_a_cube_is_judged_and_what_spoke_for_it_lies_over_its_planes() -> None:
    page = open_page(weights="nodule-malignancy-3d", scan="nodule-1")
    shown = html(page)
    assert not page.warning
    assert '<p class="word">' in shown and "On the 14 test nodules" in shown and "the volume alone reaches" in shown
    assert [part.proto.component_name for part in page.get("bidi_component")] == ["viewer"]
    page.pills(key="scan").set_value("nodule-2").run()
    assert html(checked(page)) != shown


def test_a_whole_chest_is_judged_with_warnings() -> None:
    page = upload(open_page(weights="nodule-malignancy-3d"), "chest.nii.gz", drawn(2001))
    said = [warning.value for warning in page.warning]
    assert any(text.startswith("The network learned from voxels of 1 mm, these are") for text in said)
    assert '<p class="word">' in html(page)


TURNED = "The scan was turned so that its axes run right, front and up. "
LABELLED = "Each voxel got its most probable label."
COUNTED = "Volumes are voxels times the volume of one."


@pytest.mark.parametrize(("weights", "intensities", "answered", "cleaned"), [
    ("lung-ct", "Slice by slice the body was found: the air around it, padding, table and blankets were left out. It "
     "was resampled so that the body is 256 pixels across. −1000 HU and less became 0, 400 HU and more became 1.",
     "The network saw slice after slice, each in one piece; slices of more than 4 million pixels go through in "
     "overlapping windows. The scores were averaged with those of the 3 mirror images. "
     "They were divided by 1.34, which makes the probabilities right on validation scans. ",
     "Nothing outside the body was kept. Slice by slice, pieces as dark as gas in bowel, stomach or airways were "
     "dropped; then, in 3-D, pieces of less than a twentieth of the largest. "),
    ("phantom", "Its voxels were resampled to 4.489 × 4.54 × 4.473 mm if they were more than a tenth off. "
     "−926 HU and less became 0, 464 HU and more became 1.",
     "Scans of up to 4 million voxels go through the network in one piece, larger ones in overlapping windows whose "
     "scores are blended. ", ""),
    ("lidc-nodule", "Its voxels were resampled to 1 × 1 × 1 mm if they were more than a tenth off. "
     "−1200 HU and less became 0, 400 HU and more became 1.",
     "The network saw one patch of 32 × 32 × 32 voxels around the centre, and how far each voxel is from it; all else "
     "is background. The scores were averaged with those of the 7 mirror images. ",
     "Of each label only the piece nearest the centre was kept. "),
])  # fmt: skip
def test_the_fold_tells_what_this_network_does(weights: str, intensities: str, answered: str, cleaned: str) -> None:
    from medical_segmentation.segmenter import WHOLE

    assert {round(cells / 1e6) for cells in WHOLE.values()} == {4}
    (fold,) = [part for part in open_page(weights=weights).expander if part.label == "How this was computed"]
    assert fold.markdown[0].value == (
        f"1. {TURNED}{intensities}\n2. {answered}{LABELLED}\n3. {cleaned}{COUNTED}\n\nThe same on the command line:"
    )


def test_a_network_with_a_voxel_size_and_a_scale_of_its_own_is_told_too() -> None:
    rule = {"dims": 2, "spacing": [0.75, 0.75, 5.0], "own_scale": True, "flips": [0], "keep": "largest"}
    said = mask_steps(rule)
    assert "resampled to pixels of 0.75 × 0.75 mm. Its own low and high intensities became 0 and 1." in said
    assert "averaged with those of the mirror image." in said
    assert "Of each label in a slice only the largest connected piece was kept. The mask was brought back" in said
    assert "resampled to voxels of 0.75 × 0.75 × 5 mm" in mask_steps({**rule, "dims": 3})


@pytest.mark.parametrize(("mirror", "scored"), [(True, "it and its mirror images; the mean became"),
                                                (False, "it; the score became")])  # fmt: skip
def test_a_judgement_is_told_with_the_views_that_this_network_takes(mirror: bool, scored: str) -> None:
    said = nodule_steps({"dims": 3, "mirror": mirror})
    assert f"The network scored {scored} a probability" in said and "of the training cubes" in said
    (fold,) = [
        part for part in open_page(weights="nodule-malignancy").expander if part.label == "How this was computed"
    ]
    assert fold.markdown[0].value == nodule_steps({"dims": 2, "mirror": True})
