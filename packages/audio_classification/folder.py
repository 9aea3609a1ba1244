"""Own sounds: a folder, or a zip, with one subfolder per class; any mix of rates, channels and formats.

    FOLDER/dog/1.wav  FOLDER/rain/porch/2.mp3                  divided automatically
    FOLDER/train/dog/1.wav  FOLDER/test/dog/2.wav              already divided; what is missing is taken from train

Sounds of one subfolder of a class (a speaker, an afternoon) stay in one split where every class has enough of them, and
so do copies, known by their samples.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from audio_classification.data import to_int16
from audio_classification.reading import SUFFIXES, Sound, read_sound, resample
from audio_classification.sound_set import SoundSet
from cnn_core.data.archives import extract
from cnn_core.data.cache import cache_key
from cnn_core.data.files import data_root
from cnn_core.data.folders import is_left_behind, natural, walk
from cnn_core.data.paths import beside_upload, custom_path
from cnn_core.data.splits import SPLIT_NAMES, hold_out
from cnn_core.data.summary import DataSummary, Omissions, class_counts, class_warnings
from cnn_core.errors import DataError
from cnn_core.weights.members import content_hashes

TEST_SHARE, VAL_SHARE = 0.2, 0.1
GROUPS = 3  # subfolders that every class must have for them to stay together
COMMON_RATES = (8000, 16_000, 22_050, 44_100)


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
    path: str | os.PathLike[str], known: list[str], *, rate: int | None = None, longest: float = 30.0
) -> OwnSounds:
    """Read the sounds of a folder or zip.

    Args:
        path: of the data.
        known: names of the domain's data sets, for messages.
        rate: samples per second of the result; None: the highest of the usual ones that most files reach.
        longest: seconds that are read of a sound at most.

    Raises:
        DataError: nothing can be learned from it; says what is expected.
        UnknownNameError: there is no such folder.
    """
    folder = _unpacked(custom_path(path, known, expected="one subfolder of sounds per class", kinds=("folder", "zip")))
    left_out = Omissions()
    entries = _entries(folder, left_out)
    sounds: list[tuple[Sound, str, str, Path]] = []
    cut = 0
    for part, label, file in entries:
        try:
            sound = read_sound(file, longest=longest + 1)
        except DataError as error:
            left_out.add(str(error).partition(": ")[2].partition(" (")[0], file.relative_to(folder).as_posix())
            continue
        cut += sound.seconds > longest
        sounds.append((Sound(sound.samples[: round(longest * sound.rate)], sound.rate), part, label, file))
    labels = tuple(sorted({label for _, _, label, _ in sounds}, key=natural))
    if len(labels) < 2:
        raise DataError(
            f"{path}: expected a folder of sounds for each class, at least two; found {', '.join(labels) or 'none'}"
            + "".join(f"; {entry}" for entry in left_out.all)
        )
    rate = rate or _usual_rate([sound.rate for sound, *_ in sounds])
    place = {label: k for k, label in enumerate(labels)}
    whole = SoundSet(
        str(path), "all", labels, rate, [to_int16(resample(sound, rate)) for sound, *_ in sounds],
        torch.tensor([place[label] for _, _, label, _ in sounds]),
        tuple(file.relative_to(folder).as_posix() for *_, file in sounds),
    )  # fmt: skip
    hashes = content_hashes(wave.tobytes() for wave in whole.waves)
    given = np.array([part for _, part, *_ in sounds])
    parts, divided, warnings = _divide(
        whole, hashes, given, [_group(file, folder, part) for _, part, _, file in sounds]
    )
    read = [f"{whole.seconds.sum() / 60:.1f} minutes, brought to {rate:,} Hz and one channel"]
    if cut:
        read.append(f"{cut} sounds are longer than {longest:g} s; their beginning is used")
    classes = class_counts(labels, {part: whole.targets[index].tolist() for part, index in parts.items()})
    summary = DataSummary(
        str(path), "sounds", {part: len(index) for part, index in parts.items()}, classes, divided, tuple(read),
        left_out.all, (*warnings, *class_warnings(classes)),
    )  # fmt: skip
    return OwnSounds(whole, parts, summary, hashes)


def _unpacked(path: Path) -> Path:
    """Return the folder, or that of an archive, which is unpacked once beside what is computed."""
    if path.is_dir():
        return path
    status = path.stat()
    key = cache_key(str(path.resolve()), status.st_size, status.st_mtime_ns)
    place = (beside_upload("features") or data_root() / "features") / f"sounds-{key}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        extract(path, place)
    return place


def _entries(folder: Path, left_out: Omissions) -> list[tuple[str, str, Path]]:
    """Return (given split or "", class, file) of every sound; what is none is counted."""
    files = [place / file for place, names in walk(folder, hidden=is_left_behind) for file in names]
    inside = {file: file.relative_to(folder).parts for file in files}
    while (tops := {parts[0] for parts in inside.values()}) and len(tops) == 1 and min(map(len, inside.values())) > 2:
        inside = {file: parts[1:] for file, parts in inside.items()}  # a folder that merely wraps the others
    given = all(top.lower() in SPLIT_NAMES for top in tops) and any(SPLIT_NAMES[t.lower()] == "train" for t in tops)
    entries = []
    for file, parts in sorted(inside.items(), key=lambda item: item[1]):
        depth = 1 if given else 0
        if file.suffix.lower() not in SUFFIXES:
            left_out.add("files that are no sounds", "/".join(parts))
        elif len(parts) < depth + 2:
            left_out.add("sounds outside the class folders", "/".join(parts))
        else:
            entries.append((SPLIT_NAMES[parts[0].lower()] if given else "", parts[depth], file))
    return entries


def _divide(
    whole: SoundSet, hashes: np.ndarray, given: np.ndarray, groups: list[str]
) -> tuple[dict[str, np.ndarray], str, list[str]]:
    """Return split -> indices, how they came about, and what lowers the trust in them."""
    per_class = {k: {g for g, t in zip(groups, whole.targets.tolist(), strict=True) if t == k and g}
                 for k in range(len(whole.labels))}  # fmt: skip
    together = all(len(names) >= GROUPS for names in per_class.values())
    units = [g if together and g else int(h) for g, h in zip(groups, hashes, strict=True)]
    pool = np.flatnonzero((given == "") | (given == "train"))
    missing = [(p, share) for p, share in (("val", VAL_SHARE), ("test", TEST_SHARE)) if not (given == p).any()]
    held = hold_out(
        whole.targets[pool].numpy(), [share for _, share in missing], keys=[whole.files[i] for i in pool],
        groups=[units[i] for i in pool],
    )  # fmt: skip
    parts = {part: np.flatnonzero(given == part) for part in ("train", "val", "test")}
    parts |= {part: pool[index] for part, index in zip(["train", *(p for p, _ in missing)], held, strict=True)}
    warnings = []
    copies = int(np.isin(hashes[parts["test"]], hashes[parts["train"]]).sum())
    if copies:
        warnings.append(f"{copies} test sounds are copies of training sounds, which flatters the figures")
    twice = Counter(zip(hashes.tolist(), whole.targets.tolist(), strict=True))
    classes_of = Counter(value for value, _ in twice)
    if contradictions := sum(count > 1 for count in classes_of.values()):
        warnings.append(f"{contradictions} sounds are in two classes at once")
    names = {"val": f"{VAL_SHARE:.0%} for validation", "test": f"{TEST_SHARE:.0%} for the test"}
    if not missing:
        return parts, "as the folders say", warnings
    kept = "sounds of a subfolder and copies together" if together else "copies together"
    return parts, f"{' and '.join(names[p] for p, _ in missing)} held out by file names, {kept}", warnings


def _group(file: Path, folder: Path, part: str) -> str:
    """Return the subfolder of its class that a sound lies in, "" if it lies in none."""
    parts = file.relative_to(folder).parts[1 if part else 0 :]
    return "/".join(parts[:2]) if len(parts) > 2 else ""


def _usual_rate(rates: list[int]) -> int:
    """Return the highest usual rate that nine of ten sounds reach, or the lowest of all."""
    reached = [rate for rate in COMMON_RATES if sum(r >= rate for r in rates) >= 0.9 * len(rates)]
    return max(reached) if reached else min(rates)
