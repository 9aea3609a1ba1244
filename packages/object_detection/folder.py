"""A user's own pictures with boxes: read in any layout of `sources`, checked, and divided.

Pictures of one subfolder (a film, a place) stay in one split where there are enough subfolders, and so do copies, known
by their pixels, nearly the same ones too.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from cnn_core.data.cache import unpacked
from cnn_core.data.copies import nearly_same, same_pixels, together
from cnn_core.data.folders import natural
from cnn_core.data.frames import frame_notes, several_frames
from cnn_core.data.paths import custom_path
from cnn_core.data.splits import hold_out
from cnn_core.data.summary import DataSummary, Omissions, class_warnings
from cnn_core.errors import DataError
from cnn_core.weights.members import content_hashes
from object_detection.box_set import BoxSet, Truth
from object_detection.checks import OVER, Checked, check
from object_detection.contract import BoxContract
from object_detection.sources import EXPECTED, merged, read_folder

TEST_SHARE, VAL_SHARE = 0.2, 0.1
DOUBTFUL = 0.3  # of the boxes that reach out of their picture, from which on they may be something else
GROUPS = 6  # subfolders that there must be for their pictures to stay together
LOOK = BoxContract((64, 64), (64,))  # what copies are looked for in


@dataclass(frozen=True)
class OwnBoxes:
    """All pictures of a folder, how they are divided, and what there is to say of them."""

    whole: BoxSet
    parts: dict[str, np.ndarray]  # train, val, test -> indices
    summary: DataSummary
    hashes: np.ndarray = field(repr=False)  # uint64 [N], of the pixels

    def split(self, name: str) -> BoxSet:
        """Return "train", "val", "train+val", "test" or "all"."""
        if name == "all":
            return self.whole
        return self.whole.subset(np.sort(np.concatenate([self.parts[part] for part in name.split("+")])), name)


def load_own(path: str | os.PathLike[str], known: list[str]) -> OwnBoxes:
    """Read the pictures and boxes of a folder or zip.

    Args:
        path: of the data.
        known: names of the domain's data sets, for messages.

    Raises:
        DataError: nothing can be learned from it; says what is expected.
        UnknownNameError: there is no such folder.
    """
    expected = EXPECTED.removeprefix("expected ")
    root = unpacked(custom_path(path, known, expected=expected, kinds=("folder", "zip")), "boxes")
    checked = Checked(Omissions())
    named, read = read_folder(root, checked.left_out)
    kept = []
    for file, records, split in merged(named):
        boxes = check(file, records, file.relative_to(root).as_posix(), checked)
        if boxes is not None:
            kept.append((file, records, split, boxes))
    labels = tuple(sorted({label for *_, boxes in kept for _, label, _ in boxes}, key=natural))
    if not any(not ignored for *_, boxes in kept for *_, ignored in boxes):
        left = "".join(f"; {reason}" for reason in (*checked.left_out.all, *checked.sentences))
        raise DataError(f"{path}: not one usable box in {len(kept):,} pictures{left}")
    truths = [
        Truth.of([b for b, *_ in boxes], [labels.index(x) for _, x, _ in boxes], [i for *_, i in boxes])
        for *_, boxes in kept
    ]
    files = [file for file, *_ in kept]
    whole = BoxSet(str(path), "all", labels, files, truths, tuple(f.relative_to(root).as_posix() for f in files))
    whole, views, places, several = _readable(whole, checked.left_out)
    hashes = content_hashes(view.numpy().tobytes() for view in views)
    given = np.array([kept[place][2] for place in places])
    by = "tables" if any(record.split for _, records, *_ in kept for record in records) else "folders"
    parts, divided, warnings = _divide(whole, views, given, by)
    count = sum(map(len, whole.truths))
    if (over := checked.changed[OVER]) > DOUBTFUL * count:
        warnings.append(
            f"{over:,} of {count:,} boxes reach out of their picture: are these other numbers (left, top, right, "
            "bottom in place of left, top, width, height, or the other way round), or of pictures that were turned?"
        )
    fractions = sum(any(record.fractions and record.boxes for record in records) for _, records, *_ in kept)
    read += [f"the boxes of {fractions:,} pictures are fractions of their edges"] if fractions else []
    read += several_frames(several)
    return OwnBoxes(
        whole, parts, _summary(whole, parts, divided, checked, [*read, *checked.sentences], warnings), hashes
    )


def _readable(whole: BoxSet, left_out: Omissions) -> tuple[BoxSet, torch.Tensor, list[int], int]:
    """Return the pictures that can be decoded, small views of them, uint8 [N, 3, h, w], and their old places; and how
    many of them are the first of several in their file."""
    views, kept, several = [], [], 0
    for place in range(len(whole)):
        try:
            picture = whole.picture(place)
        except DataError:
            left_out.add("pictures that are damaged", whole.item_name(place))
            continue
        views.append(LOOK.fit(picture)[0])
        kept.append(place)
        several += bool(frame_notes(picture))
    if not kept:
        raise DataError(f"{whole.name}: not one picture can be read")
    return whole.subset(kept, "all"), torch.stack(views), kept, several


def _divide(
    whole: BoxSet, views: torch.Tensor, given: np.ndarray, by: str
) -> tuple[dict[str, np.ndarray], str, list[str]]:
    """Return split -> indices, how they came about, and what lowers the trust in them."""
    folders = [Path(name).parent.as_posix() for name in whole.files]
    grouped = len({*folders}) >= GROUPS and len({*folders}) < len(whole) / 2
    alike, same = nearly_same(views), same_pixels(views).tolist()
    copied = together(len(whole), alike, same)
    units = together(len(whole), alike, same, folders) if grouped else copied
    pool = np.flatnonzero((given == "") | (given == "train"))
    if not len(pool):
        raise DataError(f"{whole.name}: every picture is in a test or validation folder; none is left for training")
    missing = [(p, share) for p, share in (("val", VAL_SHARE), ("test", TEST_SHARE)) if not (given == p).any()]
    held = hold_out(
        _rarest(whole)[pool], [share for _, share in missing], keys=[whole.files[i] for i in pool],
        groups=units[pool].tolist(),
    )  # fmt: skip
    parts = {part: np.flatnonzero(given == part) for part in ("train", "val", "test")}
    parts |= {part: pool[index] for part, index in zip(["train", *(p for p, _ in missing)], held, strict=True)}
    warnings = []
    copies = int(np.isin(copied[parts["test"]], copied[parts["train"]]).sum())
    if copies:
        warnings.append(
            f"{copies} test pictures are copies of training pictures, or nearly, which flatters the figures"
        )
    if not missing:
        return parts, f"as the {by} say", warnings
    names = {"val": f"{VAL_SHARE:.0%} for validation", "test": f"{TEST_SHARE:.0%} for the test"}
    kept = "pictures of a subfolder and copies together" if grouped else "copies together"
    return parts, f"{' and '.join(names[p] for p, _ in missing)} held out by file names, {kept}", warnings


def _rarest(whole: BoxSet) -> np.ndarray:
    """Return of every picture its rarest class, K where it has no box: int64 [N]. They are divided alike."""
    counts = whole.counts()
    each = [counts[label] for label in whole.labels]
    return np.array([min(t.classes.tolist(), key=each.__getitem__, default=len(each)) for t in whole.truths])


def _summary(
    whole: BoxSet, parts: dict[str, np.ndarray], divided: str, checked: Checked, read: list[str], warnings: list[str]
) -> DataSummary:
    from object_detection.data import summary_of

    sets = {part: whole.subset(index, part) for part, index in parts.items()}
    summary = summary_of(sets, divided=divided, left_out=checked.left_out, read=read)
    return DataSummary(
        **{**vars(summary), "data": whole.name, "warnings": (*warnings, *class_warnings(summary.classes))}
    )
