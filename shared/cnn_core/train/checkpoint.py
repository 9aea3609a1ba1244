"""Checkpoints: a tree of dicts, lists, numbers, texts and tensors in one safetensors file, written atomically.

The tensors are stored as they are; the tree around them is JSON in the file's metadata:

    None, bool, int, str, finite float, list      themselves
    tuple                                         {"tuple": [...]}
    dict, whose keys may be numbers               {"dict": [[key, value], ...]}
    NaN and infinite floats                       {"float": "nan"}
    tensor                                        {"tensor": "number of the tensor"}

A digest over tree and tensors is kept beside it, so that a flipped bit anywhere is noticed. Nothing is ever unpickled.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnn_core.errors import WeightsError
from cnn_core.storage import write_bytes
from cnn_core.weights.container import DTYPES, pack, unpack

FORMAT = "cnn-showcase checkpoint 1"
DEEPEST = 100  # levels; a tree that holds itself is found this way


def save_checkpoint(path: Path | str, tree: Any) -> None:
    """Write `tree` to `path` in one step: a reader sees the old checkpoint or the new one.

    Subclasses of dict are stored as dict, of tuple as tuple, NumPy scalars as Python numbers. Tensors that share all
    of their memory (tied weights) are stored once and are one tensor after loading; views of parts become copies.

    Args:
        path: the file; missing folders are made.
        tree: any nesting of dict (keys: str, int, float, bool, None), list, tuple, None, bool, int, float, str and
            dense tensors on any device.

    Raises:
        TypeError: something else is in the tree; the message says where.
        StorageError: the disk is full, or the folder cannot be written; an older checkpoint is untouched.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = json.dumps(_take_tensors(tree, "tree", tensors, {}, 0))
    tensors = {name: _plain(tensor) for name, tensor in tensors.items()}
    metadata = {"format": FORMAT, "tree": skeleton, "sha256": _digest(skeleton, tensors)}
    write_bytes(path, pack(tensors, metadata))


def load_checkpoint(path: Path | str) -> Any:
    """Return the tree that `save_checkpoint` wrote, bit for bit, tensors on the CPU.

    Raises:
        WeightsError: there is no such file, it is damaged, or no checkpoint.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise WeightsError(f"no checkpoint at {path}; start the run without resuming") from error
    except OSError as error:
        raise WeightsError(f"could not read the checkpoint {path}: {error.strerror}; check its permissions") from error
    tensors, metadata = unpack(data, source=str(path))
    if metadata.get("format") != FORMAT or not {"tree", "sha256"} <= metadata.keys():
        raise WeightsError(f"{path} is no checkpoint of a training run; expected the format {FORMAT!r}")
    if _digest(metadata["tree"], tensors) != metadata["sha256"]:
        raise WeightsError(f"{path}: the checkpoint is damaged (its SHA-256 does not fit); start the run anew")
    try:
        return _put_tensors(json.loads(metadata["tree"]), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: the checkpoint cannot be read ({error!r}); start the run anew") from error


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()


def _digest(skeleton: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the tree and over name, type, shape and bytes of every tensor."""
    digest = hashlib.sha256(skeleton.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _take_tensors(node: Any, where: str, tensors: dict[str, Tensor], known: dict[tuple, str], depth: int) -> Any:
    """Return the JSON form of `node`, its tensors moved into `tensors`; `known` finds tensors that share memory."""
    if depth > DEEPEST:
        raise TypeError(f"{where[:200]}: more than {DEEPEST} levels; does the tree hold itself?")
    if isinstance(node, np.generic):
        node = node.item()
    if isinstance(node, Tensor):
        return {"tensor": _number_of(node, where, tensors, known)}
    if isinstance(node, dict):
        items = []
        for key, value in node.items():
            if not isinstance(key, str | int | float | None):
                raise TypeError(f"{where}: a key must be a text, a number or None, got {key!r}")
            plain_key = _take_tensors(key, where, tensors, known, depth + 1)
            items.append([plain_key, _take_tensors(value, f"{where}[{key!r}]", tensors, known, depth + 1)])
        return {"dict": items}
    if isinstance(node, list | tuple):
        items = [_take_tensors(x, f"{where}[{i}]", tensors, known, depth + 1) for i, x in enumerate(node)]
        return {"tuple": items} if isinstance(node, tuple) else items
    if isinstance(node, float) and not math.isfinite(node):
        return {"float": repr(float(node))}
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"{where}: a checkpoint cannot hold {type(node).__name__}; give numbers, texts, tensors")


def _number_of(tensor: Tensor, where: str, tensors: dict[str, Tensor], known: dict[tuple, str]) -> str:
    """Return the number of `tensor`, a new one unless a tensor with all of its memory has one."""
    if tensor.layout != torch.strided or tensor.is_meta or tensor.dtype not in DTYPES.values():
        raise TypeError(f"{where}: a checkpoint cannot hold a {tensor.layout} {tensor.dtype} tensor on {tensor.device}")
    memory: tuple = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
    if tensor.numel() == 0:
        memory = (id(tensor),)  # empty tensors have no address
    elif tensor.is_conj() or tensor.is_neg():
        memory = (*memory, "seen through a sign")  # views of the same memory with other values
    if memory not in known:
        known[memory] = str(len(tensors))
        tensors[known[memory]] = tensor
    return known[memory]


def _put_tensors(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return the tree whose JSON form `node` is."""
    if isinstance(node, list):
        return [_put_tensors(item, tensors) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "tuple":
        return tuple(_put_tensors(item, tensors) for item in value)
    if kind == "dict":
        return {_put_tensors(key, tensors): _put_tensors(item, tensors) for key, item in value}
    if kind == "float":
        return float(value)
    raise ValueError(f"unknown kind {kind!r}")
