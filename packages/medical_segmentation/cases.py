"""Cases as files: a scan and its mask by name, pairs of them in folders, and the patients that names tell.

imagesTr/case_0000.nii.gz  labelsTr/case.nii.gz     nnU-Net: the number of the channel follows the name
images/case.nii.gz         labels/case_seg.nii.gz
train/images ...           test/images ...          or images/train, labels/train
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnn_core.data.summary import Omissions
from medical_segmentation.safety import bare_kind_of
from medical_segmentation.sources import PICTURES

SCANS = (".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img", ".dcm", ".dicom", ".ima", ".zip", ".nrrd", ".nhdr",
         ".mha", ".mhd")  # fmt: skip
ENDINGS = (*SCANS, ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")  # and of pictures of nodules
PARTS = ("train", "val", "test")
SHOWN = 20  # problems that a message lists
IMAGE_FOLDERS = ("imagestr", "images", "image", "imgs", "img", "scans", "volumes", "ct", "mr", "mri")
LABEL_FOLDERS = ("labelstr", "labels", "label", "masks", "mask", "segmentations", "segmentation", "seg", "annotations")
FURTHER = {"val": (("imagesval",), ("labelsval",)), "test": (("imagests",), ("labelsts",))}  # beside imagesTr
PART_FOLDERS = {
    "train": ("train", "training"), "val": ("val", "valid", "validation", "dev"), "test": ("test", "testing"),
}  # fmt: skip
CHANNEL = re.compile(r"_\d{4}$")  # nnU-Net's, at the end of an image's name
OF_A_MASK = re.compile(r"[-_. ](seg|segmentation|label|labels|mask|gt|roi)$", re.IGNORECASE)
OF_AN_IMAGE = re.compile(r"[-_. ](ct|mr|mri|img|image|scan)$", re.IGNORECASE)
FOLDS = 5
HELD_OUT = 7  # one case in this many is for validation, and one for the test, where there is no split
NAMED = 6  # cases that a sentence names


@dataclass(frozen=True)
class Case:
    """One scan and its mask, as files.

    Args:
        name: the image's file name without its ending and channel, with its folder where that is not unique.
        image: a file, or the folder of a DICOM series.
        label: the mask.
        patient: whose it is, as the description says; "" where it does not.
        part: of a description that divides its cases: train, val or test.
    """

    name: str
    image: Path
    label: Path
    patient: str = ""
    part: str = "train"


def listed(problems: Sequence[str]) -> str:
    """Join sentences for a message, at most `SHOWN` of them."""
    rest = len(problems) - SHOWN
    return "; ".join(problems[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def stem(name: str) -> str:
    """Return a file's name without folder and ending: `"imagesTr/a.nii.gz" -> "a"`; `"1.2.840.113.1"` has none."""
    name = Path(name).name
    for ending in ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def key_of(name: str) -> str:
    """Return what names of the same case have in common: without case, accents' encoding, and the ending of a mask."""
    return OF_A_MASK.sub("", unicodedata.normalize("NFC", name)).casefold()


def pairs(folder: Path, left_out: Omissions) -> list[Case]:
    """Pair the scans and masks in the folders that `folder` holds, each in its part; none where there are no such.

    Args:
        folder: of images and labels, or of train, val and test with these.
        left_out: gets what has no partner.
    """
    cases: list[Case] = []
    for part, images, labels in _places(folder):
        cases += _pair(images, labels, part, left_out)
    return unique(cases, folder)


def unique(cases: Sequence[Case], folder: Path) -> list[Case]:
    """Return the cases by name; those that share their name get that of their folders before it."""
    seen: dict[str, int] = {}
    for case in cases:
        seen[case.name] = seen.get(case.name, 0) + 1
    renamed = []
    for case in cases:
        name = case.name
        if seen[name] > 1:
            parent = case.image.parent
            parts = parent.relative_to(folder).parts if parent.is_relative_to(folder) else parent.parts[-1:]
            name = "/".join((*parts, name))
        renamed.append(Case(name, case.image, case.label, case.patient, case.part))
    return sorted(renamed, key=lambda case: case.name)


