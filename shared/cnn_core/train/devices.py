"""Which device and which precision a run uses by default."""

import re
from contextlib import AbstractContextManager
from typing import Any

import torch

from cnn_core.errors import CnnError
from cnn_core.nn.precision import checked_autocast


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of that name, or for "auto" the best one found: cuda, then mps, then cpu.

    Raises:
        CnnError: no device has that name, or it is not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", name):
        raise CnnError(f"device: expected auto, cpu, cuda, cuda:1 or mps, got {name!r}")
    device = torch.device(name)
    count = torch.cuda.device_count() if device.type == "cuda" else int(torch.backends.mps.is_available())
    if device.type != "cpu" and (device.index or 0) >= count:
        found = f"finds {count}, from {device.type}:0 on" if count else f"finds no {device.type.upper()} device here"
        raise CnnError(f"device {name!r} was asked for, but torch {found}; use --device cpu")
    return device


def choose_precision(name: str, device: torch.device) -> str:
    """Return Fabric's name of the precision: bfloat16 autocast where the hardware multiplies it, else float32.

    A processor without AMX or AVX512-BF16 emulates bfloat16 and is several times slower with it.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if device.type == "cpu" and has_bfloat16_cpu():
        return "bf16-mixed"
    return "32-true"


def fabric_precision(name: str, device: torch.device) -> dict[str, Any]:
    """Return Fabric's arguments for a precision; on a CPU mixed precision is bfloat16 with checked convolutions.

    That also holds for a precision requested by name: a fast wrong answer helps no one.
    """
    precision = choose_precision(name, device)
    if device.type != "cpu" or precision == "32-true":
        return {"precision": precision}
    from lightning_fabric.plugins import MixedPrecision  # slow to import, and devices are chosen for answers too

    class Checked(MixedPrecision):
        def forward_context(self) -> AbstractContextManager[None]:
            return checked_autocast("cpu", torch.bfloat16)

    return {"plugins": Checked("bf16-mixed", "cpu")}  # float16 is not for CPUs: Fabric takes bfloat16 for it there


def has_bfloat16_cpu() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware."""
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # absent in builds for other processors
    return any(getattr(torch.cpu, probe)() for probe in probes if hasattr(torch.cpu, probe))
