"""Where the scan or the nodule comes from: a sample or a file."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from components.address import pick
from components.frame import note
from components.kept import recall, retain, uploaded
from components.networks import Network, compute
from components.samples import FOLDER
from views.medical_parts.ask import Given, series_in, volumes_of

SAMPLES, UPLOAD = "Samples", "Upload"
UPLOAD_LIMIT = 600  # MB
LIDC = "LIDC-IDRI (The Cancer Imaging Archive), CC BY 3.0"
DRAWN = "drawn by this repository"
INNEREYE = "a part of a thinned out test scan of InnerEye-DeepLearning (Microsoft, MIT licence)"


@dataclass(frozen=True)
class Sample:
    """A scan or a nodule to try: a file among the assets, or the seed of a drawing."""

    id: str
    title: str
    source: str
    file: str = ""
    seed: int = 0


THORAXES = (  # none of these seeds is in the set that networks learn from
    Sample("thorax-1", "A drawn thorax", DRAWN, seed=1001),
    Sample("thorax-2", "Another one", DRAWN, seed=1002),
    Sample("thorax-3", "A third", DRAWN, seed=1005),
)
CHESTS = (Sample("chest", "A chest CT", INNEREYE, "chest-ct.nii.gz"), *THORAXES[:1])
CUBES = (
    Sample("nodule-1", "A nodule", LIDC, "lidc-nodule-1.nii.gz"),
    Sample("nodule-2", "A smaller one", LIDC, "lidc-nodule-2.nii.gz"),
)
CUTOUTS = (
    Sample("benign-1", "Rated benign, large", LIDC, "lidc-benign-1.png"),
    Sample("benign-2", "Rated benign, small", LIDC, "lidc-benign-2.png"),
    Sample("malignant-1", "Rated malignant", LIDC, "lidc-malignant-1.png"),
    Sample("malignant-2", "Another one", LIDC, "lidc-malignant-2.png"),
)


def samples_for(network: Network) -> tuple[Sample, ...]:
    """Return the samples that suit a network."""
    contract = network.card.input
    if contract["goal"] == "bundle":
        return CHESTS
    if contract["goal"] == "malignancy" and contract["dims"] == 2:
        return CUTOUTS
    if contract["goal"] == "malignancy" or contract.get("centre") is not None:
        return CUBES
    return CHESTS if contract["dims"] == 2 else THORAXES


def choose(network: Network) -> Given | None:
    """Show the ways to bring a file, and return it; None while there is none."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        ways = [SAMPLES, UPLOAD]
        recall("scan-from", ways, SAMPLES, wanted=SAMPLES if "scan" in st.query_params else None)
        way = st.segmented_control("Scan from", ways, key="scan-from", required=True, label_visibility="collapsed")
        retain("scan-from")
        if way == SAMPLES:
            return _sample(samples_for(network))
    return _upload(network)


def _sample(choices: tuple[Sample, ...]) -> Given:
    known = {sample.id: sample for sample in choices}
    name = pick(
        st.pills, "Sample", list(known), key="scan", required=True, format_func=lambda id_: known[id_].title,
        label_visibility="collapsed",
    )  # fmt: skip
    return given_of(known[name])


def given_of(sample: Sample) -> Given:
    """Return a sample's file; a drawn one is drawn now."""
    if sample.file:
        return Given(sample.file, (FOLDER / sample.file).read_bytes(), sample.source)
    return Given(f"{sample.id}.nii.gz", drawn(sample.seed), sample.source)


@st.cache_data(max_entries=8, show_spinner=False)
def drawn(seed: int) -> bytes:
    """Return a drawn thorax as a .nii.gz file."""
    return compute(_draw, seed)


def _draw(seed: int) -> bytes:
    from medical_segmentation.phantom import save_phantom

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        save_phantom(seed, path, Path(folder) / "mask.nii.gz")
        return path.read_bytes()


def _upload(network: Network) -> Given | None:
    flat = network.card.input["goal"] == "malignancy" and network.card.input["dims"] == 2
    kinds = ["png", "jpg", "jpeg", "bmp", "tif", "tiff"] if flat else ["nii", "gz", "zip", "dcm", "mha", "nrrd"]
    label = "A picture of a nodule" if flat else "A scan"
    files = uploaded(label, kinds, key=f"medical-upload-{flat}", limit=UPLOAD_LIMIT, hidden=True)
    if not files:
        note(
            "One cut-out slice of a nodule, everything around it black. It is processed here and not kept."
            if flat
            else "NIfTI (.nii, .nii.gz), MetaImage, NRRD, or DICOM series as a zip. It is read here and not kept, "
            "and nothing that a header says of the patient is shown."
        )
        return None
    given = Given(files[0].name, files[0].data)
    if flat:
        return given
    if not given.name.lower().endswith((".zip", ".dcm")):
        count = volumes_of(given)
        if count < 2:
            return given
        volume = st.number_input(
            f"Which of {count} volumes, 0 to {count - 1}", 0, count - 1, key=f"volume-{given.digest[:12]}"
        )
        return replace(given, volume=volume)
    found = series_in(given)
    if len(found) < 2:
        return given
    numbers = [str(number) for number in range(1, len(found) + 1)]
    chosen = st.selectbox(
        f"{len(found)} series in this file", numbers, key=f"series-{given.digest[:12]}",
        format_func=lambda number: found[int(number) - 1],
    )  # fmt: skip
    return replace(given, series=chosen)
