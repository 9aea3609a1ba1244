"""Weights of torchvision's networks: `download_state`, and `load_torchvision(model, state_dict)` for ours.

The networks are the same, the names of their parameters are not; the rules below turn ours into torchvision's. A new
network with a twin in torchvision adds one entry to `FAMILIES`.
"""

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnn_core.errors import WeightsError
from cnn_core.models.backbone import Backbone

log = logging.getLogger(__name__)

AUXILIARY = ("aux1.", "aux2.")  # heads of googlenet that only training uses
Rule = tuple[str, str]  # pattern and replacement of `re.sub`, applied in order


def _by_rules(*rules: Rule) -> Callable[[Backbone, str], str]:
    def rename(model: Backbone, key: str) -> str:
        for pattern, replacement in rules:
            key = re.sub(pattern, replacement, key)
        return key

    return rename


def _by_position(*dense: int) -> Callable[[Backbone, str], str]:
    """Names of a network that torchvision writes as one flat sequence: `features.<position>.weight`.

    Ours has the same layers in the same order, in stages; `dense` are the positions of the dense layers.
    """

    def rename(model: Backbone, key: str) -> str:
        path, _, leaf = key.rpartition(".")
        if path.startswith("stages."):
            layers = [name for name, module in model.stages.named_modules() if not list(module.children())]
            return f"features.{layers.index(path.removeprefix('stages.'))}.{leaf}"
        layers = [name for name, module in model.head.named_children() if isinstance(module, torch.nn.Linear)]
        position = layers.index(path.removeprefix("head."))
        return f"classifier.{dense[position]}.{leaf}" if position < len(dense) else key

    return rename


@dataclass(frozen=True)
class Family:
    """Networks that are distinguished by their stage names and share their rules."""

    stages: tuple[str, ...]
    rename: Callable[[Backbone, str], str]


FAMILIES = (
    Family(
        ("stem", "layer1", "layer2", "layer3", "layer4"),
        _by_rules(
            (r"^stages\.stem\.conv\.", "conv1."),
            (r"^stages\.stem\.norm\.", "bn1."),
            (r"^stages\.(layer\d)\.", r"\1."),
            (r"\.conv(\d)\.conv\.", r".conv\1."),
            (r"\.conv(\d)\.norm\.", r".bn\1."),
            (r"\.shortcut\.conv\.", ".downsample.0."),
            (r"\.shortcut\.norm\.", ".downsample.1."),
            (r"^head\.classifier\.", "fc."),
        ),
    ),
    Family(
        ("conv1", "conv2", "inception3", "inception4a", "inception4d", "inception4e", "inception5"),
        _by_rules(
            (r"^stages\.\w+\.", ""),
            (r"\.norm\.", ".bn."),
            (r"^auxiliary\.inception4a\.", "aux1."),
            (r"^auxiliary\.inception4d\.", "aux2."),
            (r"^(aux\d)\.head\.dense0\.", r"\1.fc1."),
            (r"^(aux\d)\.head\.classifier\.", r"\1.fc2."),
            (r"^head\.classifier\.", "fc."),
        ),
    ),
    Family(("conv1", "conv2", "conv3", "conv4", "conv5", "pool"), _by_position(1, 4, 6)),
    Family(("stage1", "stage2", "stage3", "stage4", "stage5", "pool"), _by_position(0, 3, 6)),
)


def torchvision_names(model: Backbone) -> dict[str, str]:
    """Return our name -> torchvision's name for every entry of the model's state dict.

    Raises:
        WeightsError: torchvision has no network of this kind.
    """
    stages = tuple(model.stages)
    family = next((f for f in FAMILIES if f.stages == stages), None)
    if family is None or model.spatial_dims != 2:
        raise WeightsError(
            "torchvision has no counterpart of this network (resnet18/34/50, vgg*, alexnet and googlenet in 2-D have "
            f"one); it has the stages {list(stages)} and spatial_dims {model.spatial_dims}"
        )
    return {key: family.rename(model, key) for key in model.state_dict()}


