"""What the medical page shows is what the library says: volumes, means, colours, files, judgements, overlays."""

import csv
import gzip
import io
import json
import re

import nibabel as nib
import numpy as np
import pytest
from driving import as_bars, bars, checked, figure, html, joined, library, opened, table, unpack
from PIL import Image

from cnn_core.explain import heat_limits, overlay
from medical_segmentation.pictures import COLOURS
from views.medical_parts.ask import with_file
from views.medical_parts.source import CUBES, CUTOUTS, THORAXES, given_of

MINUS = "−"


@pytest.fixture(scope="module")
def result():
    """The library's answer for the first drawn thorax."""
    return with_file(given_of(THORAXES[0]), library("medical_segmentation", "phantom").predict)


def millilitres(volume: float) -> str:
    return f"{volume:,.1f}" if volume < 1000 else f"{volume:,.0f}"


def test_volumes_means_and_colours_are_those_of_each_label(result):
    page = opened("medical", weights="phantom")
    names = list(result.labels[1:])
    assert table(page, "Volumes of the labels") == [
        [name, millilitres(result.volumes_ml[name]), f"{result.mean_hu[name]:,.0f}".replace("-", MINUS)]
        for name in names
    ]
    swatches = re.findall(r"swatch\" style=\"background:rgb\((.*?)\)", html(page))
    assert swatches == [",".join(map(str, COLOURS[k])) for k in range(len(names))]
    shape, spacing = result.scan.voxels.shape, result.scan.spacing
    assert f"{shape[0]} × {shape[1]} × {shape[2]} voxels of {spacing[0]:.2f} × {spacing[1]:.2f} × " in html(page)


def test_the_files_hold_the_librarys_mask_and_numbers(result, downloads: dict):
    opened("medical", weights="phantom")
    image = nib.Nifti1Image.from_bytes(gzip.decompress(downloads["Mask (NIfTI)"]))
    assert np.array_equal(np.asarray(nib.as_closest_canonical(image).dataobj), result.mask)
    assert np.allclose(image.affine, with_file(given_of(THORAXES[0]), lambda path: nib.load(path).affine))
    rows = list(csv.DictReader(io.StringIO(downloads["CSV"])))
    told = json.loads(downloads["JSON"])
    for row, name in zip(rows, result.labels[1:], strict=True):
        assert row["label"] == name
        assert float(row["volume_ml"]) == told["volumes_ml"][name] == pytest.approx(result.volumes_ml[name], abs=1e-3)
        assert float(row["mean_hu"]) == pytest.approx(told["mean_hu"][name], abs=0.06)
        assert told["mean_hu"][name] == pytest.approx(result.mean_hu[name], abs=0.06)


@pytest.fixture
def scans(monkeypatch) -> list[tuple]:
    """What the page gives the viewer: header, voxels, mask and heat, each time."""
    shown: list[tuple] = []
    for part in ("result", "nodule"):
        monkeypatch.setattr(f"views.medical_parts.{part}.viewer", lambda packed, key: shown.append(unpack(packed)))
    return shown


def test_the_planes_show_the_scan_its_labels_and_the_uncertainty(result, scans):
    page = opened("medical", weights="phantom")
    header, voxels, mask, heat = scans[-1]
    assert np.array_equal(voxels, np.rint(result.scan.voxels)) and np.array_equal(mask, result.mask)
    assert header["labels"] == list(result.labels[1:]) and heat is None
    assert header["colours"] == [[0, 0, 0], *(list(COLOURS[k]) for k in range(len(header["labels"])))]
    assert header["spacing"] == pytest.approx(result.scan.spacing) and header["unit"] == "HU"
    assert header["windows"]["Lung"] == [-600, 1500]
    checked(page.segmented_control(key="overlay").set_value("Uncertainty").run())
    asked = library("medical_segmentation", "phantom")
    entropy = with_file(given_of(THORAXES[0]), lambda path: asked.predict(path, maps=("entropy",))).maps["entropy"]
    assert entropy.max() > 0.4
    assert np.abs(scans[-1][3] - 255 * entropy.astype(float)).max() <= 0.6


def test_of_a_large_scan_every_voxel_follows_the_overview(result, monkeypatch):
    shown = []
    monkeypatch.setattr("views.medical_parts.result.viewer", lambda packed, key: shown.append(packed))
    monkeypatch.setattr("components.viewer.MOST_AT_ONCE", 30_000)
    page = opened("medical", weights="phantom")
    first, last = shown
    assert first.header["step"] == 2 and set(first.waiting) == {"voxels", "mask"} and not first.full
    shape = result.scan.voxels.shape
    assert not last.waiting and np.array_equal(joined(last.full["mask"], shape, wide=False), result.mask)
    assert np.array_equal(joined(last.full["voxels"], shape, wide=True), np.rint(result.scan.voxels))
    checked(page.segmented_control(key="overlay").set_value("Uncertainty").run())
    *_, first, last = shown
    assert set(first.waiting) == {"heat"} and first.full["voxels"] is last.full["voxels"]  # not sent again
    assert joined(last.full["heat"], shape, wide=False).max() > 255 * 0.4
    checked(page.segmented_control(key="overlay").set_value("Labels").run())
    assert len(shown) == 5 and not shown[-1].waiting


def said_of_nodules(card, size: str) -> str:
    auc, alone = (card.metrics[name]["mean"] for name in ("auc", "auc_size_alone"))
    return f"On the {card.metrics['auc']['n']} test nodules its AUC is {auc:.2f}; the {size} alone reaches {alone:.2f}."


def judged(asked, sample) -> list[tuple[str, float, str]]:
    """The bars of both answers, the likelier one first."""
    found = with_file(given_of(sample), asked.predict).probability
    pairs = sorted([("malignant", found), ("benign", 1 - found)], key=lambda pair: -pair[1])
    return as_bars(*map(list, zip(*pairs, strict=True)))


@pytest.mark.parametrize("sample", [CUTOUTS[0], CUTOUTS[2]], ids=lambda sample: sample.id)
def test_a_judgement_and_its_heat_are_the_librarys(sample, downloads: dict):
    page = opened("medical", weights="nodule-malignancy", scan=sample.id)
    asked = library("medical_segmentation", "nodule-malignancy")
    answers = judged(asked, sample)
    picture, heat, _ = with_file(given_of(sample), asked.heat_of)
    assert bars(page) == [answers]
    assert np.array_equal(figure(page, "What the network saw"), picture)
    shown = overlay(picture.copy(), heat.copy(), limits=heat_limits(heat))
    assert np.array_equal(figure(page, "What speaks for malignant"), shown)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(downloads["Heat map (PNG)"]))), shown)
    assert json.loads(downloads["JSON"])["labels"] == [name for name, *_ in answers]
    assert said_of_nodules(asked.card, "diameter") in html(page)


def test_a_cubes_judgement_and_its_heat_are_the_librarys(scans):
    asked = library("medical_segmentation", "nodule-malignancy-3d")
    page = opened("medical", weights="nodule-malignancy-3d", scan=CUBES[1].id)
    assert bars(page) == [judged(asked, CUBES[1])]
    assert said_of_nodules(asked.card, "volume") in html(page)
    cube, heat, _ = with_file(given_of(CUBES[1]), asked.heat_of)
    _, voxels, _, shown = scans[-1]
    assert np.array_equal(voxels, np.rint(asked.contract.values(cube)))
    assert np.abs(shown - 255 * heat.clip(min=0).astype(float) / heat.max()).max() <= 0.6
