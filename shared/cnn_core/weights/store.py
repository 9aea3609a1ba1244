"""Save, verify and load weights: `model.safetensors` and `card.json` in one folder, never pickle.

How the pair changes in one step. The new card is first written as `card.json.new`, then the model is replaced, then
the card takes its name. A reader takes the card whose SHA-256 is that of the model, so it sees the old pair or the
new one wherever a save was cut short, and the next save tidies up.
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import cnn_core
from cnn_core.anatomy.trace import count_parameters
from cnn_core.errors import CnnError, WeightsError
from cnn_core.models import create_model
from cnn_core.models.backbone import Backbone
from cnn_core.storage import folder_lock, readable_size, storage_errors, sync_folder, write_bytes, write_text
from cnn_core.weights.card import WeightsCard
from cnn_core.weights.container import pack, unpack
from cnn_core.weights.find import CARD_FILE, MODEL_FILE, NEW_CARD_FILE, file_sha256, find_weights, read_cards

logger = logging.getLogger(__name__)

ATTEMPTS = 100  # to read a pair that others keep replacing
STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def save_weights(
    model: nn.Module | Mapping[str, Tensor],
    card_fields: Mapping[str, Any],
    folder: Path | str,
    *,
    dtype: str = "float32",
) -> WeightsCard:
    """Write `model.safetensors` and `card.json` into `folder`, which is made if needed; return the card.

    Args:
        model: a module, or its state dict (then `card_fields` must give `parameters`).
        card_fields: the fields of WeightsCard. `sha256`, `bytes` and `dtype` are computed; `parameters`, `created`
            and `version` are where they are not given.
        folder: where the two files go; weights that are there are replaced in one step.
        dtype: how floating-point tensors with two or more axes are stored: float32, float16 (half the size; measure
            the metrics of the card after this rounding) or bfloat16. Biases, the statistics of normalisation layers
            and counters are small and always kept exactly.

    Raises:
        WeightsError: the card is wrong or does not fit, a value is NaN or infinite, or too large for `dtype`.
        StorageError: the folder cannot be written, or the disk is full.
    """
    if dtype not in STORED:
        raise WeightsError(f"dtype must be one of {', '.join(STORED)}, got {dtype!r}")
    folder = Path(folder)
    state = model.state_dict() if isinstance(model, nn.Module) else dict(model)
    stored = {_plain_key(key): _to_stored(key, value, dtype) for key, value in state.items()}
    check_finite(stored, source=f"the weights for {folder}")
    try:
        data = pack(stored)
    except TypeError as error:
        raise WeightsError(f"the weights for {folder} cannot be stored: {error}") from error
    fields = {"created": datetime.now(UTC).date().isoformat(), "version": cnn_core.__version__, **card_fields}
    if isinstance(model, nn.Module):
        fields.setdefault("parameters", count_parameters(model))
    fields |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "dtype": dtype}
    card = WeightsCard.from_dict(fields, source=f"the card for {folder}")
    if isinstance(model, nn.Module) and card.parameters != count_parameters(model):
        raise WeightsError(f"the card says {card.parameters} parameters, the model has {count_parameters(model)}")
    with folder_lock(folder):
        _finish_save(folder)  # or the pending card of a save that was cut short would be lost with its model in place
        write_text(folder / NEW_CARD_FILE, card.to_json())
        write_bytes(folder / MODEL_FILE, data)
        _finish_save(folder)
    logger.info("saved %s (%s) to %s", card.name, readable_size(card.bytes), folder)
    return card


def round_weights(model: nn.Module, dtype: str) -> None:
    """Round `model` in place to what `save_weights` would keep of it with that `dtype`.

    Raises:
        WeightsError: a value is too large for `dtype`.
    """
    with torch.no_grad():
        for key, value in model.state_dict().items():
            value.copy_(_to_stored(key, value, dtype))


def load_state(name_or_folder: str | Path, *, domain: str | None = None) -> tuple[dict[str, Tensor], WeightsCard]:
    """Return the verified state dict (floating-point tensors as float32, on the CPU) and the card.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: size or SHA-256 is not the card's, the file is damaged, or a value is NaN or infinite.
    """
    folder = find_weights(name_or_folder, domain=domain)
    data, card = _read_pair(folder)
    source = str(folder / MODEL_FILE)
    state, _ = unpack(data, source=source)
    check_finite(state, source=source)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}, card


def load_into(model: nn.Module, name_or_folder: str | Path, *, domain: str | None = None) -> WeightsCard:
    """Load verified weights into `model`, on the device and in the type it has, and return the card.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: as `load_state`; or the weights do not fit the model, all differences listed.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    state, card = load_state(name_or_folder, domain=domain)
    check_fit(model, state, card)
    model.load_state_dict(state)
    return card


def load_model(
    name_or_folder: str | Path, *, device: torch.device | str = "cpu", domain: str | None = None
) -> tuple[Backbone, WeightsCard]:
    """Build the registered model that the card names, with its weights, in evaluation mode.

    Models that are in no registry (U-Nets, captioners) are built by their domain; `load_into` fills such a one.

    Raises:
        UnknownNameError: nothing bears the name.
        WeightsError: as `load_into`, or the card's model does not exist or cannot be built.
    """
    state, card = load_state(name_or_folder, domain=domain)
    model = _build(card, limit=2 * sum(value.numel() for value in state.values()) + 1_000_000)
    check_fit(model, state, card)
    model.load_state_dict(state)
    return model.to(device).eval(), card