def download_state(name: str) -> tuple[dict[str, Tensor], Any]:
    """Return the newest weights of a network that torchvision publishes, and its entry, which says what they are for.

    They are downloaded once, shown on standard error, verified by the hash in their name, and read without pickle.

    Args:
        name: of a network that torchvision has weights of.

    Raises:
        WeightsError: they could not be downloaded, or are damaged.
    """
    import torchvision

    entry = torchvision.models.get_model_weights(name).DEFAULT
    unreadable = torch.serialization.pickle.UnpicklingError
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch says there what it downloads
            return entry.get_state_dict(progress=True, check_hash=True, weights_only=True), entry
    except (OSError, RuntimeError, unreadable) as error:
        raise WeightsError(
            f"torchvision's weights of {name} could not be downloaded ({error}); they need a connection once, or the "
            f"file {entry.url.rpartition('/')[2]} in torch's folder of checkpoints"
        ) from error


def load_torchvision(model: Backbone, state_dict: Mapping[str, Tensor], *, head: bool = True) -> None:
    """Give `model` the weights of torchvision's network of the same name; the outputs are then the same.

    Auxiliary heads in the weights of a googlenet that is built without them are left out, which is logged: they serve
    training alone. torchvision's ImageNet weights of googlenet were made for differently normalised inputs: build the
    model with `options={"transform_input": True}` for them (torchvision does so by itself when it downloads them).

    Args:
        model: from `create_model` with the name that torchvision has, `spatial_dims=2`.
        state_dict: of torchvision's network.
        head: False keeps the model's own last layer (and those of its auxiliary heads), for other classes.

    Raises:
        WeightsError: not a network of torchvision, or anything missing, left over, of another shape or not finite;
            the message lists all of it and the model is unchanged.
    """
    if not isinstance(state_dict, Mapping):
        raise WeightsError(f"expected a state dict (name -> tensor), got {type(state_dict).__name__}")
    own = model.state_dict()
    names = torchvision_names(model)
    auxiliary = [name for name in state_dict if str(name).startswith(AUXILIARY)]
    if auxiliary and not any(name.startswith(AUXILIARY) for name in names.values()):
        log.info(
            "%d tensors of auxiliary heads are left out: the network was built without these heads", len(auxiliary)
        )
        state_dict = {name: value for name, value in state_dict.items() if name not in auxiliary}
    if not head:
        last = {key: name for key, name in names.items() if "head.classifier." in key}
        names = {key: name for key, name in names.items() if key not in last}
        state_dict = {name: value for name, value in state_dict.items() if name not in last.values()}
    # Files from before torch 0.4.1 do not count the batches; the count has no influence on the output.
    names = {k: n for k, n in names.items() if n in state_dict or not n.endswith(".num_batches_tracked")}
    problems = _problems(names, own, state_dict)
    if problems:
        raise WeightsError("these weights do not fit the network: " + "; ".join(problems))
    model.load_state_dict({**own, **{key: state_dict[name] for key, name in names.items()}})


def _problems(names: Mapping[str, str], own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Return what keeps `given` (torchvision's names) from being loaded, one sentence each."""
    expected = {name: own[key] for key, name in names.items()}
    missing = [name for name in expected if name not in given]
    extra = [str(name) for name in given if name not in expected]
    both = [name for name in expected if name in given]
    tensors = [name for name in both if isinstance(given[name], Tensor) and not given[name].is_meta]
    strangers = [name for name in both if name not in tensors]
    misshaped = [name for name in tensors if given[name].shape != expected[name].shape]
    broken = [name for name in tensors if given[name].is_floating_point() and not given[name].isfinite().all()]
    problems = []
    if missing:
        problems.append(f"missing {', '.join(missing)}")
    if extra:
        problems.append(f"unexpected {', '.join(extra)}")
    if strangers:
        problems.append(f"not tensors with values {', '.join(strangers)}")
    if misshaped:
        shapes = (f"{n} expected {list(expected[n].shape)} got {list(given[n].shape)}" for n in misshaped)
        problems.append(f"other shapes {', '.join(shapes)}")
    if broken:
        problems.append(f"not finite {', '.join(broken)}")
    last = names.get("head.classifier.bias")
    if last in misshaped:
        theirs, ours = len(given[last]), len(expected[last])
        problems.append(
            f"the weights have {theirs} classes and the model {ours}: build it with num_classes={theirs}, or load "
            "with head=False to keep the model's own last layer"
        )
    return problems
