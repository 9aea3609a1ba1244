"""What is wrong with the options of a U-Net, said before it is built: they come from recipes and command lines."""

from collections.abc import Mapping
from typing import Any, get_args

from cnn_core.nn.unet import Activation, Merge, Norm

CHOICES = {"norm": get_args(Norm), "activation": get_args(Activation), "merge": get_args(Merge)}
SWITCHES = ("strided", "early_doubling", "deep_supervision")


def option_problems(options: Mapping[str, Any], *, own: bool) -> list[str]:
    """Return a sentence for every option that cannot be used.

    Args:
        options: by name.
        own: True for the plain and the residual form; False for a way up on a backbone, whose own options with names
            like depth and widths are its business.
    """
    found = []
    counts = ("stem_stride",) if own else ("up_depth", "width")
    for key, value in options.items():
        if key in CHOICES and value not in CHOICES[key]:
            found.append(f"{key}: expected {' or '.join(CHOICES[key])}, got {value!r}")
        elif key in SWITCHES and not isinstance(value, bool):
            found.append(f"{key}: expected true or false, got {value!r}")
        elif key in counts and not _positive(value):
            found.append(f"{key}: expected a whole number of at least 1, got {value!r}")
        elif own and key == "widths" and not (_positives(value) and len(value) >= 2):
            found.append(f"widths: expected a list of two or more whole numbers of at least 1, got {value!r}")
        elif own and key in ("depth", "up_depth") and not (_positive(value) or _positives(value)):
            found.append(f"{key}: expected a whole number of at least 1 or a list of them, got {value!r}")
    if not found and options.get("early_doubling") and options.get("merge") == "add":
        found.append('merge: "add" has no form with early_doubling; choose one of the two')
    return found


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _positives(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_positive, value))
