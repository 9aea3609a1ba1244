"""The labels of a set: names and numbers in dataset.json, in the ways of the Decathlon and of nnU-Net."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cnn_core.validation import whole_number

MAX_LABELS = 254  # besides background: masks of networks are bytes, and one of them means "ignored"
HIGHEST = 65535
IGNORE_NAME = "ignore"  # nnU-Net's name of voxels that nobody has labelled


def named_labels(given: Any, problems: list[str], read: list[str]) -> tuple[dict[int, str], dict[int, int], int | None]:
    """Return number -> name, number in the masks -> number of its label, and the number that is ignored.

    nnU-Net writes the pairs the other way round than the Decathlon, both are read. Its regions are lists of numbers
    that overlap; each number is learned under the name of the smallest region that holds it.

    Args:
        given: "labels" of a dataset.json.
        problems: gets what is wrong.
        read: gets what should be said.
    """
    if isinstance(given, list):
        given = {str(number): name for number, name in enumerate(given)}
    names: dict[int, str] = {}
    ignored: int | None = None
    regions: dict[str, list[int]] = {}
    pairs_given = given.items() if isinstance(given, Mapping) else ()
    by_number = all(str(key).isdecimal() for key, _ in pairs_given)
    for key, value in pairs_given:
        number, name = (value, key)
        if isinstance(value, str) and (by_number or not value.isdecimal()):
            number, name = key, value
        if isinstance(number, list) and number and all(_number(entry) is not None for entry in number):
            regions[str(name).strip()] = [int(entry) for entry in number]
        elif (found := _number(number)) is None or not str(name).strip():
            problems.append(f"labels: expected a number and a name, got {key!r}: {value!r}")
        elif str(name).strip().casefold() == IGNORE_NAME:
            ignored = found
        else:
            if found in names:
                problems.append(f"labels: {found} is given twice")
            names[found] = str(name).strip()
    if regions:
        regions |= {name: [number] for number, name in names.items() if number}
        names = {number: name for number, name in names.items() if not number}
    numbers = {number: number for number in names}
    for number in sorted({n for region in regions.values() for n in region}):
        smallest = min((n for n in regions if number in regions[n]), key=lambda n: len(regions[n]))
        first = next((n for n, name in names.items() if name == smallest), number)
        numbers[number], names[first] = first, smallest
    if any(len(region) > 1 for region in regions.values()):
        read.append(
            "regions overlap, and the network learns labels that exclude each other: each is what smaller regions "
            "leave of it, and so are its Dice and volume"
        )
    if 0 not in names or not 2 <= len(names) <= MAX_LABELS + 1:
        problems.append(
            f'labels: expected "0": "background" and 1 to {MAX_LABELS} others, got {given!r:.80}; give each value that '
            "occurs in the masks its name"
        )
    for name, count in Counter(names.values()).items():
        if count > 1:
            problems.append(f"labels: {name!r} names {count} of them")
    if ignored is not None:
        read.append(f"voxels with the label {ignored} (ignore) are neither learned nor measured")
    return names, numbers if regions else {}, ignored


def _number(value: Any) -> int | None:
    """Return a label's number, given as a whole number or as its digits; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    number = None if isinstance(value, bool) else whole_number(str(value))
    return number if number is not None and number <= HIGHEST else None
