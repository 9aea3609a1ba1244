"""Captioned picture sets by name, and custom ones by path; whole in memory, or memory-mapped from decoded files.

Splits: "train", "val", "test". Rendered scenes: "test" has the held-out combinations. Flickr8k: the official ones, its
dev as "val". COCO: official val as "test". Custom pictures: as their captions say, else 80, 10 and 10 percent.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.data.cache import cache_key, cached_array, unpacked
from cnn_core.data.coco import get_coco
from cnn_core.data.copies import nearly_same
from cnn_core.data.frames import frame_notes, several_frames
from cnn_core.data.paths import custom_path, given_path
from cnn_core.data.reading import read_batches
from cnn_core.data.sets import DataSet, find_set
from cnn_core.data.summary import DataSummary
from cnn_core.errors import DataError, unknown_name
from cnn_core.weights.members import content_hashes
from image_captioning.album import Album
from image_captioning.contract import CaptionContract, Fit, Tokenizer
from image_captioning.download import get_flickr8k
from image_captioning.grammar import CAPTIONS, write_captions
from image_captioning.layouts import (
    COCO,
    FLICKR8K,
    HELD_FRACTION,
    Listing,
    Record,
    add_test,
    divide,
    read_coco,
    read_custom,
    read_flickr8k,
    units_of,
)  # fmt: skip
from image_captioning.readers import Columns
from image_captioning.scenes import EDGE, SEEDS, Scene, make_scenes, render
from image_captioning.words import JOINTS, TOKENIZERS, lacks_spaces

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
        tokenizer: what the words are, see `CaptionContract`.
    """

    name: str
    split: str
    images: Tensor = field(repr=False)
    captions: tuple[tuple[tuple[str, ...], ...], ...] = field(repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    scenes: tuple[Scene, ...] = field(default=(), repr=False)
    tokenizer: Tokenizer = "words"

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

    def sentence(self, words: Sequence[str]) -> str:
        """Return the text of a caption."""
        return JOINTS[self.tokenizer].join(words)

    def subset(self, places: np.ndarray, split: str) -> "CaptionSet":
        """Return some of the pictures as a split; consecutive ones are not copied.

        Raises:
            DataError: there are none.
        """
        if not len(places):
            raise DataError(
                f"{self.name}: the {split} split holds no picture with a caption; add some, or mark some as {split} in "
                "a column named split"
            )
        span = slice(int(places[0]), int(places[-1]) + 1)
        part = span if span.stop - span.start == len(places) else torch.from_numpy(places)
        return replace(
            self, split=split, images=self.images[part], captions=tuple(self.captions[i] for i in places),
            files=tuple(self.files[i] for i in places),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CaptionedPictures(DataSet):
    """A named set: the size of its pictures, and how they are listed (None: they are rendered scenes)."""

    size: tuple[int, int]
    read: Callable[[Path], Listing] | None = field(default=None, repr=False)


def _count(read: Callable[[Path], Listing], folder: Path) -> str:
    return ", ".join(f"{len(records):,} {split}" for split, records in read(folder).splits.items()) + " pictures"


DATA_SETS: dict[str, CaptionedPictures] = {
    entry.name: entry
    for entry in (
        CaptionedPictures(
            name="scenes", size=(EDGE, EDGE), licence="MIT",
            description="rendered scenes of 1 to 4 coloured shapes; held-out combinations in the test set",
        ),
        CaptionedPictures(
            name="flickr8k", description="Flickr8k, 6,000 + 1,000 + 1,000 photos with 5 captions each",
            folder="flickr8k", layout=FLICKR8K, size=CUSTOM_SIZE, read=read_flickr8k,
            count=partial(_count, read_flickr8k), licence="for non-commercial research and education",
            source="the University of Illinois, which sends the address to those who fill in its form "
            "(https://forms.illinois.edu/sec/1713398); mirrored on GitHub", get=get_flickr8k,
            official="6,000 train, 1,000 val, 1,000 test pictures",
        ),
        CaptionedPictures(
            name="coco_captions", description="COCO captions 2014 or 2017, 5 captions per photo",
            folder="coco", layout=COCO, size=CUSTOM_SIZE, read=read_coco, count=partial(_count, read_coco),
            licence="CC BY 4.0 for the captions", source="the COCO consortium", get=get_coco,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class PhotoSets:
    """What was read of a set of files: all its pictures, how they are divided, and what there is to say of them.

    Args:
        whole: all pictures that can be read, with their captions.
        parts: split -> indices in `whole`, ascending.
        summary: for the user.
        hashes: uint64 [N] of the pixels of custom pictures.
    """

    whole: CaptionSet
    parts: Mapping[str, np.ndarray]
    summary: DataSummary
    hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64), repr=False)

    def split(self, name: str) -> CaptionSet:
        """Return a split; DataError if there is nothing in it."""
        return self.whole.subset(self.parts[name], name)

    @property
    def members(self) -> dict[str, np.ndarray]:
        """The hashes by split, of custom pictures."""
        return {split: self.hashes[part] for split, part in self.parts.items()} if len(self.hashes) else {}


def makes_scenes(name_or_path: str | os.PathLike[str]) -> bool:
    """Tell whether this is the name of the rendered scenes."""
    entry = find_set(DATA_SETS, name_or_path)
    return entry is not None and entry.read is None


def load_sets(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    tokenizer: Tokenizer = "words",
    columns: Columns | None = None,
    data_root: str | os.PathLike[str] | None = None,
) -> dict[str, CaptionSet]:
    """Load splits of a named set, or of pictures with captions.

    Args:
        name_or_path: a name of `DATA_SETS`, or what `load_photos` takes. Write a folder with the name of a set as
            `./scenes`.
        splits: some of `SPLITS`.
        size: (H, W) of the returned pictures; None: the set's own, for a folder 128.
        fit: how, see `CaptionContract`.
        tokenizer: likewise.
        columns: of a custom table.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing or damaged, or a split holds nothing that can be used.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    if makes_scenes(name_or_path):
        return {split: _scene_set(split, size or (EDGE, EDGE), fit) for split in splits}
    photos = load_photos(
        name_or_path, size=size, fit=fit, tokenizer=tokenizer, columns=columns, data_root=data_root, splits=splits
    )
    return {split: photos.split(split) for split in splits}


def load_photos(
    name_or_path: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    tokenizer: Tokenizer = "words",
    columns: Columns | None = None,
    test: str | None = None,
    splits: Sequence[str] = SPLITS,
    data_root: str | os.PathLike[str] | None = None,
) -> PhotoSets:
    """Read a set of photos, or custom pictures: a folder or zip with captions, or a file of captions beside pictures.

    Args:
        name_or_path: as in `load_sets`, but for the rendered scenes.
        size: as in `load_sets`.
        fit: as in `load_sets`.
        tokenizer: as in `load_sets`.
        columns: as in `load_sets`.
        data_root: as in `load_sets`.
        test: custom test pictures: a share, a number, a folder with captions, or a file with names.
        splits: of a named set those that are wanted; of custom pictures all are read, to know copies.

    Raises:
        UnknownNameError: neither a known name nor an existing path.
        DataError: the set is missing or damaged, or nothing of it can be used.
    """
    entry = find_set(DATA_SETS, name_or_path)
    if entry is not None and entry.read is not None:
        listing, name, share = entry.read(entry.path(data_root)), entry.name, HELD_FRACTION
        parts, divided = divide(listing)  # of all splits, whichever are wanted
        listing.records = [replace(listing.records[i], split=split) for split in splits for i in parts[split]]
    else:
        path, name, share = _custom_path(name_or_path), str(name_or_path), HELD_FRACTION
        listing = read_custom(path, columns=columns)
        if test is not None:
            share = _add_test(listing, test, Album(path if path.is_dir() else path.parent), columns)
    listing.records.sort(key=lambda record: SPLITS.index(record.split or "train"))  # then splits are not copied
    whole = _decode(name, listing, size or (entry.size if entry else CUSTOM_SIZE), fit, tokenizer)
    if entry is not None:
        parts = {split: np.flatnonzero([record.split == split for record in listing.records]) for split in splits}
        return PhotoSets(whole, parts, _summary(whole, parts, listing, divided))
    hashes = content_hashes(pixels.numpy().tobytes() for pixels in whole.images)
    pairs = nearly_same(whole.images)
    parts, divided = divide(listing, units=units_of(listing, hashes, pairs), test=share)
    exact = len(hashes) - len(np.unique(hashes))
    near = len(np.unique(pairs[hashes[pairs[:, 0]] != hashes[pairs[:, 1]]][:, 1]))
    if exact or near:
        listing.read.append(f"{exact:,} pictures are copies of others, pixel by pixel, and {near:,} nearly so")
    listing.warnings += _copies(hashes, pairs, parts)
    return PhotoSets(whole, parts, _summary(whole, parts, listing, divided), hashes)


def _custom_path(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the folder or file of custom data; a zip is unpacked once, beside what is computed of pictures."""
    path = custom_path(
        name_or_path, DATA_SETS, expected="pictures and a table of captions", kinds=("folder", "zip", "table")
    )
    if path.suffix.lower() != ".zip" or path.is_dir():
        return path
    place = unpacked(path, "album")
    inside = [entry for entry in place.iterdir() if not entry.name.startswith((".", "__"))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else place


def _add_test(listing: Listing, test: str, album: Album, columns: Columns | None) -> float:
    """Take the test pictures that the setting `test` names, and return the share or number that is held out."""
    try:
        share = float(test)
    except ValueError:
        path = given_path(test)
        if not path.exists():
            raise DataError(
                f"--test: expected a share such as 0.2, a number of pictures, a folder with captions, or a file with "
                f"the names of test pictures; got {test!r}, and there is no such path"
            ) from None
        add_test(listing, path, album, columns=columns)
        return HELD_FRACTION
    if any(record.split == "test" for record in listing.records):
        raise DataError(f"{listing.by} says which pictures are test pictures; leave --test out")
    return share


def _copies(hashes: np.ndarray, pairs: np.ndarray, parts: Mapping[str, np.ndarray]) -> list[str]:
    """Return what is to be said of the pictures that one split has of another."""
    said = []
    learned = np.isin(np.arange(len(hashes)), parts["train"])
    copies = np.isin(hashes, hashes[learned])
    for one, other in ((0, 1), (1, 0)):
        copies[pairs[learned[pairs[:, one]], other]] = True
    for split, name in (("test", "test"), ("val", "validation")):
        if count := int(copies[parts[split]].sum()):
            said.append(
                f"{count:,} of {len(parts[split]):,} {name} pictures are copies of training pictures, or nearly so, "
                "which flatters the figures"
            )
    return said


def _summary(whole: CaptionSet, parts: Mapping[str, np.ndarray], listing: Listing, divided: str) -> DataSummary:
    counts = [len(captions) for captions in whole.captions]
    words = [len(words) for captions in whole.captions for words in captions]
    unit = "words" if whole.tokenizer == "words" else "characters"
    each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    read = [f"{len(words):,} captions, {each} per picture, of {np.mean(words):.1f} {unit} on average", *listing.read]
    warnings = list(listing.warnings)
    if whole.tokenizer == "words" and lacks_spaces(words for captions in whole.captions for words in captions):
        warnings.append(
            "the captions are in a script without spaces between words, so that each of them would be learned as one "
            "long word: --tokenizer characters learns them character by character"
        )
    sizes = {split: len(part) for split, part in parts.items()}
    return DataSummary(
        whole.name, "pictures", sizes, divided=divided, read=tuple(read), left_out=listing.left_out.all,
        warnings=tuple(warnings),
    )  # fmt: skip


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


def _decode(name: str, listing: Listing, size: tuple[int, int], fit: Fit, tokenizer: Tokenizer) -> CaptionSet:
    """Decode all pictures, once: the result is kept on disk beside the features. What cannot be read is left out."""
    if not listing.records:
        raise DataError(f"{name}: there is no picture with a caption")
    records, (height, width) = listing.records, size
    stats = [(os.path.realpath(record.file), *_stat(record.file)) for record in records]  # names recur in other folders
    # One byte after the pixels of each picture: 0, it could not be read; 1, it could; 2, it is the first of its file.
    contract = CaptionContract(size, ("a",), fit=fit)
    key, size_each = cache_key("pictures, frames", stats, size, fit), 3 * height * width + 1
    pixels = cached_array(key, _decoded(records, contract), shape=(len(records), size_each), dtype="uint8")
    for i in np.flatnonzero(pixels[:, -1] == 0):  # what could not be read may be readable by now
        record = records[int(i)]
        try:
            pixels[i] = _pixels(record, contract)
        except DataError:
            listing.left_out.add("pictures that cannot be read", record.name)
            listing.left_out.add("captions of these", count=len(record.captions))
    table = torch.from_numpy(pixels)
    good = table[:, -1] > 0
    listing.read += several_frames(int((table[:, -1] == 2).sum()))
    images = table[:, :-1].unflatten(1, (3, height, width))
    if not good.all():
        listing.records = [record for record, fine in zip(records, good.tolist(), strict=True) if fine]
        images = images[good]
        if not listing.records:
            raise DataError(f"{name}: not one of {len(records)} pictures can be read, such as {records[0].name}")
    split = TOKENIZERS[tokenizer]
    captions = tuple(tuple(tuple(split(caption)) for caption in record.captions) for record in listing.records)
    files = tuple(record.name for record in listing.records)
    return CaptionSet(name, "all", images, captions, files, tokenizer=tokenizer)


def _decoded(records: Sequence[Record], contract: CaptionContract) -> Iterator[np.ndarray]:
    """Yield uint8 [n, 3 * H * W + 1]: the pictures of a chunk, each with a byte that is 0 if it could not be read."""
    unreadable = np.zeros(3 * contract.size[0] * contract.size[1] + 1, np.uint8)  # a later attempt reports the reason
    for _, views in read_batches(records, lambda record, _: _pixels(record, contract), size=CHUNK):
        yield np.stack([unreadable if isinstance(view, str) else view for view in views])


def _pixels(record: Record, contract: CaptionContract) -> np.ndarray:
    """Return uint8 [3 * H * W + 1], with a 1 or 2 at the end; DataError if the picture cannot be read."""
    picture = contract.read(record.file, name=record.name)
    return np.append(contract.place(picture)[0].flatten().numpy(), np.uint8(2 if frame_notes(picture) else 1))


def _stat(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