def check_fit(model: nn.Module, state: Mapping[str, Tensor], card: WeightsCard) -> None:
    """Raise WeightsError listing every missing or extra key, differing shape, and differing parameter count."""
    own = model.state_dict()
    missing, extra = [key for key in own if key not in state], [key for key in state if key not in own]
    problems = [f"{len(keys)} {kind}: {_some(keys)}" for kind, keys in (("missing", missing), ("extra", extra)) if keys]
    shapes = [
        f"{key} is {list(state[key].shape)} in the file and {list(own[key].shape)} in the model"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems += shapes[:5] + ([f"{len(shapes) - 5} more shapes differ"] if len(shapes) > 5 else [])
    if count_parameters(model) != card.parameters:
        problems.append(f"the card says {card.parameters} parameters, the model has {count_parameters(model)}")
    if problems:
        raise WeightsError(
            f"weights {card.name!r} do not fit {card.model} with {card.arguments}: {'; '.join(problems)}; "
            "use the model that the card names, or restore the card"
        )


def check_finite(state: Mapping[str, Tensor], *, source: str) -> None:
    """Raise WeightsError naming the tensors that hold NaN or infinite values."""
    bad = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise WeightsError(
            f"{source}: NaN or infinite values in {_some(bad)}; such a network answers nothing; train again with a "
            "lower learning rate, or restore the file"
        )


class _Allowance(TorchFunctionMode):
    """Ends the building of a model that is much larger than its weights: a card may ask for any width or depth.

    torch.empty and its like take address space only; the memory is taken when values are written, which comes later.
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self.left = values

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in FACTORIES:
            self.left -= result.numel()
            if self.left < 0:
                raise WeightsError("it is much larger than the weights")
        return result


FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


def _build(card: WeightsCard, *, limit: int) -> Backbone:
    """Build the card's model, which may make at most `limit` values."""
    try:
        with _Allowance(limit):
            return create_model(card.model, **card.arguments)
    except (CnnError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"weights {card.name!r}: {card.model} with {card.arguments} cannot be built ({error}); restore the card, "
            f"or load the weights through their domain, {card.domain}"
        ) from error


def _finish_save(folder: Path) -> None:
    """Give the new card its name if the model in place is the one that it describes."""
    new = folder / NEW_CARD_FILE
    if not new.exists() or not (folder / MODEL_FILE).exists():
        return
    with storage_errors(folder / CARD_FILE):
        try:
            card = WeightsCard.from_json(new.read_bytes(), source=str(new))
        except WeightsError:
            return  # somebody wrote into it; the next card replaces it
        if card.sha256 == file_sha256(folder / MODEL_FILE):
            new.replace(folder / CARD_FILE)
            sync_folder(folder)


def _read_pair(folder: Path) -> tuple[bytes, WeightsCard]:
    """Return the model's bytes and the card that belongs to them."""
    path, before = folder / MODEL_FILE, None
    for _ in range(ATTEMPTS):
        stamp = _stamp(folder)
        if stamp == before:
            break
        before = stamp
        cards = read_cards(folder)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                data = file.read(size) if size in [card.bytes for card in cards] else b""
        except OSError as error:
            raise WeightsError(f"could not read {path}: {error.strerror}; restore the file") from error
        digest = hashlib.sha256(data).hexdigest()
        for card in cards:
            if card.sha256 == digest and card.bytes == len(data):
                return data, card
        # A save by another process may fall between reading the one file and the other: again, as long as they change.
    if size != cards[0].bytes:
        raise WeightsError(
            f"{path}: {size} bytes, but the card says {cards[0].bytes}; the file is cut short or was replaced; "
            "restore it, or train again"
        )
    raise WeightsError(
        f"{path}: the SHA-256 is {digest[:12]}..., but the card says {cards[0].sha256[:12]}...; the file is damaged "
        "or was replaced; restore it, or train again"
    )


def _stamp(folder: Path) -> tuple[tuple[int, int] | None, ...]:
    """Return what changes whenever one of the files is replaced."""
    stats = []
    for name in (CARD_FILE, NEW_CARD_FILE, MODEL_FILE):
        try:
            found = (folder / name).stat()
            stats.append((found.st_ino, found.st_mtime_ns))
        except OSError:
            stats.append(None)
    return tuple(stats)


def _to_stored(key: str, value: object, dtype: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise WeightsError(f"{key}: expected a tensor, got {type(value).__name__}; pass the state dict of a module")
    if not value.is_floating_point():
        return value
    wanted = STORED[dtype] if value.ndim >= 2 else torch.float32
    stored = value.detach().to(wanted)
    if torch.isfinite(value).all() and not torch.isfinite(stored).all():
        raise WeightsError(f"{key}: its largest value {value.abs().max():.3g} does not fit {dtype}; store as float32")
    return stored


def _plain_key(key: str) -> str:
    return key.replace("_orig_mod.", "")  # what torch.compile puts before every name


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
