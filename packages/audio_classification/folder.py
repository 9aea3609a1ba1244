"""Own sounds: a folder, zip or tar with one subfolder per class, or with a table of labels (`cnn_core.data.classes`).

    FOLDER/dog/1.wav  FOLDER/rain/porch/2.mp3                  divided automatically
    FOLDER/train/dog/1.wav  FOLDER/test/dog/2.wav              already divided; what is missing is taken from train
    FOLDER/labels.csv  FOLDER/audio/1.wav                      columns with the file and its label

Any mix of rates, channels, widths and lengths; copies are known by their samples, louder, softer or newly encoded
ones by `copies`, and stay on one side of a split.
"""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from audio_classification.copies import nearly_same, unsought
from audio_classification.data import to_int16
from audio_classification.reading import EARLY, OPPOSED, SHIFTED, SUFFIXES, Sound, read_sound, resample, stated_rate
from audio_classification.sound_set import SoundSet
from cnn_core.data.classes.division import SplitOptions, divide, is_share
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
)
from cnn_core.data.classes.listing import Files, Kind, list_files
from cnn_core.data.paths import custom_path, given_path
from cnn_core.data.summary import DataSummary, class_counts, class_warnings
from cnn_core.errors import DataError
from cnn_core.storage import readable_size
from cnn_core.weights.members import content_hashes

SOUNDS = Kind("sounds", frozenset(SUFFIXES))
COMMON_RATES = (8000, 16_000, 22_050, 32_000, 44_100)
NOISE = "_background_noise_"  # of Speech Commands: minutes of noise to mix into the words
LONGEST = 30.0  # seconds that are kept of a sound
MEMORY_SHARE = 0.5  # of the machine's memory that the samples may take


@dataclass(frozen=True)
class OwnSounds:
    """All sounds of a folder, how they are divided, and what there is to say of them."""

    whole: SoundSet
    parts: dict[str, np.ndarray]  # train, val, test -> indices
    summary: DataSummary
    hashes: np.ndarray = field(repr=False)  # uint64 [N], of the samples

    def split(self, name: str) -> SoundSet:
        """Return "train", "val", "train+val", "test" or "all"."""
        if name == "all":
            return self.whole
        return self.whole.subset(np.sort(np.concatenate([self.parts[part] for part in name.split("+")])), name)


def load_own(
    path: str | os.PathLike[str],
    known: Sequence[str],
    *,
    rate: int | None = None,
    options: SplitOptions | None = None,
    validation: bool = True,
) -> OwnSounds:
    """Read and divide a user's own sounds.

    Args:
        path: of a folder, zip or tar.
        known: names of the domain's data sets, for messages.
        rate: samples per second of the result; None: the highest of the usual ones that most files reach.
        options: how they are labelled and divided.
        validation: whether the validation split is used, and so is worth a word.

    Raises:
        DataError: nothing can be learned from it; says what is expected.
        UnknownNameError: there is no such folder.
    """
    options = options or SplitOptions()
    custom_path(
        path, known, expected="one subfolder of sounds per class, or a table of labels", kinds=("folder", "zip")
    )
    with list_files(path, SOUNDS) as files:
        plan = with_test_of(files, _without_noise(plan_of(files, options)), options)
        read = _read(files, plan.entries, rate)
    entries, skipped, waves = read.entries, [*plan.left_out, *read.skipped], read.waves
    _check_readable(str(path), plan.labels, entries, read.skipped)
    place = None if options.test is None or is_share(options.test) else given_path(options.test)
    if place is not None and (place.is_dir() or is_archive(place)):
        tested, _ = load_whole(place, plan.labels, rate=read.rate)
        waves = [*waves, *tested.waves]
        entries = [*entries, *test_entries(place.name, tested.files, [plan.labels[k] for k in tested.targets.tolist()])]
    hashes = content_hashes(wave.tobytes() for wave in waves)
    same = _first_of(hashes)
    near = nearly_same(waves, read.rate, among=np.unique(same))
    items = items_of(SOUNDS, entries, plan.labels, same=same, near=near)
    said = [*read.said, *unsought(len(np.unique(same)))]
    division = divide(items, options, validation=validation)
    if not len(division.members.get("test", ())):
        raise DataError(
            f"{path}: expected at least two sounds of a class, to hold one out for the test, found single ones"
        )
    whole = SoundSet(
        str(path), "all", plan.labels, read.rate, waves, torch.from_numpy(items.targets), tuple(items.names)
    )
    parts = {part: division.members.get(part, np.empty(0, np.int64)) for part in ("train", "val", "test")}
    classes = class_counts(plan.labels, {part: whole.targets[index].tolist() for part, index in parts.items()})
    summary = DataSummary(
        str(path), "sounds", {part: len(index) for part, index in parts.items()}, classes, division.divided,
        (*plan.read, *said, *division.read), omissions(skipped, SOUNDS).all,
        (*division.warnings, *class_warnings(classes)),
    )  # fmt: skip
    return OwnSounds(whole, parts, summary, hashes)


def _without_noise(plan: Plan) -> Plan:
    """Return a plan of class folders without that of Speech Commands which holds noise instead of a word."""
    noise = [entry for entry in plan.entries if entry.label == NOISE]
    if not noise or len(plan.labels) < 3:  # the only other class is told from noise, then
        return plan
    why = f"sounds in {NOISE}, which are there to be mixed into the others and are no class"
    return replace(
        plan, labels=tuple(label for label in plan.labels if label != NOISE),
        entries=[entry for entry in plan.entries if entry.label != NOISE],
        left_out=[*plan.left_out, *(
            ("/".join(entry.parts), why if SOUNDS.has(entry.parts) else "files that are no sounds") for entry in noise
        )],
    )  # fmt: skip


