"""What was found in a scan: the three planes, millilitres, downloads."""

import html
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cnn_core.data.tables import csv_text
from components.address import pick
from components.charts import reliability
from components.downloads import csv_and_json
from components.frame import download, note, warn
from components.kept import kept, remembered
from components.networks import Network, compute
from components.tables import Markup, table
from components.viewer import Packed, View, pack, pack_rest, viewer, with_heat
from views.medical_parts.ask import Given, segmented

MANY = 20  # labels, above which they can be searched
LABELS, UNSURE = "Labels", "Uncertainty"
PRESETS = {"Lung": "lung", "Soft tissue": "soft tissue", "Bone": "bone", "Brain": "brain"}


def show_result(network: Network, given: Given) -> Callable[[], None]:
    """Segment, and show everything that is known then; the rest of a large scan is sent by what is returned.

    Raises:
        CnnError: the file is no scan.
    """
    result = segmented(network, given)
    for said in result.warnings:
        warn(said)
    if result.notes:
        note(f"{'. '.join(text[0].upper() + text[1:] for text in result.notes)}.")
    what = LABELS
    if "entropy" in result.maps:
        ways = [LABELS, UNSURE]
        what = pick(st.segmented_control, "Show", ways, key="overlay", required=True, label_visibility="collapsed")
    shown = (network.digest, given.digest, what)
    packed = _packed(*shown, shown in _sent_whole(), _result=result)
    viewer(packed, key="viewer")
    if what == UNSURE:
        note("Bright where the network is uncertain: the entropy of its probabilities.")
    _numbers(result, given)
    _downloads(result, given)

    def send_rest() -> None:
        if packed.waiting:
            _packed(*shown, True, _result=result)
            _sent_whole().add(shown)
            st.rerun()

    return send_rest


@remembered(4)  # of one scan: with and without all its voxels, under the labels and under the uncertainty
def _packed(sha256: str, digest: str, what: str, whole: bool, *, _result: Any) -> Packed:
    if whole:
        return compute(pack_rest, _packed(sha256, digest, what, False, _result=_result))
    if what == LABELS:
        return compute(pack, view_of(_result))
    labelled = (sha256, digest, LABELS)
    packed = _packed(*labelled, labelled in _sent_whole(), _result=_result)
    return compute(with_heat, packed, _result.maps["entropy"])


def _sent_whole() -> set[tuple[str, str, str]]:
    """Network, scan and overlay of what the browser got all voxels of."""
    return kept().setdefault("medical-whole", set())


def show_reliability(network: Network) -> None:
    """Show how right the network's probabilities are near outlines, if that was measured.

    Raises:
        DataError: the report cannot be read.
    """
    from medical_segmentation.evaluate import read_report

    report = compute(read_report, network.folder)
    if report is None or report.calibration is None:
        return
    with st.expander("How right its probabilities are"):
        reliability(report.calibration, key="scan-calibration", of=f"voxels near outlines in {report.n} test scans")


def view_of(result: Any) -> View:
    """Return a result as the viewer wants it."""
    from medical_segmentation.pictures import COLOURS, in_hu

    names = result.labels[1:]
    scan = result.scan
    windows = ct_windows() if in_hu(scan) else {}
    return View(scan.voxels, scan.spacing, result.mask, names, COLOURS[: len(names)], windows)


def ct_windows() -> dict[str, tuple[float, float]]:
    """Return title -> centre and width in HU."""
    from medical_segmentation.pictures import WINDOWS

    return {title: WINDOWS[name] for title, name in PRESETS.items()}


def _numbers(result: Any, given: Given) -> None:
    from medical_segmentation.pictures import in_hu

    volumes(result.volumes_ml, means=result.mean_hu, of="HU" if in_hu(result.scan) else "intensity")
    edges = " × ".join(map(str, result.scan.voxels.shape))
    spacing = " × ".join(f"{length:.2f}" for length in result.scan.spacing)
    note(f"{edges} voxels of {spacing} mm, {given.source}. The mask lies on the file's own voxels.")


def volumes(
    volumes_ml: Mapping[str, float], *, means: Mapping[str, float | None] | None = None, of: str = "HU"
) -> None:
    """Show the labels with their colours and volumes, and their means of `of`, if they are given.

    Many labels can be searched, and those that were not found are left out and counted.
    """
    from medical_segmentation.pictures import COLOURS

    heads = [("Label", ""), ("Volume, mL", "number")] + [(f"Mean {of}", "number")] * (means is not None)
    rows: list[list[str | Markup]] = []
    wanted = searched(volumes_ml)
    for k, (name, volume) in enumerate(volumes_ml.items()):
        if name not in wanted:
            continue
        colour = ",".join(map(str, COLOURS[k]))
        shown = Markup(f'<span class="swatch" style="background:rgb({colour})"></span> {html.escape(name)}')
        row: list[str | Markup] = [shown, f"{volume:,.1f}" if volume < 1000 else f"{volume:,.0f}"]
        if means is not None:
            row.append("" if means[name] is None else f"{means[name]:,.0f}".replace("-", "−"))
        rows.append(row)
    table(heads, rows, label="Volumes of the labels", narrow=True)


def searched(volumes_ml: Mapping[str, float]) -> list[str]:
    """Return the labels to list: all of a few; of many those that were found and hold what is searched for."""
    if len(volumes_ml) <= MANY:
        return list(volumes_ml)
    word = st.text_input("Search the labels", key="label-search", placeholder="kidney").strip().casefold()
    if word:
        chosen = [name for name in volumes_ml if word in name.replace("_", " ").casefold() or word in name.casefold()]
        note(f"{len(chosen)} of {len(volumes_ml)} labels hold “{word}”.")
        return chosen
    there = [name for name, volume in volumes_ml.items() if volume]
    note(f"{len(there)} of {len(volumes_ml)} labels were found in this scan; search to see the others.")
    return there


def _downloads(result: Any, given: Given) -> None:
    from medical_segmentation.cases import stem

    name = stem(given.name)
    report = {"input": given.name, **result.to_json()}
    report.pop("mask")
    lines = [(label, round(volume, 3), result.mean_hu[label]) for label, volume in result.volumes_ml.items()]
    volumes_csv = csv_text([("label", "volume_ml", "mean_hu"), *lines])
    with st.container(horizontal=True, gap="small"):
        mask = f"{name}_mask.nii.gz"
        download("Mask (NIfTI)", lambda: _mask_file(result, name), mask, key="mask-download", kind="primary")
        csv_and_json(volumes_csv, report, name=f"{name}_volumes", key="volumes")


def _mask_file(result: Any, name: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="cnn-showcase-") as folder:
        return result.write_mask(Path(folder) / f"{name}_mask.nii.gz").read_bytes()
