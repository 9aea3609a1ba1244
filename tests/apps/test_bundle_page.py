"""A bundle of MONAI with 104 structures on the medical page: listed, coloured, searched, downloaded."""

from pathlib import Path

import pytest
from driving import checked, html, opened, table
from made_bundle import many_labels

from medical_segmentation.bundles import fetch_bundle
from medical_segmentation.pictures import COLOURS
from medical_segmentation.scan import read_scan
from views.medical_parts.ask import with_file
from views.medical_parts.source import THORAXES, given_of

NAMES = [f"rib_left_{k}" if k % 2 else f"organ_{k}" for k in range(1, 105)]


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a fetched bundle of 104 structures, whose labels are bands of HU."""
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    return fetch_bundle(str(many_labels(tmp_path / "zoo" / "whole_body", NAMES))).name


def test_many_structures_have_colours_of_their_own() -> None:
    assert len({*COLOURS}) == len(COLOURS) == 255
    assert all(0 <= part <= 255 for colour in COLOURS for part in colour)


def test_a_bundle_is_shown_and_its_structures_are_searched(bundle: str) -> None:
    page = opened("medical", weights=bundle, scan="thorax-1")
    assert page.pills(key="weights").value == bundle and not page.exception
    voxels = with_file(given_of(THORAXES[0]), read_scan).voxels
    bands = ((voxels.clip(-1000, 1000) + 1000.0) * 104 / 2000).round().astype(int)  # what the bundle says, by hand
    there = [NAMES[k - 1] for k in sorted({*bands.ravel().tolist()} - {0})]
    rows = table(page, "Volumes of the labels")
    assert 20 < len(rows) < 104 and {row[0] for row in rows} >= {*there[1:-1]}
    assert f"{len(rows)} of 104 labels were found in this scan" in html(page)
    checked(page.text_input(key="label-search").input("RIB left 1").run())
    found = [row[0] for row in table(page, "Volumes of the labels")]
    assert found == [name for name in NAMES if name.startswith("rib_left_1")] and "of 104 labels hold" in html(page)
    assert not [part for part in page.segmented_control if part.key == "overlay"]  # a bundle says no uncertainty
    names = [button.proto.label for button in page.get("download_button")]
    assert {"Mask (NIfTI)", "CSV", "JSON", "Model card"} <= {*names}
