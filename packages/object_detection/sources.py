"""Which pictures a folder holds and which files say what is in them: VOC, COCO, YOLO, or a table.

    FOLDER/Annotations/a.xml  FOLDER/JPEGImages/a.jpg                     PASCAL VOC; lists in ImageSets/Main
    FOLDER/train/_annotations.coco.json  FOLDER/annotations/instances_val.json      COCO
    FOLDER/images/train/a.jpg  FOLDER/labels/train/a.txt  FOLDER/data.yaml           YOLO
    FOLDER/boxes.csv  FOLDER/photos/a.jpg                                  a table, one row a box

A part of the path or of the file's name such as train, valid or test says which split a picture belongs to.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cnn_core.data.images import SUFFIXES
from cnn_core.data.splits import SPLIT_NAMES
from cnn_core.data.summary import Omissions, counted
from cnn_core.data.tables import TABLES, table_suffix
from cnn_core.errors import DataError
from object_detection.coco import is_captions, is_coco, read_coco
from object_detection.pictures import Claim, Folder, settle
from object_detection.record import Record
from object_detection.tables import read_boxes
from object_detection.voc import read_voc, voc_ids
from object_detection.yolo import is_yolo, read_yolo, texts_of, yolo_labels

EXPECTED = (
    "expected pictures with boxes: XML files of PASCAL VOC, a JSON file of COCO, text files of YOLO, or a table with "
    "filename, label, xmin, ymin, xmax, ymax"
)


@dataclass(frozen=True)
class Named:
    """A record and the picture that it is of."""

    file: Path
    record: Record
    split: str  # train, val, test, or "" where nothing says so


def read_folder(root: Path, left_out: Omissions) -> tuple[list[Named], list[str]]:
    """Return the pictures that the annotations of a folder name, and sentences on how they were read.

    Raises:
        DataError: there are no annotations, or they are damaged.
    """
    folder = Folder(root)
    tried: list[tuple[list[Named], str, Omissions]] = []
    for reader in (_read_voc, _read_coco, _read_yolo, _read_tables):
        missing = Omissions()
        tried.append((*reader(folder, missing), missing))
    best = max(tried, key=lambda entry: len({one.file for one in entry[0] if one.record.source}))
    named, said, missing = best
    if not named:
        lost = "".join(f"; {entry}" for *_, each in tried for entry in each.all)
        raise DataError(f"{root}: {EXPECTED}; found {len(folder.pictures):,} pictures and none of these{lost}")
    left_out.join(missing)
    others = [text for found, text, lost in tried if (found or lost.all) and found is not named]
    read = [said, *(f"not used: {text}" for text in others)]
    unnamed = len({*folder.pictures} - {entry.file for entry in named})
    if unnamed:
        example = next(f for f in folder.pictures if f not in {entry.file for entry in named})
        left_out.add("pictures that no annotation names", example.relative_to(root).as_posix(), unnamed)
    return named, read


def _read_voc(folder: Folder, left_out: Omissions) -> tuple[list[Named], str]:
    files = [file for file in folder.files if file.suffix.lower() == ".xml"]
    splits = _voc_splits(folder, files, left_out)
    held, missing = settle([folder.by_place(read_voc(file), file) for file in files])
    for claim in missing:
        left_out.add("annotations whose picture is missing", claim.by.relative_to(folder.root).as_posix())
    named = [
        Named(picture, claim.record, splits.get(claim.by, "") or folder.split_of(claim.by, picture))
        for picture, claim in held
    ]
    return named, f"{len(files):,} XML files of PASCAL VOC"


def _voc_splits(folder: Folder, files: Sequence[Path], left_out: Omissions) -> dict[Path, str]:
    """Return XML file -> the split that a list in ImageSets/Main gives it, whatever form of its name the list has."""
    named: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        named[file.stem].append(file)
    found: dict[Path, str] = {}
    for listed in folder.files:
        split = SPLIT_NAMES.get(listed.stem.lower()) if listed.suffix.lower() == ".txt" else None
        if split is None or listed.parent.name != "Main":
            continue
        for name in voc_ids(listed, named):
            place = PurePosixPath(name.replace("\\", "/"))
            stem = place.name if place.name in named else place.stem if place.suffix.lower() in SUFFIXES else ""
            fits = [file for file in named.get(stem, []) if listed.parents[2] in file.parents]
            inner = [file for file in fits if file.parent.name == place.parent.name]
            if not fits:
                left_out.add(f"lines of {listed.name} in ImageSets/Main without an annotated picture", name)
            for file in inner or fits:
                if found.setdefault(file, split) != split:
                    left_out.add("further splits of pictures that several lists name, which stay in the first", name)
    return found


def _read_coco(folder: Folder, left_out: Omissions) -> tuple[list[Named], str]:
    every = [file for file in folder.files if file.suffix.lower() == ".json" and is_coco(file)]
    captions = [file for file in every if is_captions(file)]
    files = [file for file in every if file not in captions]
    held, missing = settle([folder.by_name(record, file) for file in files for record in read_coco(file)])
    for claim in missing:
        left_out.add("pictures missing that are annotated", claim.record.picture)
    named = [Named(picture, claim.record, folder.split_of(claim.by, picture)) for picture, claim in held]
    rest = f"; no boxes are in {', '.join(file.name for file in captions[:3])}, which has captions" if captions else ""
    return named, f"read as COCO: {', '.join(file.name for file in files[:3])}{_elsewhere(held)}{rest}"


def _read_yolo(folder: Folder, left_out: Omissions) -> tuple[list[Named], str]:
    texts = _texts(folder)
    used = {*texts.values()}
    for file in texts_of(folder.files):
        if file not in used and is_yolo(file):
            left_out.add("files of YOLO whose picture is missing", file.relative_to(folder.root).as_posix())
    if not texts:
        return [], "files of YOLO"
    labels, source = yolo_labels(folder.root)
    listed, lists = _listed(folder)
    named = []
    for picture in folder.pictures:
        name = picture.relative_to(folder.root).as_posix()
        text = texts.get(picture)
        record = read_yolo(text, labels, name) if text else Record(name, [], [], [], None, True, "")
        named.append(Named(picture, record, listed.get(picture) or folder.split_of(picture)))
    names = f"class names from {source}" if labels else "no class names beside them, so numbers"
    said = [f"{counted(len(used), 'files of YOLO')}, {names}; pictures without one are background"]
    if shared := [text.name for text, count in Counter(texts.values()).items() if count > 1]:
        said.append(
            f"{counted(len(shared), 'files')} of several pictures of one name, which all get its boxes: "
            f"{', '.join(shared[:3])}"
        )
    if listed:
        said.append(f"the lists {', '.join(lists)} say which split a picture belongs to")
    return named, "; ".join(said)


def _listed(folder: Folder) -> tuple[dict[Path, str], list[str]]:
    """Return picture -> the split whose list names it, of train.txt, val.txt and test.txt, and the lists' names."""
    found: dict[Path, str] = {}
    lists: list[str] = []
    for file in folder.files:
        split = SPLIT_NAMES.get(file.stem.lower()) if file.suffix.lower() == ".txt" else None
        if split is None or is_yolo(file):
            continue
        claims = [folder.by_name(Record(name, [], [], []), file) for name in voc_ids(file)]
        pictures = [claim.file for claim in claims if claim.file]
        lists += [file.name] * bool(pictures)
        for picture in pictures:
            found.setdefault(picture, split)
    return found, lists


