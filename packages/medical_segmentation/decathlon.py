"""Sets of labelled scans: a folder with dataset.json, images and masks, of the Decathlon, of nnU-Net v2 or of MONAI.

    dataset.json   "labels": {"0": "background", "1": "liver"}, "modality": {"0": "CT"},
                   "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}, ...]
                   nnU-Net v2: "channel_names" instead of "modality", labels by name, no list: the files are those of
                   imagesTr (a_0000.nii.gz) and labelsTr; MONAI: "validation" and "test" beside "training"
    splits.json    optional: {"train": ["a", ...], "val": [...], "test": [...]}, names of files without their ending

Without dataset.json, scans and masks of the same name in images/ and labels/ are paired (see `cases`).
Antonelli et al. 2022, "The Medical Segmentation Decathlon", doi:10.1038/s41467-022-30695-9; Isensee et al. 2021,
"nnU-Net", doi:10.1038/s41592-020-01008-z, with its labels "ignore" and its regions.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cnn_core.data.summary import LeftOut, Omissions
from cnn_core.errors import DataError
from medical_segmentation.cases import CHANNEL, PARTS, Case, key_of, listed, pairs, stem, unique
from medical_segmentation.labels import MAX_LABELS, named_labels

JSON_LIMIT = 16 << 20  # bytes
EXAMPLE = (
    '{"labels": {"0": "background", "1": "liver"}, "modality": {"0": "CT"}, "training": [{"image": ..., "label": ...}]}'
)
LISTS = {  # of dataset.json -> part
    "training": "train", "validation": "val", "val": "val", "test": "test", "testing": "test",
}  # fmt: skip
FOLDS_OF_NNUNET = "splits_final.json"
PATIENT = ("patient", "patient_id", "patientid", "subject", "subject_id", "group")  # of an entry


@dataclass(frozen=True)
class Decathlon:
    """A folder of labelled scans.

    Args:
        folder: the folder of dataset.json.
        labels: names by number; number 0 is the background, the others rise; empty where nothing names them.
        values: their numbers in the mask files; of a region of nnU-Net its first.
        modality: "CT", "MRI" ..., "" if unknown.
        cases: those whose two files are there, by name.
        splits: part -> names of its cases, as splits.json, dataset.json or folders have it; None: there are none.
        problems: what is wrong with the rest, in sentences.
        numbers: number in the mask files -> index of its label, where regions join several of them.
        ignored: number of the voxels that nobody has labelled; None: there are none.
        read: how it was read, in sentences.
        left_out: what is not used.
        named: the labels have names of their own.
    """

    folder: Path
    labels: tuple[str, ...]
    values: tuple[int, ...]
    modality: str
    cases: tuple[Case, ...] = field(repr=False)
    splits: Mapping[str, tuple[str, ...]] | None = field(repr=False)
    problems: tuple[str, ...] = ()
    numbers: Mapping[int, int] = field(default_factory=dict, repr=False)
    ignored: int | None = None
    read: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    named: bool = True

    @property
    def index(self) -> Mapping[int, int]:
        """Number in the mask files -> index of its label."""
        return self.numbers or {value: index for index, value in enumerate(self.values)}


class _Reader:
    """What is found wrong and left out while a description is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self.read: list[str] = []
        self.left_out = Omissions()
        self.moved = 0  # absolute paths that were found in the folder


def read_decathlon(path: Path) -> Decathlon:
    """Read the description of a set; images and masks are not opened (see `checker`).

    Args:
        path: its folder, or the JSON file that describes it.

    Raises:
        DataError: the description is damaged, or names no labels or no cases; or there is none, and no pairs.
    """
    folder = path.parent if path.is_file() else path
    file = path if path.is_file() else folder / "dataset.json"
    reader = _Reader(folder)
    if not file.is_file():
        return _without_description(reader)
    table = _read_json(file)
    labels, numbers, ignored = named_labels(table.get("labels"), reader.problems, reader.read)
    modality = _modality(table, reader.problems)
    cases = _cases(table, reader)
    table_of_patients = table.get("patients", table.get("groups"))
    cases = _with_patients(cases, table_of_patients, reader) if table_of_patients is not None else cases
    splits = _splits(folder / "splits.json", cases, reader)
    if reader.problems and (not cases or len(labels) < 2 or 0 not in labels):  # nothing is left to check
        raise DataError(f"{file}: {listed(reader.problems)}")
    if reader.moved:
        reader.read.append(f"{reader.moved} absolute paths of {file.name} were taken for files of this folder")
    values = tuple(sorted(labels))
    names = tuple(labels[value] for value in values)
    index = {number: values.index(value) for number, value in numbers.items()}
    return Decathlon(
        folder, names, values, modality, tuple(cases), splits, tuple(reader.problems), index, ignored,
        tuple(reader.read), reader.left_out.all,
    )  # fmt: skip


