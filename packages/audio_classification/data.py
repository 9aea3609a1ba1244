"""The sound sets by name, their official layouts and splits; a user's own sounds are class folders (see `folder`).

Splits: "test" is the official test set. "train" and "val" divide the rest (stratified, fixed seed); "train+val" is all
of it. Where a set has folds (ESC-50) or speakers (spoken digits), `fold` chooses the one that is tested.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from audio_classification.download import get_commands, get_digits, get_esc50
from audio_classification.drawn import LABELS as DRAWN
from audio_classification.drawn import RATE as DRAWN_RATE
from audio_classification.drawn import drawn_sounds
from audio_classification.reading import read_sound, resample
from audio_classification.sound_set import SPLITS, SoundSet
from cnn_core.data.sets import DataSet, find_set, missing_set
from cnn_core.data.splits import hold_out
from cnn_core.data.summary import DataSummary, class_counts
from cnn_core.errors import DataError, unknown_name

SPLIT_SEED = 20240501  # any number; changing it changes every validation split
VAL_SHARE = 0.1
TEN = tuple("0123456789")
COMMANDS = (  # Warden 2018, arXiv:1804.03209: the 35 words of version 2
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go", "happy",
    "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven", "sheila", "six", "stop",
    "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Recordings(DataSet):
    """A named set.

    Args:
        labels: the K class names.
        rate: samples per second, of all files.
        read: (folder, fold) -> (file, class, speaker or source, official part "train" | "val" | "test") of every
            sound; None: they are drawn.
        folds: how many ways of testing there are beside the official one.
    """

    labels: tuple[str, ...]
    rate: int
    read: Callable[[Path, int | None], list[tuple[Path, int, str, str]]] | None = field(default=None, repr=False)
    folds: int = 0


def load_sets(
    name_or_path: str | os.PathLike[str],
    *,
    splits: Sequence[str],
    fold: int | None = None,
    rate: int | None = None,
    longest: float = 30.0,
    data_root: str | os.PathLike[str] | None = None,
) -> dict[str, SoundSet]:
    """Load splits of a named set.

    Args:
        name_or_path: a name of `DATA_SETS`.
        splits: some of `SPLITS`.
        fold: which speaker or official fold is tested; None: the official split.
        rate: samples per second of the returned sounds; None: the set's own.
        longest: seconds that are read of a sound at most.
        data_root: the folder of the sets; None: `CNN_DATA_DIR` or the platform's user data folder.

    Raises:
        UnknownNameError: no such set or split.
        DataError: the set is missing (the message says how to get it) or damaged.
    """
    for split in splits:
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
    known = find_set(DATA_SETS, name_or_path)
    if known is None:
        raise unknown_name("data set or folder", str(name_or_path), DATA_SETS)
    if fold is not None and not 0 <= fold < known.folds:
        raise DataError(f"fold: {known.name} has {known.folds} folds, counted from 0; got {fold}")
    if known.read is None:
        return {split: _drawn(known, split) for split in splits}
    folder = known.path(data_root)
    entries = known.read(folder, fold)
    whole = _read_files(known.name, known.labels, folder, entries, rate=rate or known.rate, longest=longest)
    parts = np.array([part for *_, part in entries])
    rest = np.flatnonzero(parts == "train")
    train, val = rest, np.flatnonzero(parts == "val")
    if not len(val):
        groups = [whole.groups[i] for i in rest] if fold is not None else None
        train, val = (
            rest[p] for p in hold_out(whole.targets[rest].numpy(), [VAL_SHARE], seed=SPLIT_SEED, groups=groups)
        )
    places = {"train": train, "val": val, "train+val": np.sort([*train, *val]), "test": np.flatnonzero(parts == "test")}
    return {split: whole.subset(places[split], split) for split in splits}


def summary_of(sets: dict[str, SoundSet], *, divided: str) -> DataSummary:
    """Return what was understood of the splits of a named set."""
    first = next(iter(sets.values()))
    seconds = np.concatenate([part.seconds for part in sets.values()])
    read = (
        f"{seconds.sum() / 60:.1f} minutes at {first.rate:,} Hz; half of them have {np.median(seconds):.2f} s or more"
    )
    classes = class_counts(first.labels, {name: part.targets.tolist() for name, part in sets.items()})
    return DataSummary(
        first.name, "sounds", {name: len(part) for name, part in sets.items()}, classes, divided, (read,)
    )


def _read_files(
    name: str, labels: tuple[str, ...], folder: Path, entries: Sequence[tuple[Path, int, str, str]], *, rate: int,
    longest: float,
) -> SoundSet:  # fmt: skip
    waves = [to_int16(resample(read_sound(file, longest=longest), rate)) for file, *_ in entries]
    return SoundSet(
        name, "all", labels, rate, waves, torch.tensor([label for _, label, *_ in entries]),
        tuple(file.relative_to(folder).as_posix() for file, *_ in entries), tuple(group for *_, group, _ in entries),
    )  # fmt: skip


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Return samples from -1 to 1 as 16-bit numbers."""
    return np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def _drawn(known: Recordings, split: str) -> SoundSet:
    parts = [drawn_sounds(part) for part in split.split("+")]
    waves = [wave for block, _ in parts for wave in block]
    targets = torch.from_numpy(np.concatenate([numbers for _, numbers in parts]))
    return SoundSet(known.name, split, known.labels, known.rate, waves, targets)


# ---- official layouts


def _read_fsdd(folder: Path, fold: int | None) -> list[tuple[Path, int, str, str]]:
    """Files `{digit}_{speaker}_{index}.wav`: index 0 to 4 is the official test set; a fold is a speaker."""
    entries = []
    for file in sorted((folder / "recordings").glob("*.wav")):
        match = re.fullmatch(r"(\d)_(\w+)_(\d+)", file.stem)
        if match is None:
            raise DataError(f"{file}: expected a name such as 7_jackson_32.wav")
        entries.append((file, int(match[1]), match[2], int(match[3])))
    if not entries:
        raise missing_set(DATA_SETS["fsdd"], folder)
    speakers = sorted({speaker for _, _, speaker, _ in entries})

    def part(speaker: str, index: int) -> str:
        tested = index < 5 if fold is None else speaker == speakers[fold]
        return "test" if tested else "train"

    return [(file, digit, speaker, part(speaker, index)) for file, digit, speaker, index in entries]


def _read_commands(folder: Path, fold: int | None) -> list[tuple[Path, int, str, str]]:
    """Folders of words, and the official `validation_list.txt` and `testing_list.txt`; speakers are in the names."""
    lists = {"val": folder / "validation_list.txt", "test": folder / "testing_list.txt"}
    if not all(file.is_file() for file in lists.values()):
        raise missing_set(DATA_SETS["speech_commands"], folder)
    listed = {line: part for part, file in lists.items() for line in file.read_text("utf-8").split()}
    return [
        (file, k, file.stem.partition("_nohash_")[0], listed.get(f"{word}/{file.name}", "train"))
        for k, word in enumerate(COMMANDS)
        for file in sorted((folder / word).glob("*.wav"))
    ]


def _read_esc50(folder: Path, fold: int | None) -> list[tuple[Path, int, str, str]]:
    """The official `meta/esc50.csv` with filename, fold (1 to 5), target, category and source; fold 5 is tested."""
    from cnn_core.data.tables import look, rows

    table = folder / "meta" / "esc50.csv"
    if not table.is_file():
        raise missing_set(DATA_SETS["esc50"], folder)
    layout = look(table, ("filename", "fold", "target", "category"))
    at = {name: layout.columns.index(name) for name in ("filename", "fold", "target", "src_file")}
    tested = 5 if fold is None else fold + 1
    return [
        (folder / "audio" / row[at["filename"]], int(row[at["target"]]), row[at["src_file"]],
         "test" if int(row[at["fold"]]) == tested else "train")
        for row in rows(table, layout)
    ]  # fmt: skip


def _official(name: str, *, read: Callable[..., list[tuple[Path, int, str, str]]], **about: object) -> Recordings:
    def count(folder: Path) -> str:
        entries = read(folder, None)
        tested = sum(part == "test" for *_, part in entries)
        return f"{len(entries) - tested:,} + {tested:,} sounds"

    return Recordings(name=name, read=read, count=count, **about)  # type: ignore[arg-type]  # the fields of a DataSet


ESC_CLASSES = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow", "rain", "sea waves",
    "crackling fire", "crickets", "chirping birds", "water drops", "wind", "pouring water", "toilet flush",
    "thunderstorm", "crying baby", "sneezing", "clapping", "breathing", "coughing", "footsteps", "laughing",
    "brushing teeth", "snoring", "drinking or sipping", "door knock", "mouse click", "keyboard typing",
    "creaking door", "can opening", "washing machine", "vacuum cleaner", "clock alarm", "clock tick",
    "breaking glass", "helicopter", "chainsaw", "siren", "car horn", "engine", "train", "church bells", "airplane",
    "fireworks", "hand saw",
)  # fmt: skip

DATA_SETS: dict[str, Recordings] = {
    entry.name: entry
    for entry in (
        Recordings(
            name="drawn_sounds", licence="MIT",
            description="eight kinds of drawn sounds of one second: tones, chirps, melodies, noise", labels=DRAWN,
            rate=DRAWN_RATE,
        ),
        _official(
            "fsdd", read=_read_fsdd, description="spoken English digits, 6 speakers, 3,000 recordings at 8 kHz",
            licence="CC BY-SA 4.0", labels=TEN, rate=8000, folder="fsdd", folds=6, official="2,700 + 300 sounds",
            layout="recordings/{digit}_{speaker}_{index}.wav", source="Jackson et al., free spoken digit dataset",
            get=get_digits,
        ),
        _official(
            "speech_commands", read=_read_commands, licence="CC BY 4.0", labels=COMMANDS, rate=16_000,
            description="Speech Commands v2, 35 words by 2,618 speakers, Warden 2018", folder="speech_commands_v0.02",
            official="94,824 + 11,005 sounds", get=get_commands,
        ),
        _official(
            "esc50", read=_read_esc50, licence="CC BY-NC 3.0", labels=ESC_CLASSES, rate=44_100, folds=5,
            description="ESC-50, 2,000 environmental recordings of 5 s in 50 classes, Piczak 2015", folder="ESC-50",
            official="1,600 + 400 sounds", get=get_esc50,
        ),
    )
}  # fmt: skip
