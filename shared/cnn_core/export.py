"""ONNX export with a parity check: the exported file must answer as the network does, in ONNX Runtime."""

import copy
import importlib.util
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cnn_core.errors import CnnError, missing_package
from cnn_core.storage import atomic_path, readable_size, write_text
from cnn_core.weights.card import WeightsCard
from cnn_core.weights.find import CARD_FILE, MODEL_FILES

logger = logging.getLogger(__name__)

ONNX_FILE = "model.onnx"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
BATCHES = (1, 2, 5)  # sizes of the random batches that are compared
TOLERANCE = 1e-4  # largest difference allowed in any output value
RELATIVE = 1e-5  # likewise, as a part of the largest output value: float32 rounds large ones by more than `TOLERANCE`


@dataclass(frozen=True)
class ExportReport:
    """What was exported and how well it agrees."""

    path: Path  # of model.onnx
    bytes: int
    opset: int
    inputs: int  # random inputs compared
    max_abs_difference: float  # over all their output values, ONNX Runtime against torch

    def __str__(self) -> str:
        return (
            f"{self.path} ({readable_size(self.bytes)}, opset {self.opset}): ONNX Runtime agrees with torch within "
            f"{self.max_abs_difference:.1e} on {self.inputs} random inputs"
        )


def export_onnx(
    model: nn.Module,
    card: WeightsCard,
    folder: Path | str,
    *,
    example_shape: Sequence[int],
    opset: int = 18,
    vocabulary_size: int | None = None,
    tolerance: float = TOLERANCE,
) -> ExportReport:
    """Write `model.onnx` and a copy of the card into `folder`; the batch size of the file is free.

    The file has one input, "input" `[B, *example_shape]`, and one output, "output". It is compared with the network
    on random inputs first (normally distributed, or tokens) and appears only if they agree.

    Args:
        model: takes one tensor and returns one; it is exported as float32 in evaluation mode and not changed.
        card: of the weights.
        folder: made if needed; a `model.onnx` that is there is replaced.
        example_shape: of one input, without the batch.
        opset: version of the ONNX operators.
        vocabulary_size: for networks that read tokens: inputs are int64 below this number.
        tolerance: largest absolute difference allowed in any output value, where `RELATIVE` does not allow more.

    Raises:
        CnnError: a package is missing, the network cannot be exported, or the file answers otherwise.
        StorageError: the folder cannot be written.
    """
    for name in PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise missing_package(name)
    folder = Path(folder)
    _check_folder(folder, card)
    shape = tuple(example_shape)
    if not shape or min(shape) < 1:
        raise CnnError(f"example_shape must be the size of one input, such as (3, 32, 32), got {shape}")
    model = copy.deepcopy(getattr(model, "_orig_mod", model)).cpu().float().eval()
    generator = torch.Generator().manual_seed(0)
    batches = [_random_batch(count, shape, vocabulary_size, generator) for count in BATCHES]
    # The channels-last speed-up of training is a matter of torch, not of the file.
    model = model.to(memory_format=torch.contiguous_format)
    path = folder / ONNX_FILE
    with atomic_path(path) as temporary:
        _convert(model, batches[1], temporary, opset, card.name)
        _check_opset(temporary, opset)
        size = temporary.stat().st_size
        difference, largest = _compare(model, batches, temporary, card.name)
        allowed = max(tolerance, RELATIVE * largest)
        if not difference <= allowed < math.inf:  # also when it is NaN
            raise CnnError(
                f"the ONNX file of {card.name!r} was not written: its answers differ by up to {difference:.2g} from "
                f"those of the network, allowed are {allowed:.2g}; try another opset than {opset}"
            )
    write_text(folder / CARD_FILE, card.to_json())
    report = ExportReport(path, size, opset, sum(BATCHES), difference)
    logger.info("%s", report)
    return report


def _check_folder(folder: Path, card: WeightsCard) -> None:
    """Refuse a folder whose card belongs to other weights: writing ours over it would make those unusable."""
    present = folder / CARD_FILE
    if any(folder.glob(MODEL_FILES)) and present.exists():
        own = present.read_bytes()
        if own != card.to_json().encode() and WeightsCard.from_json(own, source=str(present)) != card:
            raise CnnError(f"{folder} holds other weights than {card.name!r} and their card; choose another folder")


def _random_batch(
    count: int, shape: tuple[int, ...], vocabulary_size: int | None, generator: torch.Generator
) -> Tensor:
    if vocabulary_size is None:
        return torch.randn(count, *shape, generator=generator)
    return torch.randint(vocabulary_size, (count, *shape), generator=generator)


def _convert(model: nn.Module, example: Tensor, path: Path, opset: int, name: str) -> None:
    answer = _run(model, example, name)
    if not isinstance(answer, Tensor):
        raise CnnError(f"{name!r} returns {type(answer).__name__}; only networks that return one tensor are exported")
    try:
        with torch.no_grad():
            torch.onnx.export(
                model,
                (example,),
                os.fspath(path),
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
        first_line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CnnError(f"{name!r} cannot be exported with opset {opset}: {first_line}") from error


def _run(model: nn.Module, batch: Tensor, name: str) -> object:
    try:
        with torch.inference_mode():
            return model(batch)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise CnnError(f"{name!r} cannot be run on an input of shape {list(batch.shape)}: {error}") from error


def _check_opset(path: Path, opset: int) -> None:
    """Raise CnnError if the exporter could not convert to `opset`: it then only logs, and writes another one."""
    import onnx

    versions = [entry.version for entry in onnx.load(os.fspath(path)).opset_import if entry.domain in ("", "ai.onnx")]
    if versions != [opset]:
        newest = onnx.defs.onnx_opset_version()
        raise CnnError(
            f"the network needs opset {versions[0]}, and could not be converted to {opset}; newest: {newest}"
        )


def _compare(model: nn.Module, batches: Sequence[Tensor], path: Path, name: str) -> tuple[float, float]:
    """Return the largest absolute difference between the file's and the network's answers, and their largest value."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    difference = largest = 0.0
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        if isinstance(session.get_inputs()[0].shape[0], int):
            raise CnnError(f"{name!r} was traced for batches of {len(batches[1])} only: its forward fixes their size")
        for batch in batches:
            expected = np.asarray(_run(model, batch, name))
            (answer,) = session.run(["output"], {"input": batch.numpy()})
            if answer.shape != expected.shape:
                raise CnnError(f"the ONNX file answers with shape {answer.shape}, {name!r} with {expected.shape}")
            difference = float(np.max(np.abs(answer - expected), initial=difference))  # NaN stays NaN
            largest = float(np.max(np.abs(expected), initial=largest))
    except (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.NotImplemented,
        state.RuntimeException,
    ) as error:
        raise CnnError(f"ONNX Runtime cannot run the exported file ({error}); try another opset") from error
    return difference, largest