def _without_description(reader: _Reader) -> Decathlon:
    folder = reader.folder
    cases = pairs(folder, reader.left_out)
    if not cases:
        said = f"; found {listed([str(entry) for entry in reader.left_out.all])}" if reader.left_out.all else ""
        raise DataError(
            f"{folder}: no dataset.json, expected the layout of the Medical Segmentation Decathlon: imagesTr, labelsTr "
            f"and a dataset.json such as {EXAMPLE}; or images and labels with files of the same names{said}"
        )
    splits = _splits(folder / "splits.json", cases, reader)
    reader.read.append("there is no dataset.json: scans and masks were paired by their names")
    return Decathlon(
        folder, (), (), "", tuple(cases), splits, tuple(reader.problems), read=tuple(reader.read),
        left_out=reader.left_out.all,
    )  # fmt: skip


def named_by_numbers(source: Decathlon, found: Iterable[int]) -> Decathlon:
    """Return a set without names of labels with those of the numbers that its masks hold."""
    values = (0, *sorted({*found} - {0}))
    if len(values) > MAX_LABELS + 1:
        raise DataError(
            f"{source.folder}: the masks hold {len(values):,} different numbers, expected at most {MAX_LABELS}: these "
            f"may be scans, or probabilities; name the labels in a dataset.json such as {EXAMPLE}"
        )
    names = ("background", *(f"label {value}" for value in values[1:]))
    said = "the labels have no names, they are called by their numbers; a dataset.json can name them"
    return replace(source, labels=names, values=values, read=(*source.read, said), named=False)


def join(source: Decathlon, test: Decathlon) -> Decathlon:
    """Return a set with the cases of another one as its test cases.

    Raises:
        DataError: the other one has other labels, or other numbers for them.
    """
    if not {*zip(test.labels, test.values, strict=True)} <= {*zip(source.labels, source.values, strict=True)}:
        came, wanted = (
            ", ".join(f"{value} {label}" for value, label in zip(s.values, s.labels, strict=True))
            for s in (test, source)
        )
        raise DataError(f"{test.folder} has the labels {came:.200}, expected some of {wanted:.200} with their numbers")
    taken = {case.name for case in source.cases}
    cases = [replace(c, name=f"test/{c.name}" if c.name in taken else c.name, part="test") for c in test.cases]
    given = source.splits or {"train": tuple(taken)}
    outside = tuple(given.get("test", ()))
    splits = {**given, "test": tuple(case.name for case in cases)}
    left_out = test.left_out
    if outside:
        left_out += (LeftOut("test cases of the set, since --test names others", len(outside), outside[:3]),)
    return replace(
        source, cases=tuple(c for c in source.cases if c.name not in outside) + tuple(cases), splits=splits,
        problems=source.problems + test.problems, left_out=source.left_out + left_out,
    )  # fmt: skip


def _read_json(file: Path) -> Mapping[str, Any]:
    def once(found: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated = sorted(key for key, count in Counter(key for key, _ in found).items() if count > 1)
        if repeated:
            raise ValueError(f"given more than once: {', '.join(repeated[:5])}")
        return dict(found)

    try:
        if file.stat().st_size > JSON_LIMIT:
            raise ValueError(f"larger than {JSON_LIMIT >> 20} MB")
        table = json.loads(file.read_text("utf-8-sig"), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file} cannot be read ({error}); JSON has no comments and no comma after the last entry; expected one "
            f"such as {EXAMPLE}"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} cannot be read ({error}); expected JSON such as {EXAMPLE}") from error
    if not isinstance(table, Mapping):
        raise DataError(f"{file}: expected a JSON object such as {EXAMPLE}, got {type(table).__name__}")
    return table


def _modality(table: Mapping[str, Any], problems: list[str]) -> str:
    channels = table.get("modality", table.get("channel_names", {}))
    if isinstance(channels, str):
        channels = {"0": channels}
    if isinstance(channels, list):
        channels = dict(enumerate(channels))
    if not isinstance(channels, Mapping):
        problems.append(f'modality: expected an object such as {{"0": "CT"}}, got {channels!r:.80}')
        return ""
    if len(channels) > 1:
        names = ", ".join(map(str, channels.values()))
        problems.append(
            f"modality: the scans have {len(channels)} channels ({names}); the networks here take one: write a "
            "dataset.json with one of them"
        )
    return str(next(iter(channels.values()), ""))


def _cases(table: Mapping[str, Any], reader: _Reader) -> list[Case]:
    """Return the cases of the lists in dataset.json; where it does not list the training, those of the folders too."""
    further = table.get("dataset")  # nnU-Net v2: where its files lie, where they are not in imagesTr
    if "training" not in table and isinstance(further, Mapping) and further:
        table = {**table, "training": [_entry_of(name, entry) for name, entry in further.items()]}
    cases: list[Case] = []
    entries: list[Any] = []
    for name, part in LISTS.items():
        listed_here = table.get(name)
        if name == "training" and name in table and (not isinstance(listed_here, list) or not listed_here):
            reader.problems.append('training: expected a list of {"image": ..., "label": ...}')
        elif listed_here and not isinstance(listed_here, list):
            reader.problems.append(f'{name}: expected a list of {{"image": ..., "label": ...}}')
        else:
            read = (_case(name, i, entry, part, reader) for i, entry in enumerate(listed_here or ()))
            cases += [case for case in read if case is not None]
            entries += listed_here or ()
    same: dict[Path, list[str]] = {}
    for case in cases:
        same.setdefault(case.image, []).append(case.part)
    reader.problems += [
        f"{stem(image.name)}: listed {len(parts)} times, for {' and '.join(dict.fromkeys(parts))}; list it once"
        for image, parts in same.items()
        if len(parts) > 1
    ]
    if any(isinstance(entry, Mapping) and "fold" in entry for entry in entries):
        reader.read.append("the folds in dataset.json are not used; --fold divides the cases anew")
    if "training" not in table:
        found = [case for case in pairs(reader.folder, reader.left_out) if case.image not in same]
        _compare_count(table, len([case for case in found if case.part == "train"]), reader)
        cases = found + cases
    if not cases and not reader.problems:
        reader.problems.append(
            'training: expected a list of {"image": ..., "label": ...}, or imagesTr and labelsTr with files of the '
            "same names"
        )
    return unique(cases, reader.folder)


def _compare_count(table: Mapping[str, Any], found: int, reader: _Reader) -> None:
    expected = table.get("numTraining")
    if isinstance(expected, int) and found and expected != found:
        reader.read.append(f"dataset.json speaks of {expected} training cases, {found} are there")


def _entry_of(name: str, entry: Any) -> Any:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("images"), list) or len(entry["images"]) != 1:
        return entry
    return {"image": entry["images"][0], "label": entry.get("label"), "name": name}


