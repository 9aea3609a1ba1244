"""Checkpoints: a tree of dicts, lists, numbers, texts and tensors in one file, written atomically.

The file is a line that names the format and the SHA-256 of what follows, and what follows is `torch.save`'s. It is read
by `torch.load(weights_only=True)`, which builds nothing but such trees, after the digest was found right: a flipped bit
anywhere is noticed.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from cnn_core.errors import CnnError, WeightsError
from cnn_core.storage import write_bytes, write_text
from cnn_core.train.config import RECIPE_FILE, check_settings, to_table
from cnn_core.train.runs import read_json

CHECKPOINT_FILE = "last.pt"  # of a run folder
UNPICKLING_ERRORS = (  # of a file that somebody else made: torch checks little before it follows it
    torch.serialization.pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, TypeError,
    AttributeError,
)  # fmt: skip
FORMAT = b"cnn-showcase checkpoint 2 "


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a run left a checkpoint; WeightsError if it is one of version 0.1, which is not read."""
    if (folder / CHECKPOINT_FILE).exists():
        return True
    if (folder / "last.safetensors").exists():
        raise WeightsError(f"{folder} was begun by version 0.1, whose checkpoints are not read; begin anew with --run")
    return False


def save_checkpoint(path: Path | str, tree: Any) -> None:
    """Write `tree` to `path` in one step: a reader sees the old checkpoint or the new one.

    Args:
        path: the file; missing folders are made.
        tree: any nesting of dict, list, tuple, None, bool, int, float, str and tensors on any device.

    Raises:
        StorageError: the disk is full, or the folder cannot be written; an older checkpoint is untouched.
    """
    buffer = io.BytesIO()
    torch.save(tree, buffer)
    data = buffer.getbuffer()
    write_bytes(path, b"".join([FORMAT, hashlib.sha256(data).hexdigest().encode(), b"\n", data]))


def load_checkpoint(path: Path | str) -> Any:
    """Return the tree that `save_checkpoint` wrote, bit for bit, tensors on the CPU.

    Raises:
        WeightsError: there is no such file, it is damaged, or it is not a checkpoint.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(f"no checkpoint at {path}; start the run without resuming") from error
    except OSError as error:
        raise WeightsError(f"could not read the checkpoint {path}: {error.strerror}; check its permissions") from error
    head, _, body = data.partition(b"\n")
    if not head.startswith(FORMAT):
        raise WeightsError(f"{path} is not a checkpoint; expected one of the format {FORMAT.decode()}")
    if hashlib.sha256(body).hexdigest().encode() != head.removeprefix(FORMAT):
        raise WeightsError(f"{path}: the checkpoint is damaged (its SHA-256 does not fit); start the run anew")
    try:
        return torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except UNPICKLING_ERRORS as error:
        raise WeightsError(f"{path}: the checkpoint cannot be read ({error}); start the run anew") from error


def open_folder(folder: Path, recipe: Any, *, resume: bool) -> None:
    """Write the settings of a run into its folder, or compare them with those that it was begun with.

    Raises:
        CnnError: it holds a run, and `resume` is False.
        ConfigError: it was begun with other settings.
    """
    begun = any((folder / name).exists() for name in (CHECKPOINT_FILE, "card.json"))
    if begun and not resume:
        raise CnnError(f"{folder} already holds a run; go on with --resume or choose another folder with --run")
    if begun:  # a start that failed, over a mistyped option say, must not leave its settings behind
        check_settings(folder, recipe)
    write_text(folder / RECIPE_FILE, json.dumps(to_table(recipe), indent=2) + "\n")


def is_trained(folder: Path) -> bool:
    """Tell whether a run came to its end and has its weights; one that was stopped has weights too."""
    return (folder / "card.json").exists() and read_json(folder / "status.json").get("state") == "trained"
