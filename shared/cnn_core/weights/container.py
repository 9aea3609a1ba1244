"""Named tensors as the bytes of a safetensors file, checked before anything is allocated.

Layout (https://huggingface.co/docs/safetensors): eight bytes with the length of the header, the header as JSON
(name -> dtype, shape, begin and end in the data; `__metadata__` -> texts), then the data without gaps.
"""

import json
import math
import struct
from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from cnn_core.errors import WeightsError

HEADER_LIMIT = 100_000_000  # bytes, the format's own limit
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "C64": torch.complex64,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "BOOL": torch.bool,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8,
}  # fmt: skip


def pack(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a safetensors file; tensors may lie anywhere, share memory, or have gaps.

    Raises:
        TypeError: a value is not a dense tensor of a type that the format knows.
    """
    ready = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
            raise TypeError(f"{name}: expected a dense tensor with data, got {type(tensor).__name__}")
        if tensor.dtype not in DTYPES.values():
            raise TypeError(f"{name}: {tensor.dtype} cannot be stored; convert it first")
        tensor = tensor.detach().cpu()
        if tensor.is_conj() or tensor.is_neg():
            tensor = tensor.resolve_conj().resolve_neg()
        # The format refuses tensors that share memory (tied weights), so each gets its own.
        ready[name] = tensor.clone(memory_format=torch.contiguous_format)
    return safetensors.torch.save(ready, metadata=dict(metadata or {}))


def unpack(data: bytes, *, source: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors (on the CPU, each with its own memory) and the metadata of a safetensors file.

    Args:
        data: the whole file.
        source: what to call it in messages, usually its path.

    Raises:
        WeightsError: the bytes are not a complete safetensors file.
    """
    metadata = check_header(data, source=source)
    try:
        return safetensors.torch.load(data), metadata
    except (safetensors.SafetensorError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{source}: damaged ({error}); {_REMEDY}") from error


_REMEDY = "restore the file or train again"


def check_header(data: bytes, *, source: str) -> dict[str, str]:
    """Return the metadata after checking that every tensor's type, shape and place fit the file.

    Raises:
        WeightsError: says what does not fit.
    """
    if len(data) < 8:
        raise WeightsError(f"{source}: {len(data)} bytes are no safetensors file; {_REMEDY}")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(HEADER_LIMIT, len(data) - 8):
        raise WeightsError(
            f"{source}: the header claims {length} bytes, the file has {len(data)}; it is cut short or no safetensors "
            f"file; {_REMEDY}"
        )
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{source}: the header is not JSON ({type(error).__name__}); {_REMEDY}") from error
    if not isinstance(header, dict):
        raise WeightsError(f"{source}: the header is not a JSON object; {_REMEDY}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsError(f"{source}: the metadata must be texts; {_REMEDY}")
    expected = sum(_size(name, entry, source) for name, entry in header.items())
    if expected != len(data) - 8 - length:
        raise WeightsError(
            f"{source}: the header describes {expected} bytes of tensors, the file has {len(data) - 8 - length}; "
            f"it is cut short or damaged; {_REMEDY}"
        )
    return metadata


def _size(name: str, entry: object, source: str) -> int:
    """Return the bytes that a header entry takes in the data."""
    problem = None
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        problem = "expected dtype, shape and data_offsets"
    elif str(entry["dtype"]) not in DTYPES:
        problem = f"unknown type {str(entry['dtype'])[:40]}"
    elif not isinstance(entry["shape"], list) or not all(type(n) is int and n >= 0 for n in entry["shape"]):
        problem = "the shape must be whole numbers of at least 0"
    if problem:
        raise WeightsError(f"{source}: tensor {name[:80]!r}: {problem}; {_REMEDY}")
    return math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize
