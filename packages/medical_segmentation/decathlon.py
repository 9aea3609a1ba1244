"""The layout of the Medical Segmentation Decathlon: a folder with dataset.json, images and masks.

    dataset.json   "labels": {"0": "background", "1": "liver"}, "modality": {"0": "CT"},
                   "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}, ...]
    splits.json    optional: {"train": ["a", ...], "val": [...], "test": [...]}, names of files without their ending

Antonelli et al. 2022, "The Medical Segmentation Decathlon", doi:10.1038/s41467-022-30695-9.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnn_core.errors import DataError

JSON_LIMIT = 16 << 20  # bytes
MAX_LABELS = 255  # besides background: masks of networks are bytes
SHOWN = 20  # problems that a message lists
EXAMPLE = (
    '{"labels": {"0": "background", "1": "liver"}, "modality": {"0": "CT"}, "training": [{"image": ..., "label": ...}]}'
)
PARTS = ("train", "val", "test")
ENDINGS = (  # of scans, and of pictures of nodules
    ".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img", ".dcm", ".dicom", ".ima", ".zip",
    ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One scan and its mask, as files."""

    name: str  # the image's file name without its ending
    image: Path
    label: Path


@dataclass(frozen=True)
class Decathlon:
    """A folder in the Decathlon layout.

    Args:
        folder: the folder of dataset.json.
        labels: names by number; number 0 is the background, the others rise without gaps.
        values: their numbers in the mask files.
        modality: "CT", "MRI" ..., "" if unknown.
        cases: those whose two files are there, by name.
        splits: part -> names of its cases, as splits.json has it; None: there is none.
        problems: what is wrong with the rest, in sentences.
    """

    folder: Path
    labels: tuple[str, ...]
    values: tuple[int, ...]
    modality: str
    cases: tuple[Case, ...] = field(repr=False)
    splits: Mapping[str, tuple[str, ...]] | None = field(repr=False)
    problems: tuple[str, ...] = ()


def read_decathlon(folder: Path) -> Decathlon:
    """Read the description of a folder; images and masks are not opened (see `checker`).

    Raises:
        DataError: dataset.json is missing or damaged, or names no labels or no cases.
    """
    file = folder / "dataset.json"
    if not file.is_file():
        raise DataError(
            f"{folder}: no dataset.json, expected the layout of the Medical Segmentation Decathlon: imagesTr, labelsTr "
            f"and a dataset.json such as {EXAMPLE}"
        )
    table = _read_json(file)
    problems: list[str] = []
    labels = _labels(table.get("labels"), problems)
    modality = _modality(table, problems)
    cases = _cases(folder, table.get("training"), problems)
    splits = _splits(folder / "splits.json", {case.name for case in cases}, problems)
    if problems and (not cases or len(labels) < 2 or 0 not in labels):  # nothing is left to check
        raise DataError(f"{file}: {listed(problems)}")
    numbers = tuple(sorted(labels))
    names = tuple(labels[number] for number in numbers)
    return Decathlon(folder, names, numbers, modality, tuple(cases), splits, tuple(problems))


def listed(problems: list[str]) -> str:
    """Join sentences for a message, at most `SHOWN` of them."""
    rest = len(problems) - SHOWN
    return "; ".join(problems[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def stem(name: str) -> str:
    """Return a file's name without folder and ending: `"imagesTr/a.nii.gz" -> "a"`; `"1.2.840.113.1"` has none."""
    name = Path(name).name
    for ending in ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > JSON_LIMIT:
            raise ValueError(f"larger than {JSON_LIMIT >> 20} MB")
        table = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({error}); expected JSON such as {EXAMPLE}") from error
    if not isinstance(table, Mapping):
        raise DataError(f"{file}: expected a JSON object such as {EXAMPLE}, got {type(table).__name__}")
    return table


def _labels(table: Any, problems: list[str]) -> dict[int, str]:
    """Return number -> name; nnU-Net writes the pairs the other way round, both are read."""
    names: dict[int, str] = {}
    if isinstance(table, Mapping):
        for key, value in table.items():
            number, name = (key, value) if isinstance(value, str) and not value.isdecimal() else (value, key)
            if str(number).isascii() and str(number).isdecimal() and int(number) <= 65535 and str(name).strip():
                if int(number) in names:
                    problems.append(f"labels: {number} is given twice")
                names[int(number)] = str(name).strip()
            else:
                problems.append(f"labels: expected a number and a name, got {key!r}: {value!r}")
    if 0 not in names or not 2 <= len(names) <= MAX_LABELS + 1:
        problems.append(
            f'labels: expected "0": "background" and 1 to {MAX_LABELS} others, got {table!r:.80}; give each value that '
            "occurs in the masks its name"
        )
    for name, count in Counter(names.values()).items():
        if count > 1:
            problems.append(f"labels: {name!r} names {count} of them")
    return names


def _modality(table: Mapping[str, Any], problems: list[str]) -> str:
    channels = table.get("modality", table.get("channel_names", {}))
    if not isinstance(channels, Mapping):
        problems.append(f'modality: expected an object such as {{"0": "CT"}}, got {channels!r:.80}')
        return ""
    if len(channels) > 1:
        names = ", ".join(map(str, channels.values()))
        problems.append(f"modality: the scans have {len(channels)} channels ({names}); the networks here take one")
    return str(next(iter(channels.values()), ""))


def _cases(folder: Path, entries: Any, problems: list[str]) -> list[Case]:
    if not isinstance(entries, list) or not entries:
        problems.append('training: expected a list of {"image": ..., "label": ...}')
        return []
    cases: list[Case] = []
    root = folder.resolve()
    for i, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not all(isinstance(entry.get(k), str) for k in ("image", "label")):
            problems.append(f'training, entry {i}: expected {{"image": ..., "label": ...}}, got {entry!r:.80}')
            continue
        paths = {key: folder / entry[key] for key in ("image", "label")}
        outside = [key for key, path in paths.items() if not path.resolve().is_relative_to(root)]
        problems += [f"training, entry {i}: the {key} is outside the folder" for key in outside]
        missing = [key for key, path in paths.items() if key not in outside and not path.is_file()]
        problems += [f"{stem(entry['image'])}: the {key} {entry[key]} is missing" for key in missing]
        if not outside and not missing:
            cases.append(Case(stem(entry["image"]), paths["image"], paths["label"]))
    for name, count in Counter(case.name for case in cases).items():
        if count > 1:
            problems.append(f"{name}: listed {count} times")
    return sorted(cases, key=lambda case: case.name)


def _splits(file: Path, known: set[str], problems: list[str]) -> Mapping[str, tuple[str, ...]] | None:
    if not file.exists():
        return None
    table = _read_json(file)
    splits: dict[str, tuple[str, ...]] = {}
    for part in PARTS:
        names = table.get(part, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            problems.append(f"splits.json: {part}: expected a list of case names, got {names!r:.80}")
            continue
        splits[part] = tuple(names)
    counts = Counter(name for names in splits.values() for name in names)
    problems += [f"splits.json: {name} is in {count} places" for name, count in counts.items() if count > 1]
    problems += [f"splits.json: there is no case {name}" for name in counts if name not in known]
    if not splits.get("train"):
        problems.append("splits.json: no case to train on")
    return splits
