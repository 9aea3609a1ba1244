"""Captioned picture sets by name, and custom ones by path; whole in memory, or memory-mapped from decoded files.

Splits: "train", "val", "test". Rendered scenes: "test" has the held-out combinations. Flickr8k: the official ones, its
dev as "val". COCO: official val as "test". Custom pictures: as their table says, else 80, 10 and 10 percent.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.data.cache import cache_key, cached_array
from cnn_core.data.paths import custom_path
from cnn_core.data.reading import read_batches
from cnn_core.domain import DataSet, find_set
from cnn_core.errors import DataError, unknown_name
from image_captioning.contract import CaptionContract, Fit
from image_captioning.grammar import CAPTIONS, write_captions
from image_captioning.layouts import COCO, FLICKR8K, Listing, Record, read_coco, read_custom, read_flickr8k
from image_captioning.scenes import EDGE, SEEDS, Scene, make_scenes, render
from image_captioning.words import split_words

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
CUSTOM_SIZE = (128, 128)  # (H, W) in pixels of custom pictures, unless a size is given
CHUNK = 256  # pictures decoded at a time


@dataclass(frozen=True)
class CaptionSet:
    """One split of a captioned set.

    Args:
        name: of the set, as in `DATA_SETS`, or the folder's path.
        split: one of `SPLITS`.
        images: uint8 [N, 3, H, W], in memory or memory-mapped.
        captions: per picture one or more captions as words.
        files: N names to show in reports, or nothing where the set has no files.
        scenes: what is in each picture, where that is known.
    """

    name: str
    split: str
    images: Tensor = field(repr=False)
    captions: tuple[tuple[tuple[str, ...], ...], ...] = field(repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    scenes: tuple[Scene, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise DataError(
                f"{self.name}: expected uint8 images [N, 3, H, W], got {self.images.dtype} {list(self.images.shape)}"
            )
        if len(self.captions) != len(self.images) or not all(self.captions):
            raise DataError(f"{self.name}: every picture needs a caption, {len(self.images)} pictures")

    def __len__(self) -> int:
        return len(self.images)

    def item_name(self, index: int) -> str:
        """Return the file name of picture `index`, or "split/index" in a set without files."""
        return self.files[index] if self.files else f"{self.split}/{index}"


@dataclass(frozen=True, kw_only=True)
class CaptionedPictures(DataSet):
    """A named set: the size of its pictures, and how they are listed (None: they are rendered scenes)."""

    size: tuple[int, int]
    read: Callable[[Path], Listing] | None = field(default=None, repr=False)


def _photos(
    name: str, description: str, *, read: Callable[[Path], Listing], licence: str, folder: str, layout: str, source: str
) -> CaptionedPictures:
    """Return a set of photos, which has to be downloaded by hand."""

    def count(folder: Path) -> str:
        return ", ".join(f"{len(records):,} {split}" for split, records in read(folder).splits.items()) + " pictures"

    return CaptionedPictures(
        name=name, description=description, licence=licence, source=source, folder=folder, layout=layout, count=count,
        size=CUSTOM_SIZE, read=read,
    )  # fmt: skip


DATA_SETS: dict[str, CaptionedPictures] = {
    entry.name: entry
    for entry in (
        CaptionedPictures(
            name="scenes", size=(EDGE, EDGE), licence="MIT",
            description="rendered scenes of 1 to 4 coloured shapes; held-out combinations in the test set",
        ),
        _photos(
            "flickr8k", "Flickr8k, 6,000 + 1,000 + 1,000 photos with 5 captions each",
            folder="flickr8k", layout=FLICKR8K, source="the University of Illinois", read=read_flickr8k,
            licence="for non-commercial research and education",
        ),
        _photos(
            "coco_captions", "COCO captions 2014 or 2017, 5 captions per photo",
            folder="coco", layout=COCO, source="the COCO consortium", read=read_coco,
            licence="CC BY 4.0 for the captions",
        ),
    )
}  # fmt: skip


def load_sets(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    image_column: str | None = None,
    caption_column: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> dict[str, CaptionSet]:
    """Load splits of a named set, or of a folder of pictures with captions.

    Args:
        name_or_path: a name of `DATA_SETS`, or a folder. Write a folder with the name of a set as `./scenes`.
        splits: some of `SPLITS`.
        size: (H, W) of the returned pictures; None: the set's own, for a folder 128.
        fit: how, see `CaptionContract`.
        image_column: of a custom table; None: guessed.
        caption_column: likewise.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing or damaged, or a split holds nothing that can be used.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    entry = find_set(DATA_SETS, name_or_path)
    if entry is None:
        listing, name = _custom_listing(name_or_path, image_column, caption_column), str(name_or_path)
    elif entry.read is None:
        return {split: _scene_set(split, size or entry.size, fit) for split in splits}
    else:
        listing, name = entry.read(entry.path(data_root)), entry.name
    for note in listing.notes:
        log.warning("%s", note)
    size = size or (entry.size if entry else CUSTOM_SIZE)
    return {split: _from_files(name, split, listing.splits.get(split, []), size, fit) for split in splits}