def _case(list_name: str, i: int, entry: Any, part: str, reader: _Reader) -> Case | None:
    where = f"{list_name}, entry {i}"
    if part != "train" and (isinstance(entry, str) or (isinstance(entry, Mapping) and not entry.get("label"))):
        reader.left_out.add(f"scans of the list {list_name!r} that have no mask", str(entry)[:60])
        return None
    if not isinstance(entry, Mapping) or not all(isinstance(entry.get(k), str) for k in ("image", "label")):
        if isinstance(entry, Mapping) and isinstance(entry.get("image"), list):
            reader.problems.append(f"{where}: several images of a case are channels, and the networks here take one")
        else:
            reader.problems.append(f'{where}: expected {{"image": ..., "label": ...}}, got {entry!r:.80}')
        return None
    paths = {}
    for kind in ("image", "label"):
        path = _inside(entry[kind], reader)
        if path is None:
            reader.problems.append(
                f"{where}: the {kind} is outside the folder ({entry[kind]:.80}); expected a path in {reader.folder}, "
                "which may be a link"
            )
        elif not path.exists() or (kind == "label" and not path.is_file()):
            reader.problems.append(f"{stem(entry['image'])}: the {kind} {entry[kind]} is missing")
        else:
            paths[kind] = path
    if len({*paths.values()}) == 1 and len(paths) == 2:
        reader.problems.append(f"{where}: image and label are the same file, {entry['image']}")
    if len({*paths.values()}) < 2:
        return None
    patient = next((str(entry[key]) for key in entry if key.lower() in PATIENT and entry[key] not in (None, "")), "")
    name = str(entry.get("name") or stem(paths["image"].name))
    if CHANNEL.search(name) and key_of(CHANNEL.sub("", name)) == key_of(stem(paths["label"].name)):
        name = CHANNEL.sub("", name)
    return Case(name, paths["image"], paths["label"], patient, part)


def _inside(text: str, reader: _Reader) -> Path | None:
    """Return the path of a file that dataset.json names, None if it leads out of the folder.

    Backslashes are those of Windows. The end of an absolute path of another machine may be in the folder. A link in the
    folder may lead anywhere: its owner has put it there.
    """
    folder = reader.folder
    written = PurePosixPath(text.replace("\\", "/"))
    if not (written.is_absolute() or PureWindowsPath(text).is_absolute()):
        return None if ".." in written.parts else folder / written
    if ".." not in written.parts:
        for base in (folder, folder.absolute()):
            if written.is_relative_to(base.as_posix()):
                return Path(written)
        for begin in range(1, len(written.parts)):
            end = folder.joinpath(*written.parts[begin:])
            if end.exists():
                reader.moved += 1
                return end
    return None


def _with_patients(cases: list[Case], table: Any, reader: _Reader) -> list[Case]:
    """Return the cases with the patients of a table {case: patient} or {patient: [cases]}."""
    if not isinstance(table, Mapping):
        reader.problems.append(f"patients: expected an object of cases and their patients, got {table!r:.80}")
        return cases
    of: dict[str, str] = {}
    for key, value in table.items():
        pairs_of = [(name, key) for name in value] if isinstance(value, list) else [(key, value)]
        of |= {key_of(stem(str(name))): str(patient) for name, patient in pairs_of}
    found = [replace(case, patient=case.patient or of.get(key_of(case.name), "")) for case in cases]
    if lost := [case.name for case in found if not case.patient]:
        reader.read.append(f"patients: {len(lost)} cases are not in the table and count as patients of their own")
    return found


def _splits(file: Path, cases: list[Case], reader: _Reader) -> Mapping[str, tuple[str, ...]] | None:
    problems = reader.problems
    if not file.exists():
        if (file.parent / FOLDS_OF_NNUNET).is_file():
            reader.read.append(f"{FOLDS_OF_NNUNET} of nnU-Net is not used; --fold divides the cases anew")
        parts = {part: tuple(case.name for case in cases if case.part == part) for part in PARTS}
        return parts if any(parts[part] for part in PARTS if part != "train") else None
    table = _read_json(file)
    known = {spelling: case.name for case in cases for spelling in (stem(case.name), case.name)}
    splits: dict[str, tuple[str, ...]] = {}
    for part in PARTS:
        names = table.get(part, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            problems.append(f"splits.json: {part}: expected a list of case names, got {names!r:.80}")
            continue
        splits[part] = tuple(known.get(name) or known.get(stem(name)) or str(name) for name in names)
    if unknown := sorted({*table} - {*PARTS}):
        reader.read.append(f"splits.json: {', '.join(unknown)[:80]} are not used, only train, val and test")
    counts = Counter(name for names in splits.values() for name in names)
    problems += [f"splits.json: {name} is in {count} places" for name, count in counts.items() if count > 1]
    problems += [f"splits.json: there is no case {name}" for name in counts if name not in known.values()]
    for name in (case.name for case in cases if case.name not in counts):
        reader.left_out.add("cases that splits.json does not name", name)
    return splits