def patients(cases: Sequence[Case]) -> dict[str, str]:
    """Return name of a case -> its patient, itself where nothing tells of one.

    A description's word counts; else the beginning of a name up to its first number, where more follows:
    `patient001_frame01` is of `patient001`, `BraTS-GLI-00005-100` of `BraTS-GLI-00005`, `lung_001` of itself.
    """
    if any(case.patient for case in cases):
        return {case.name: case.patient or case.name for case in cases}
    return {case.name: _patient(case.name) for case in cases}


def _patient(name: str) -> str:
    tokens = re.split(r"([-_ /]+)", name)
    for end in range(0, len(tokens), 2):
        if any(sign.isdigit() for sign in tokens[end]):
            return "".join(tokens[: end + 1])
    return name


def entries(folder: Path) -> dict[str, Path]:
    """Return name in lower case -> visible entry of a folder; none where it is no folder."""
    if not folder.is_dir():
        return {}
    return {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")}


def _places(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Yield part, folder of images, folder of labels."""
    here = entries(folder)

    def pick(names: Sequence[str], among: Mapping[str, Path]) -> Path | None:
        return next((among[name] for name in names if name in among and among[name].is_dir()), None)

    images, labels = pick(IMAGE_FOLDERS, here), pick(LABEL_FOLDERS, here)
    if images is not None and labels is not None:
        divided = False
        for part, names in PART_FOLDERS.items():
            inner = pick(names, entries(images)), pick(names, entries(labels))
            if inner[0] is not None and inner[1] is not None:
                divided = True
                yield part, inner[0], inner[1]
        if not divided:
            yield "train", images, labels
    for part, (of_images, of_labels) in FURTHER.items():
        further = pick(of_images, here), pick(of_labels, here)
        if further[0] is not None and further[1] is not None:
            yield part, further[0], further[1]
    if images is None or labels is None:
        for part, names in PART_FOLDERS.items():
            below = entries(inside) if (inside := pick(names, here)) is not None else {}
            images, labels = pick(IMAGE_FOLDERS, below), pick(LABEL_FOLDERS, below)
            if images is not None and labels is not None:
                yield part, images, labels


def _pair(images: Path, labels: Path, part: str, left_out: Omissions) -> list[Case]:
    scans, masks = _files(images, left_out, folders=True), _files(labels, left_out)
    numbered = all(CHANNEL.search(stem(path.name)) for path in scans) and bool(scans)
    by_key = {key_of(stem(path.name)): path for path in masks}
    cases, used = [], set()
    for path in scans:
        name = CHANNEL.sub("", stem(path.name)) if numbered else stem(path.name)
        if numbered and not path.name.lower().startswith(f"{name.lower()}_0000"):
            left_out.add("further channels of a scan", path.name)
            continue
        key = next((k for k in (key_of(name), key_of(OF_AN_IMAGE.sub("", name))) if k in by_key), None)
        if key is None:
            left_out.add(f"scans without a mask in {labels.name}", path.name)
            continue
        used.add(key)
        cases.append(Case(name, path, by_key[key], part=part))
    for key, path in by_key.items():
        if key not in used:
            left_out.add(f"masks without a scan in {images.name}", path.name)
    for path in set(masks) - set(by_key.values()):
        left_out.add("masks of the same name as another", path.name)
    return cases


def _files(folder: Path, left_out: Omissions, *, folders: bool = False) -> list[Path]:
    """Return the scans in a folder; of a header and its data the header."""
    found = []
    here = entries(folder)
    for name, path in here.items():
        header = re.sub(r"\.img(\.gz)?$", r".hdr\1", name)
        if path.is_dir() if folders and path.is_dir() else name.endswith(SCANS) and path.is_file():
            if header == name or header not in here:
                found.append(path)
        else:
            bare = path.is_file() and bare_kind_of(path)
            left_out.add(PICTURES if bare else "files that are no scans", path.name)
    return found
