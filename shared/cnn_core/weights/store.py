"""Save, verify and load weights: `model-<hash>.safetensors` and `card.json` in one folder, never pickle.

The file of the tensors is named by its content, so writing the card is the one step in which weights change: a reader
follows the card to its file and sees the old pair or the new one, wherever a save was cut short.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

import cnn_core
from cnn_core.errors import CnnError, WeightsError
from cnn_core.models import create_model, imagenet
from cnn_core.models.backbone import count_parameters
from cnn_core.storage import folder_lock, write_bytes, write_text
from cnn_core.weights.card import WeightsCard
from cnn_core.weights.find import CARD_FILE, MODEL_FILES, find_weights, read_card

logger = logging.getLogger(__name__)

OLD_MODEL_FILE = "model.safetensors"  # of runs before version 0.2
STORED = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def save_weights(
    model: nn.Module | Mapping[str, Tensor],
    card_fields: Mapping[str, Any],
    folder: Path | str,
    *,
    dtype: str = "float32",
) -> WeightsCard:
    """Write the weights and their card into `folder`, which is made if needed; return the card.

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
    stored = {  # without what torch.compile puts before every name
        key.replace("_orig_mod.", ""): _to_stored(key, value, dtype) for key, value in state.items()
    }
    check_finite(stored, source=f"the weights for {folder}")
    plain = torch.contiguous_format  # the format refuses tensors that share memory (tied weights): each gets its own
    data = safetensors.torch.save({key: value.clone(memory_format=plain) for key, value in stored.items()})
    fields = {"created": datetime.now(UTC).date().isoformat(), "version": cnn_core.__version__, **card_fields}
    if isinstance(model, nn.Module):
        fields.setdefault("parameters", count_parameters(model))
    fields |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "dtype": dtype}
    card = WeightsCard.from_dict(fields, source=f"the card for {folder}")
    if isinstance(model, nn.Module) and card.parameters != count_parameters(model):
        raise WeightsError(f"the card says {card.parameters} parameters, the model has {count_parameters(model)}")
    with folder_lock(folder):
        file = model_file(folder, card)
        write_bytes(file, data)
        write_text(folder / CARD_FILE, card.to_json())
        for older in folder.glob(MODEL_FILES):
            if older != file:
                older.unlink(missing_ok=True)
    logger.info("saved %s (%d bytes) to %s", card.name, card.bytes, folder)
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
        UnknownNameError: there is nothing of this name.
        WeightsError: size or SHA-256 is not the card's, the file is damaged, or a value is NaN or infinite.
    """
    folder = find_weights(name_or_folder, domain=domain)
    card = read_card(folder)
    if card.package:
        return _from_package(card), card
    data, card = _read(folder)
    path = model_file(folder, card)
    try:
        state = safetensors.torch.load(data)
    except (safetensors.SafetensorError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path}: damaged ({error}); restore the file or train again") from error
    check_finite(state, source=str(path))
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}, card


def load_model(
    name_or_folder: str | Path,
    *,
    device: torch.device | str = "cpu",
    domain: str | None = None,
    build: Callable[[WeightsCard], nn.Module] | None = None,
) -> tuple[Any, WeightsCard]:
    """Build the network that the card names, with its weights, in evaluation mode.

    A card may ask for a network of any size: it is built on the meta device, and no memory is taken before it is known
    that the weights fit.

    Args:
        name_or_folder: shipped weights, or the folder of a run.
        device: where the network goes.
        domain: look for names in this domain only.
        build: makes the network of a card; None: `create_model` with the card's arguments.

    Raises:
        UnknownNameError: there is nothing of this name.
        WeightsError: as `load_state`; the weights do not fit the model, all differences listed; or the card's model
            does not exist or cannot be built.
    """
    state, card = load_state(name_or_folder, domain=domain)
    try:
        with torch.device("meta"), _at_most(2 * len(state) + 100):
            model = build(card) if build else create_model(card.model, **card.arguments)
    except (CnnError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"weights {card.name!r}: {card.model} with {card.arguments} cannot be built ({error}); restore the card"
            + ("" if build else f", or load the weights through their domain, {card.domain}")
        ) from error
    _make_room(model, state)
    check_fit(model, state, card)
    model.load_state_dict(state, assign=True)
    return model.to(device).eval(), card


def _make_room(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a model room for the references that its weights have (see `cnn_core.confidence`)."""
    for key, value in state.items():
        place, _, name = key.rpartition(".")
        module = dict(model.named_modules()).get(place) if name == "references" else None
        if module is not None and name in module._buffers:
            module.references = torch.empty_like(value, device="meta")


def _from_package(card: WeightsCard) -> dict[str, Tensor]:
    """Return the tensors of a card whose file comes with an installed package."""
    if (card.package, card.sha256) != (imagenet.PACKAGE, imagenet.SHA256):
        raise WeightsError(f"weights {card.name!r}: the package {card.package} is not one that is known here")
    return imagenet.imagenet_state()


def model_file(folder: Path, card: WeightsCard) -> Path:
    """Return the file of a card's tensors, which need not be there; its name was another one before version 0.2."""
    file, older = folder / f"model-{card.sha256[:12]}.safetensors", folder / OLD_MODEL_FILE
    return older if older.exists() and not file.exists() else file


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


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """End the building of a network, in this thread, that has more parameter tensors than that: of any depth, say."""
    thread = threading.get_ident()

    def registered(*_: Any) -> None:
        nonlocal count
        count -= threading.get_ident() == thread
        if count < 0:
            raise WeightsError("it is much larger than the weights")

    hook = register_module_parameter_registration_hook(registered)
    try:
        yield
    finally:
        hook.remove()


def _read(folder: Path) -> tuple[bytes, WeightsCard]:
    """Return the bytes of the tensors and their card, both of one save."""
    card = read_card(folder)
    while True:
        path = model_file(folder, card)
        try:
            data = path.read_bytes() if path.stat().st_size == card.bytes else None
            break
        except OSError as error:
            newer = read_card(folder)  # another process may have saved between the two readings
            if newer == card:
                raise WeightsError(f"could not read {path}: {error.strerror}; restore the file") from error
            card = newer
    if data is None:
        raise WeightsError(
            f"{path}: {path.stat().st_size} bytes, but the card says {card.bytes}; the file is cut short or was "
            "replaced; restore it, or train again"
        )
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise WeightsError(
            f"{path}: the SHA-256 is {digest[:12]}..., but the card says {card.sha256[:12]}...; the file is damaged or "
            "was replaced; restore it, or train again"
        )
    return data, card


def _to_stored(key: str, value: object, dtype: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise WeightsError(f"{key}: expected a tensor, got {type(value).__name__}; pass the state dict of a module")
    if not value.is_floating_point():
        return value.detach().cpu()
    wanted = STORED[dtype] if value.ndim >= 2 else torch.float32
    stored = value.detach().to("cpu", wanted)
    if torch.isfinite(value).all() and not torch.isfinite(stored).all():
        raise WeightsError(f"{key}: its largest value {value.abs().max():.3g} does not fit {dtype}; store as float32")
    return stored


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
