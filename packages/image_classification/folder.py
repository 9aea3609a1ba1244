"""A user's own pictures: a folder, zip or tar with one subfolder per class, or with a table of labels.

    FOLDER/cats/1.jpg  FOLDER/dogs/summer/2.png                    divided automatically, see `division`
    FOLDER/train/cats/1.jpg  FOLDER/test/cats/2.jpg                already divided; what is missing is taken from train
    FOLDER/labels.csv  FOLDER/images/1.jpg                         see `label_table`

Any mix of sizes, modes and formats. An automatic split depends on the file names of a class: the same folder is always
divided in the same way. Adding pictures moves some of the others to another split; `cnn eval` knows them again by their
content.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from cnn_core.data.classes.division import Items, SplitOptions, divide, is_share
from cnn_core.data.classes.layout import (
    Entry,
    Plan,
    is_archive,
    items_of,
    omissions,
    plan_of,
    plan_of_known,
    summary_of_known,
    test_entries,
    with_test_of,
)  # fmt: skip
from cnn_core.data.classes.listing import Files, Kind, list_files
from cnn_core.data.copies import nearly_same, same_pixels
from cnn_core.data.frames import frame_notes, several_frames
from cnn_core.data.images import SUFFIXES
from cnn_core.data.paths import given_path
from cnn_core.data.summary import DataSummary, class_counts, class_warnings
from cnn_core.errors import DataError
from cnn_core.weights.members import Members, content_hashes
from image_classification.image_set import SPLITS, ImageSet
from image_classification.preprocess import InputContract

ENLARGED = 3  # times, from which on it is said
MEMORY_SHARE = 0.5  # of the machine's memory that the decoded pictures may take

PICTURES = Kind("pictures", frozenset(SUFFIXES))

Parts = tuple[str, ...]


@dataclass(frozen=True)
class FolderData:
    """The requested splits, and what there is to know about them.

    Args:
        sets: by split.
        summary: what the folder holds and how it is used.
        skipped: (file, reason) of all that is not used.
        members: content hashes of all pictures that were read, by split.
    """

    sets: dict[str, ImageSet] = field(repr=False)
    summary: DataSummary
    skipped: list[tuple[str, str]]
    members: Members = field(repr=False)


def load_folder(
    folder: str | os.PathLike[str],
    contract: InputContract,
    *,
    splits: Sequence[str] = SPLITS,
    options: SplitOptions | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> FolderData:
    """Decode a user's own pictures straight to the network's input size, and divide them.

    Args:
        folder: in one of the layouts above; hidden files are ignored, deeper subfolders belong to their class.
        contract: the form of the returned pictures (`contract.to_uint8`).
        splits: which of train, val, train+val, test to return; files that no split needs are not decoded.
        options: how they are labelled and divided.
        observe: called with (pictures done, pictures in all) from time to time, from the calling thread.

    Raises:
        DataError: there is nothing to train on; the message lists all problems of the folder.
    """
    options = options or SplitOptions()
    with list_files(folder, PICTURES) as files:
        plan = with_test_of(files, plan_of(files, options), options)
        there = {entry.given for entry in plan.entries} | (set() if is_share(options.test) else {"test"})
        entries = [entry for entry in plan.entries if any(_needs(split, entry.given, there) for split in splits)]
        images, kept, skipped, seen = _decode(files, [entry.parts for entry in entries], contract, observe)
    groups = {entry.given for entry in entries}
    entries = [entries[i] for i in kept]
    _check_readable(files.name, plan, groups, entries=entries, skipped=skipped)
    skipped = [*plan.left_out, *skipped]
    place = None if options.test is None or is_share(options.test) else given_path(options.test)
    if (place is not None and not place.is_file()) or (place is not None and is_archive(place)):
        tested, summary, more = load_whole(place, contract, labels=plan.labels)
        images = torch.cat([images, tested.images])
        entries += test_entries(tested.name, tested.files, [tested.labels[k] for k in tested.targets.tolist()])
        skipped += [(f"{place.name}/{name}", reason) for name, reason in more]
    items = items_of(PICTURES, entries, plan.labels, same=same_pixels(images), near=nearly_same(images))
    division = divide(items, options, validation="val" in splits)
    sets = {split: _set_of(files.name, split, images, items, division.members) for split in splits}
    shown = {split: s for split, s in sets.items() if split != "train+val" or "train" not in sets}
    classes = class_counts(plan.labels, {split: s.targets.tolist() for split, s in shown.items()})
    summary = DataSummary(
        str(folder), "pictures", {split: len(s) for split, s in shown.items()}, classes, division.divided,
        (*plan.read, *division.read, *seen), omissions(skipped, PICTURES).all,
        (*division.warnings, *class_warnings(classes)),
    )  # fmt: skip
    hashes = hashes_of(images)
    members = {split: hashes[indices] for split, indices in division.members.items() if len(indices)}
    return FolderData(sets, summary, skipped, members)


def load_whole(
    folder: str | os.PathLike[str], contract: InputContract, *, labels: Sequence[str]
) -> tuple[ImageSet, DataSummary, list[tuple[str, str]]]:
    """Decode all pictures of a folder for a network that knows `labels`, however they are divided.

    A folder with `test/` alone and one of some of the classes will do; pictures of other classes are left out.

    Returns:
        The pictures (split "all"), what the folder holds, and (file, reason) of what is left out.

    Raises:
        DataError: there is no picture of a class that the network knows.
    """
    with list_files(folder, PICTURES) as files:
        plan = plan_of_known(files, labels)
        images, kept, skipped, seen = _decode(files, [entry.parts for entry in plan.entries], contract, None)
    entries = [plan.entries[i] for i in kept]
    if not entries:
        raise DataError(f"{files.name}: not one picture can be read: {_some(skipped)}")
    targets = torch.tensor([labels.index(entry.label) for entry in entries], dtype=torch.int64)
    whole = ImageSet(
        files.name, "all", tuple(labels), images, targets, tuple("/".join(entry.parts) for entry in entries)
    )
    skipped = [*plan.left_out, *skipped]
    return whole, summary_of_known(folder, PICTURES, labels, targets.tolist(), (*plan.read, *seen), skipped), skipped


def _enlarged(edge: int, contract: InputContract) -> list[str]:
    """Say that most pictures are enlarged much, where they are; `edge` is the middle one of their shorter edges."""
    if not 0 < edge <= min(contract.size) / ENLARGED:
        return []
    height, width = contract.size
    return [
        f"half of the pictures have a shorter edge of at most {edge} pixels; they are enlarged to {width} x {height}"
    ]


def _needs(split: str, group: str, there: set[str]) -> bool:
    """Return whether `split` is made from the given `group`: a split that is not given comes out of train."""
    parts = split.split("+")
    return group in parts or (group == "train" and any(part not in there for part in parts))


def _check_readable(name: str, plan: Plan, groups: set[str], *, entries: list[Entry], skipped: list) -> None:
    """Raise DataError if a decoded group has no picture left, or a class of train has none."""
    left = Counter((entry.given, entry.label) for entry in entries)
    lost = [label for label in plan.labels if "train" in groups and not left["train", label]]
    lost += [f"all of {group}" for group in sorted(groups) if not any(entry.given == group for entry in entries)]
    if lost:
        raise DataError(f"{name}: not one picture can be read of {', '.join(lost)}: {_some(skipped)}")


def _some(skipped: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{file} ({reason})" for file, reason in skipped[:5])


def _set_of(name: str, split: str, images: torch.Tensor, items: Items, members: Mapping[str, np.ndarray]) -> ImageSet:
    chosen = np.sort(np.concatenate([members[part] for part in split.split("+")]))
    index = torch.from_numpy(chosen)
    files = tuple(items.names[i] for i in chosen)
    return ImageSet(name, split, tuple(items.labels), images[index], torch.from_numpy(items.targets)[index], files)


def hashes_of(images: torch.Tensor) -> np.ndarray:
    """Return the content hash of each picture, by which a run knows it again."""
    return content_hashes(image.numpy().tobytes() for image in images)


def _decode(
    files: Files,
    paths: list[tuple[str, ...]],
    contract: InputContract,
    observe: Callable[[int, int], None] | None,
) -> tuple[torch.Tensor, list[int], list[tuple[str, str]], list[str]]:
    """Decode `paths` in parallel: `-> uint8 [N, C, H, W] of those that succeeded, their indices, the others`, and
    sentences on what came of them."""
    shape = (len(paths), contract.channels, *contract.size)
    _check_memory(files.name, shape)
    images = np.empty(shape, dtype=np.uint8)
    edges = np.zeros(len(paths), dtype=np.int64)  # pixels of the shorter one; of large JPEG files, as they are decoded
    several = np.zeros(len(paths), dtype=bool)
    failures: dict[int, str] = {}

    def decode(i: int) -> None:
        name = "/".join(paths[i])
        try:
            picture = contract.read(files.open(paths[i]), name=name)
            images[i], edges[i] = contract.to_uint8(picture).numpy(), min(picture.size)
            several[i] = bool(frame_notes(picture))
        except DataError as error:
            failures[i] = str(error).removeprefix(f"{name}: ")

    workers = min(8, os.cpu_count() or 1)
    executor = ThreadPoolExecutor(workers)
    try:
        for done, _ in enumerate(executor.map(decode, range(len(paths))), start=1):
            if observe and (done % 50 == 0 or done == len(paths)):
                observe(done, len(paths))
    finally:
        executor.shutdown(cancel_futures=True)
    kept = [i for i in range(len(paths)) if i not in failures]
    if failures:
        images = images[kept]
    middle = int(np.median(edges[kept])) if kept else 0
    said = [*_enlarged(middle, contract), *several_frames(int(several[kept].sum()))]
    return torch.from_numpy(images), kept, [("/".join(paths[i]), failures[i]) for i in sorted(failures)], said


def _check_memory(name: str, shape: tuple[int, ...]) -> None:
    """Raise DataError if the pictures do not fit into memory; the message names the edge that would."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    limit = MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    need = float(np.prod(shape, dtype=np.float64))
    if need > limit:
        edge = int(max(shape[2:]) * (limit / need) ** 0.5)
        raise DataError(
            f"{name}: {shape[0]} pictures of {shape[3]} x {shape[2]} pixels take {need / 2**30:.1f} GB, half of this "
            f"machine's memory is {limit / 2**30:.1f} GB; choose a size of at most {edge} pixels"
        )
