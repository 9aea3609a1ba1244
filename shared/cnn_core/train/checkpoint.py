"""Checkpoints: a tree of dicts, lists, numbers, texts and tensors in one file, written atomically.

The file is a line that names the format and the SHA-256 of what follows, and what follows is `torch.save`'s. It is read
by `torch.load(weights_only=True)`, which builds nothing but such trees, after the digest was found right: a flipped bit
anywhere is noticed.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from cnn_core.errors import WeightsError
from cnn_core.storage import write_bytes

CHECKPOINT_FILE = "last.pt"  # of a run folder
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
    except (torch.serialization.pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsError(f"{path}: the checkpoint cannot be read ({error}); start the run anew") from error
