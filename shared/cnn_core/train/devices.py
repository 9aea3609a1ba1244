"""Which device and which precision a run uses; on a CPU, convolutions are compared with float32 before they are used.

Some of torch's bfloat16 kernels are wrong. Of torch 2.15 on a processor with AVX512-BF16 these were found: gradients of
conv3d's weights where the kernel is as long as the map (2 x 2 x 2 maps above all, where 3-D networks end), of strided
conv1d and conv2d on maps one cell wide, of kernels of one cell with a dilation; answers of conv3d with one channel.
"""

import hashlib
import json
import logging
import os
import platform
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cnn_core.errors import CnnError, StorageError
from cnn_core.storage import write_text

log = logging.getLogger(__name__)

CONVOLUTIONS = {F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}
TOLERANCE = 0.05  # of the norm: right kernels are off by 0.002 to 0.02, wrong ones by 0.4 to infinity
TRIALS = 2  # of random numbers, taken together
FEW = 8  # numbers that may all be nearly zero by chance, which is no measure; with more, one trial is enough

_told: list[str] = []  # the one sentence of this process


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
            return checked_autocast(torch.bfloat16)

    return {"plugins": Checked("bf16-mixed", "cpu")}  # float16 is not for CPUs: Fabric takes bfloat16 for it there


def has_bfloat16_cpu() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware."""
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # absent in builds for other processors
    return any(getattr(torch.cpu, probe)() for probe in probes if hasattr(torch.cpu, probe))


@contextmanager
def checked_autocast(dtype: torch.dtype) -> Iterator[None]:
    """Compute as `torch.autocast("cpu", dtype)` does, but with checked convolutions; no wrong kernel of a GPU is known.

    Every convolution is tried once for its sizes, strides and memory layout: output, and while learning the gradients
    of input, weight and bias, for two samples of random numbers. One that is wrong runs in float32, and a warning says
    so once. Verdicts are kept in the user's cache folder, for this processor and this torch.
    """
    known = len(_verdicts())
    with torch.autocast("cpu", dtype), _Checked():
        yield
    if len(_verdicts()) > known:
        with suppress(StorageError):  # then the next process tries them again
            write_text(_file(), json.dumps(_verdicts()))


class _Checked(TorchFunctionMode):
    """Sees every call of torch in its `with` block, whichever layer or library makes it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in CONVOLUTIONS or not torch.is_autocast_enabled("cpu") or _is_trusted(func, *args, **kwargs):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            result = func(*map(_float32, args), **{name: _float32(value) for name, value in kwargs.items()})
        return result.to(torch.get_autocast_dtype("cpu"))


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value


def _is_trusted(
    func: Callable[..., Tensor], input: Tensor, weight: Tensor, bias: Tensor | None = None, *rest: Any, **options: Any
) -> bool:
    """Look the verdict of a convolution up, or find it."""
    if torch.compiler.is_compiling():
        return False  # there are no numbers to compare
    learning, dtype = torch.is_grad_enabled(), torch.get_autocast_dtype("cpu")
    layout = tuple(input.shape[1:]), input.stride()[1:], tuple(weight.shape), weight.stride(), bias is not None
    call = func.__name__, str(dtype), min(len(input), 2), *layout, rest, options, learning, torch.get_num_threads()
    key, verdicts = str(call), _verdicts()
    maps, kernels = input.shape[2:], weight.shape[2:]
    if key not in verdicts:
        # 3-D kernels as long as the map are not even tried: some write where they must not, and end the process.
        unsafe = len(kernels) == 3 and any(1 < kernel >= edge for kernel, edge in zip(kernels, maps, strict=False))
        verdicts[key] = not unsafe and _is_right(func, [input[:2], weight, bias], rest, options, learning=learning)
    if not verdicts[key] and not _told:
        _told.append(
            f"{func.__name__} with kernels {list(kernels)} on maps {list(maps)}, and every other convolution whose "
            f"{str(dtype)[6:]} is wrong or unsafe on this processor with torch {torch.__version__}, runs in float32"
        )
        log.warning(_told[0])
    return verdicts[key]


def _is_right(
    func: Callable[..., Tensor],
    likes: Sequence[Tensor | None],
    rest: Sequence[Any],
    options: dict[str, Any],
    *,
    learning: bool,
) -> bool:
    """Compare a convolution under autocast with float32, on random numbers laid out as `likes`."""
    chance, dtype = torch.Generator().manual_seed(0), torch.get_autocast_dtype("cpu")
    with torch.inference_mode(False), torch.set_grad_enabled(learning):
        errors = scales = torch.zeros(())
        for _ in range(TRIALS):
            values = [like if like is None else _draw(like, chance).requires_grad_(learning) for like in likes]
            found: list[Tensor] = []
            exact: list[Tensor] = []
            direction: Tensor | None = None
            for results, enabled in ((found, True), (exact, False)):
                try:
                    with torch.autocast("cpu", dtype, enabled=enabled, cache_enabled=False):
                        results.append(func(*values, *rest, **options))
                    if learning:
                        direction = _draw(results[0], chance) if direction is None else direction
                        learned = [value for value in values if value is not None]
                        results += torch.autograd.grad(results[0], learned, direction.to(results[0].dtype))
                except RuntimeError:
                    return False  # the call that follows, in float32, says what is wrong with it
            errors = errors + torch.stack([(a.float() - b).norm() ** 2 for a, b in zip(found, exact, strict=True)])
            scales = scales + torch.stack([b.norm() ** 2 for b in exact])
            if min(b.numel() for b in exact) >= FEW:
                break
        return bool((errors <= TOLERANCE**2 * scales).all())  # false for NaN


def _draw(like: Tensor, chance: torch.Generator) -> Tensor:
    return torch.empty_like(like.detach(), dtype=torch.float32).normal_(generator=chance)


@cache
def _verdicts() -> dict[str, bool]:
    """Return what is known, by convolution: whether it is right."""
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {*map(type, found.values())} <= {bool} else {}


@cache
def _file() -> Path:
    """Return where the verdicts of this processor and this torch are kept."""
    processor = [platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = sorted({line for line in lines if line.startswith(("model name", "flags"))})
    limits = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(("ONEDNN_", "DNNL_")))
    machine = "\n".join([*processor, *limits, torch.__config__.show()])
    name = f"convolutions-{hashlib.sha256(machine.encode()).hexdigest()[:16]}.json"
    return platformdirs.user_cache_path("cnn-showcase", False) / name
