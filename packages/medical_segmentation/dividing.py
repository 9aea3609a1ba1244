"""Training, validation and test cases of a user's own scans; copies and patients stay on one side.

What splits.json, dataset.json, folders or `--test` give is kept, and what in it flatters is said; the rest is held out
by the content of the scans, so that renamed or added files change little.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnn_core.data.paths import given_path
from cnn_core.data.splits import fold_out, hold_out
from cnn_core.errors import DataError
from cnn_core.validation import whole_number
from medical_segmentation.cases import FOLDS, HELD_OUT, PARTS, key_of, patients, some, stem
from medical_segmentation.checker import Checked, Facts

FEW = 5  # test cases, below which their figures say little
LIST_LIMIT = 1 << 20  # bytes of a list of cases
LEAST = 3  # cases, or patients, that can be divided into training, validation and test


@dataclass(frozen=True)
class Division:
    """The parts of a set.

    Args:
        splits: train, val, test and train+val -> names of cases.
        divided: how they came about, a clause.
        read: sentences on copies and patients.
        warnings: what flatters, or says little.
    """

    splits: Mapping[str, tuple[str, ...]]
    divided: str = ""
    read: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def divide(checked: Checked, *, fold: int | None = None, test: Sequence[str] = (), by_patient: bool = True) -> Division:
    """Divide the cases of a custom set.

    Args:
        checked: the set.
        fold: 0 to 4: which fifth of all cases is the test set; given splits do not count then.
        test: the test cases: their number, a file with a name a line, or names; none: those of the set's own split, or
            one case in seven.
        by_patient: whether the names of cases may tell of patients.

    Raises:
        DataError: there are too few cases, or `test` names none.
    """
    source, facts = checked.source, checked.facts
    names = [*facts]
    if fold is not None and test:
        raise DataError("--fold and --test both choose the test cases; give one of them")
    if fold is not None and len(names) < FOLDS:
        raise DataError(
            f"{source.folder}: {len(names)} cases cannot be divided into {FOLDS} parts, expected at least {FOLDS}; "
            "leave fold out or add cases"
        )
    patient_of, said = _patients(checked, by_patient=by_patient)
    together = _together(facts, patient_of)
    given = {part: [n for n in (source.splits or {}).get(part, ()) if n in facts] for part in PARTS}
    rest = given["train"] if source.splits else names
    how = [f"as given in {_origin(source.folder)}"] if source.splits else []
    count = _count(test)
    if fold is not None:
        kept, held = fold_out(_kinds(facts, names), folds=FOLDS, fold=fold, groups=[together[n] for n in names])
        rest, given["test"], given["val"] = [names[i] for i in kept], [names[i] for i in held], []
        how = [f"fold {fold} of {FOLDS} is the test set"]
    elif test and count is None:
        chosen = _chosen(test, names, source.folder)
        given["test"] = chosen
        rest, given["val"] = ([n for n in part if n not in chosen] for part in (rest, given["val"]))
        how.append("the test cases are those of --test")
    elif count is not None or not given["test"]:
        if count is not None and count > len(rest) - 2:
            raise DataError(f"--test {count}: {source.folder} has {_of(rest)}, and two are needed to learn from")
        share = 1 / HELD_OUT if count is None else count / max(1, len(rest))
        if len(rest) >= LEAST:
            rest, given["test"] = _hold_out(facts, rest, share, together)
        how.append(f"{_of(given['test'])} held out for the test")
    if not given["val"]:
        rest, given["val"] = _hold_out(facts, rest, 1 / (HELD_OUT - 1), together)
        how.append(f"{_of(given['val'])} held out for validation")
    if source.splits and not rest and fold is None:
        raise DataError(f"{source.folder}: {_origin(source.folder)} names no case to train on; add some to train")
    if not rest or not given["test"]:
        raise DataError(
            f"{source.folder}: {_of(names)} {'is' if len(names) == 1 else 'are'} too few to train and to measure on, "
            f"expected at least {LEAST} of as many patients{''.join(f'; {text}' for text in _copies(facts))}"
        )
    splits = {"train": tuple(rest), "val": tuple(given["val"]), "test": tuple(given["test"])}
    warnings = _across(splits, facts, patient_of)
    if len(splits["test"]) < FEW:
        warnings.append(f"the test figures are of {_of(given['test'])} and say little")
    splits["train+val"] = splits["train"] + splits["val"]
    return Division(splits, ", ".join(how), (*said, *_copies(facts)), tuple(warnings))


def _patients(checked: Checked, *, by_patient: bool) -> tuple[dict[str, str], list[str]]:
    """Return the patient of each case, and what is to be said of it."""
    cases = [case for case in checked.source.cases if case.name in checked.facts]
    alone = {case.name: case.name for case in cases}
    if not by_patient:
        return alone, []
    found = patients(cases)
    count = len({*found.values()})
    if count == len(cases) or (count == 1 and not any(case.patient for case in cases)):
        return alone, []
    source = "the description" if any(case.patient for case in cases) else "the names of the cases"
    if count < LEAST:
        return alone, [
            f"by {source} these are {count} patients ({some([*dict.fromkeys(found.values())])}), too few to divide by: "
            "cases of one patient are in training and test, which flatters"
        ]
    return found, [
        f"{count} patients by {source} (such as {next(iter(found.values()))}): all cases of a patient stay together; "
        "--no-by-patient divides by case"
    ]


def _together(facts: Mapping[str, Facts], patient_of: Mapping[str, str]) -> dict[str, str]:
    """Return for each case what it must stay together with: its patient, and that of its copies."""
    parent = {patient: patient for patient in patient_of.values()}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            patient = parent[patient]
        return patient

    first: dict[int, str] = {}
    for name, entry in facts.items():
        parent[root(patient_of[name])] = root(first.setdefault(entry.content, patient_of[name]))
    return {name: root(patient_of[name]) for name in facts}


def _kinds(facts: Mapping[str, Facts], names: Sequence[str]) -> np.ndarray:
    """Return 1 for cases of which something is labelled, else 0: both are in every part."""
    return np.array([int(facts[name].counts[1:].any()) for name in names], dtype=np.int64)


def _hold_out(
    facts: Mapping[str, Facts], names: Sequence[str], share: float, together: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    if not names:
        return [], []
    keys = [f"{facts[name].content:016x}" for name in names]
    groups = [together[name] for name in names]
    rest, held = hold_out(_kinds(facts, names), [min(share, 0.999)], keys=keys, groups=groups)
    return [names[i] for i in rest], [names[i] for i in held]


def _count(test: Sequence[str]) -> int | None:
    """Return the number of test cases that `--test 5` asks for; None where it names them."""
    return (whole_number(test[0]) or None) if len(test) == 1 else None


def _chosen(test: Sequence[str], names: Sequence[str], folder: Path) -> list[str]:
    """Return the cases that `--test` names, each by its name or that of its file, or in a file with a name a line."""
    wanted = [*test]
    if len(wanted) == 1 and given_path(wanted[0]).is_file() and key_of(stem(wanted[0])) not in map(key_of, names):
        wanted = _lines(given_path(wanted[0]))
    known = {key_of(spelling): name for name in names for spelling in (Path(name).name, name)}
    missing = [text for text in wanted if key_of(text) not in known and key_of(stem(text)) not in known]
    if missing or not wanted:
        raise DataError(
            f"--test: there is no case {some(missing) or 'in the list'} in {folder}; expected a number, names of cases "
            f"such as {some(names[:3])}, a file with a name a line, or a folder of scans and masks"
        )
    return [*dict.fromkeys(known.get(key_of(text), known.get(key_of(stem(text)), "")) for text in wanted)]


def _lines(file: Path) -> list[str]:
    try:
        if file.stat().st_size > LIST_LIMIT:
            raise ValueError(f"larger than {LIST_LIMIT >> 20} MB")
        text = file.read_text("utf-8-sig")
        if file.suffix.lower() == ".json":
            table = json.loads(text)
            table = table.get("test", []) if isinstance(table, Mapping) else table
            return [str(entry) for entry in table]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"--test: {file} cannot be read ({error}); expected a text file with a case a line") from error
    return [line.strip().strip('"') for line in text.splitlines() if line.strip()]


def _origin(folder: Path) -> str:
    return next((name for name in ("splits.json", "dataset.json") if (folder / name).is_file()), "the folders")


def _copies(facts: Mapping[str, Facts]) -> list[str]:
    """Say which scans are there more than once."""
    of: dict[int, list[str]] = {}
    for name, entry in facts.items():
        of.setdefault(entry.content, []).append(name)
    several = [names for names in of.values() if len(names) > 1]
    if not several:
        return []
    said = [
        f"{sum(map(len, several)) - len(several)} scans are copies of others ({some([' = '.join(n) for n in several])})"
    ]
    if other := [n for n in several if any((facts[n[0]].counts != facts[m].counts).any() for m in n[1:])]:
        said.append(
            f"{len(other)} of them have different masks for the same scan ({some([' = '.join(n) for n in other])})"
        )
    return said


def _across(
    splits: Mapping[str, Sequence[str]], facts: Mapping[str, Facts], patient_of: Mapping[str, str]
) -> list[str]:
    """Say which scans or patients are in the test and in what is learned from."""
    learned = [*splits["train"], *splits["val"]]
    voxels, owners = {facts[name].content for name in learned}, {patient_of[name] for name in learned}
    copies = [name for name in splits["test"] if facts[name].content in voxels]
    others = [name for name in splits["test"] if patient_of[name] in owners and name not in copies]
    said = []
    if copies:
        said.append(
            f"{len(copies)} test scans are copies of scans that are learned from, which flatters: {some(copies)}"
        )
    if others:
        said.append(f"{len(others)} test scans are of patients that are learned from, which flatters: {some(others)}")
    return said


def _of(names: Sequence[str]) -> str:
    return f"{len(names)} case{'s' * (len(names) != 1)}"