def _texts(folder: Folder) -> dict[Path, Path]:
    """Return picture -> its text file: beside it, or in `labels` where it is in `images`; in any case."""
    texts = {f.relative_to(folder.root).with_suffix("").parts: f for f in folder.files if f.suffix.lower() == ".txt"}
    folded: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for parts, file in texts.items():
        folded[tuple(part.casefold() for part in parts)].append(file)
    places = {}
    for picture in folder.pictures if texts else ():
        parts = picture.relative_to(folder.root).with_suffix("").parts
        swaps = [k for k, part in enumerate(parts[:-1]) if part.casefold() == "images"]
        places[picture] = [parts, *((*parts[:k], "labels", *parts[k + 1 :]) for k in swaps)]
    found = {p: texts[place] for p, each in places.items() for place in reversed(each) if place in texts}
    used = {*found.values()}
    for picture, each in places.items():
        alike = [f for place in each for f in folded[tuple(part.casefold() for part in place)] if f not in used]
        if picture not in found and len(alike) == 1:
            found[picture] = alike[0]
    return found


def _read_tables(folder: Folder, left_out: Omissions) -> tuple[list[Named], str]:
    claims: list[Claim] = []
    used: list[str] = []
    problems: list[str] = []
    remarks: list[str] = []
    for file in folder.files:
        if table_suffix(file) not in TABLES or (file.suffix.lower() == ".json" and is_coco(file)):
            continue
        try:
            claims += [folder.by_name(record, file) for record in read_boxes(file, remarks)]
        except DataError as error:
            problems.append(str(error))
            continue
        used.append(file.name)
    held, missing = settle(claims)
    for claim in missing:
        left_out.add("pictures missing that a table names", claim.record.picture)
    named = [
        Named(picture, claim.record, claim.record.split or folder.split_of(claim.by, picture))
        for picture, claim in held
    ]
    if problems and not named and not any(f.suffix.lower() in (".xml", ".txt") for f in folder.files):
        raise DataError("; ".join(problems[:3]))
    tables: dict[Path, set[str]] = defaultdict(set)
    for picture, claim in held:
        tables[picture].add(claim.by.name)
    if shared := [each for each in tables.values() if len(each) > 1]:
        which = " and ".join(sorted(set.union(*shared))[:3])
        remarks.append(f"{counted(len(shared), 'pictures')} named in several tables ({which}) with the boxes of all")
    remarks += [f"not used: {problem}" for problem in problems[:3]]
    return named, "; ".join([f"boxes from {', '.join(used[:3])}{_elsewhere(held)}", *remarks])


def _elsewhere(held: Sequence[tuple[Path, Claim]]) -> str:
    """Return what to say of pictures that lie in another folder than the annotations have it."""
    names = [claim.record.picture for _, claim in held if claim.certainty[0] == 0]
    found = counted(len(names), "pictures found by name in another folder than they say")
    return f"; {found} ({names[0]})" if names else ""


def merged(named: Sequence[Named]) -> list[tuple[Path, list[Record], str]]:
    """Return of each picture all its records, whose boxes may be in different units, and its split."""
    by_file: dict[Path, list[Named]] = defaultdict(list)
    for entry in named:
        by_file[entry.file].append(entry)
    return [
        (file, [entry.record for entry in entries], next((entry.split for entry in entries if entry.split), ""))
        for file, entries in by_file.items()
    ]