def load_whole(path: str | os.PathLike[str], labels: Sequence[str], *, rate: int) -> tuple[SoundSet, DataSummary]:
    """Read all sounds of a folder for a network that knows `labels`, however they are divided.

    Args:
        path: as in `load_own`; some of the classes will do, sounds of others are left out and counted.
        labels: the K classes of the network.
        rate: samples per second of the result.

    Raises:
        DataError: there is no sound of a class that the network knows.
    """
    with list_files(path, SOUNDS) as files:
        plan = plan_of_known(files, labels)
        read = _read(files, plan.entries, rate)
    if not read.entries:
        raise DataError(f"{path}: not one sound can be read: {_some(read.skipped)}")
    targets = [labels.index(entry.label) for entry in read.entries]
    whole = SoundSet(
        str(path), "all", tuple(labels), rate, read.waves, torch.tensor(targets),
        tuple("/".join(entry.parts) for entry in read.entries),
    )  # fmt: skip
    skipped = [*plan.left_out, *read.skipped]
    return whole, summary_of_known(path, SOUNDS, labels, targets, [*plan.read, *read.said], skipped)


@dataclass(frozen=True)
class _Read:
    """The sounds that could be read, as int16 at one rate, and what there is to say of them."""

    entries: list[Entry]
    waves: list[np.ndarray]
    rate: int
    skipped: list[tuple[str, str]]
    said: list[str]


def _read(files: Files, entries: Sequence[Entry], rate: int | None) -> _Read:
    if rate is None:
        rate = _usual_rate([found for entry in entries if (found := stated_rate(_source(files, entry)))])
    kept, waves, skipped = list[Entry](), list[np.ndarray](), list[tuple[str, str]]()
    cut, notes, early, opposed, shifted = 0, 0, 0, 0, 0
    room, taken = _memory(), 0
    for entry in entries:
        name = "/".join(entry.parts)
        try:
            sound = read_sound(_source(files, entry), name=name, longest=LONGEST + 1)
        except DataError as error:
            skipped.append((name, str(error).removeprefix(f"{name}: ")))
            continue
        if sound.silent:
            skipped.append((name, "is silent"))
            continue
        cut += sound.seconds > LONGEST
        shifted += SHIFTED in sound.notes
        notes += any("not numbers" in note for note in sound.notes)
        opposed += OPPOSED in sound.notes
        early += any(note.startswith(EARLY) for note in sound.notes)
        wave = to_int16(resample(Sound(sound.samples[: round(LONGEST * sound.rate)], sound.rate), rate))
        taken += wave.nbytes
        if taken > room:
            raise DataError(
                f"{files.name}: {len(waves) + 1} of {len(entries)} sounds take {readable_size(taken)} at {rate:,} Hz, "
                "half of this machine's memory; choose a lower --rate, or fewer or shorter sounds"
            )
        kept.append(entry)
        waves.append(wave)
    seconds = sum(map(len, waves)) / rate
    said = [f"{seconds / 60:.1f} minutes, brought to {rate:,} Hz and one channel"]
    if cut:
        said.append(f"of {cut} sounds that are longer than {LONGEST:g} s the beginning is used")
    if notes:
        said.append(f"{notes} sounds have samples that are not numbers, which were taken for silence")
    if opposed:
        said.append(f"of {opposed} sounds whose channels cancel each other the loudest channel is used")
    if shifted:
        said.append(f"from {shifted} sounds a constant offset was taken away")
    if early:
        files_are = "1 sound ends early: its file is" if early == 1 else f"{early} sounds end early: their files are"
        said.append(f"{files_are} cut short, and what is there is used")
    return _Read(kept, waves, rate, skipped, said)


def _source(files: Files, entry: Entry) -> Path | io.BytesIO:
    found = files.open(entry.parts)
    return found if isinstance(found, Path) else io.BytesIO(found)


def _memory() -> float:
    """Return how many bytes the samples may take."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return float("inf")
    return MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _first_of(hashes: np.ndarray) -> np.ndarray:
    """Return of each sound the number of the first one with the same samples: int64 [N]."""
    first: dict[int, int] = {}
    return np.array([first.setdefault(value, i) for i, value in enumerate(hashes.tolist())], dtype=np.int64)


def _check_readable(name: str, labels: Sequence[str], entries: list[Entry], skipped: list[tuple[str, str]]) -> None:
    """Raise DataError if a class of train, or a given split, has no sound left."""
    there = {entry.label for entry in entries if entry.given == "train"}
    if lost := [label for label in labels if label not in there]:
        raise DataError(f"{name}: not one training sound can be read of {', '.join(lost)}: {_some(skipped)}")


def _some(skipped: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{file} ({reason})" for file, reason in skipped[:5])


def _usual_rate(rates: list[int]) -> int:
    """Return the highest usual rate that nine of ten sounds reach, or the lowest of all."""
    reached = [rate for rate in COMMON_RATES if sum(r >= rate for r in rates) >= 0.9 * len(rates)]
    return max(reached) if reached else min(rates, default=COMMON_RATES[0])