def _scene_set(split: str, size: tuple[int, int], fit: Fit) -> CaptionSet:
    scenes = make_scenes(split)
    images = render(scenes, seed=SEEDS[split] + 100)
    if size != (EDGE, EDGE):
        contract = CaptionContract(size, ("a",), fit=fit)
        images = torch.stack([contract.place(image)[0] for image in images])
    random = np.random.RandomState(SEEDS[split] + 200)
    captions = tuple(
        tuple(tuple(caption.split()) for caption in write_captions(scene, random, count=CAPTIONS)) for scene in scenes
    )
    return CaptionSet("scenes", split, images, captions, scenes=tuple(scenes))


def _custom_listing(path: str | os.PathLike[str], image_column: str | None, caption_column: str | None) -> Listing:
    folder = custom_path(path, DATA_SETS, expected="one with pictures and a table of captions")
    return read_custom(folder, image_column=image_column, caption_column=caption_column)


def _from_files(name: str, split: str, records: Sequence[Record], size: tuple[int, int], fit: Fit) -> CaptionSet:
    """Decode the pictures of a split, once: the result is kept on disk beside the features."""
    if not records:
        raise DataError(
            f"{name}: the {split} split holds no picture with a caption; add some, or mark some as {split} in a column "
            "named split"
        )
    height, width = size
    stats = [(os.path.realpath(record.file), *_stat(record.file)) for record in records]  # names recur in other folders
    # One byte after the pixels of each picture says whether it could be read.
    shape = (len(records), 3 * height * width + 1)
    contract = CaptionContract(size, ("a",), fit=fit)
    whole = cached_array(
        cache_key("pictures", stats, size, fit), _decoded(records, contract), shape=shape, dtype="uint8"
    )
    for i in np.flatnonzero(whole[:, -1] != 1):  # what could not be read may be readable by now
        try:
            whole[i] = _pixels(records[int(i)], contract)
        except DataError as error:
            log.warning("%s", error)
    table = torch.from_numpy(whole)
    good = table[:, -1] == 1
    images = table[:, :-1].unflatten(1, (3, height, width))
    if not good.all():
        bad = [record.name for record, fine in zip(records, good.tolist(), strict=True) if not fine]
        log.warning("%s: %d pictures cannot be read and are left out, such as %s", name, len(bad), ", ".join(bad[:3]))
        records = [record for record, fine in zip(records, good.tolist(), strict=True) if fine]
        images = images[good]
        if not records:
            raise DataError(f"{name}: not one picture of the {split} split can be read, such as {bad[0]}")
    captions = tuple(tuple(tuple(split_words(c)) for c in record.captions) for record in records)
    return CaptionSet(name, split, images, captions, tuple(record.name for record in records))


def _decoded(records: Sequence[Record], contract: CaptionContract) -> Iterator[np.ndarray]:
    """Yield uint8 [n, 3 * H * W + 1]: the pictures of a chunk, each with a byte that is 1 if it could be read."""
    unreadable = np.zeros(3 * contract.size[0] * contract.size[1] + 1, np.uint8)  # a later attempt reports the reason
    for _, views in read_batches(records, lambda record, _: _pixels(record, contract), size=CHUNK):
        yield np.stack([unreadable if isinstance(view, str) else view for view in views])


def _pixels(record: Record, contract: CaptionContract) -> np.ndarray:
    """Return uint8 [3 * H * W + 1], with a 1 at the end; DataError if the picture cannot be read."""
    return np.append(contract.place(contract.read(record.file, name=record.name))[0].flatten().numpy(), np.uint8(1))


def _stat(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
