"""ImageNet weights of MobileNet v1 without its last block, from arrays under Keras' names.

The file is an npz of numpy arrays: `conv1/kernel`, `conv_dw_1/depthwise_kernel`, `conv_pw_1/kernel` ... with axes
height, width, in, out, and `<layer>_bn/gamma, beta, moving_mean, moving_variance`. Blocks that the file lacks stay as
they are.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn_core.errors import WeightsError
from cnn_core.models.backbone import Backbone

TRUNK_FOLDER, TRUNK_FILE = "mobilenet-v1-trunk", "mobilenet_v1_1.0_trunk.npz"  # under the data root
MOST_BYTES = 64 << 20  # of one array; the largest of the network has 4 MB

_BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def load_mobilenet_trunk(model: Backbone, path: Path | str) -> list[str]:
    """Copy the arrays into a 2-D `mobilenet` and return the names of the stages that got weights.

    The weights expect RGB pictures as `x / 127.5 - 1`.

    Raises:
        WeightsError: the file cannot be read, or an array does not fit the model; all differences are listed.
    """
    own = model.state_dict()
    wanted = {name: key for key in own if (name := _keras_name(key)) is not None}
    problems, loaded = [], set()
    for name, array in _arrays(Path(path)):
        key = wanted.get(name)
        if key is None:
            problems.append(f"{name} is not an array of this network")
            continue
        value = _to_torch(name, array)
        if value.shape != own[key].shape:
            problems.append(f"{name} is {list(array.shape)}, {key} is {list(own[key].shape)}")
        elif not torch.isfinite(value).all():
            problems.append(f"{name} holds NaN or infinite values")
        own[key] = value
        loaded.add(key)
    stages = {key.split(".")[1] for key in loaded}
    problems += [
        f"{_keras_name(key)} is missing" for key in wanted.values() if key.split(".")[1] in stages and key not in loaded
    ]
    if problems or not stages:
        shown = "; ".join(problems[:5]) or "it holds no arrays"
        raise WeightsError(f"{path} does not fit this model: {shown}; expected MobileNet v1, 2-D, as Keras names it")
    model.load_state_dict(own)
    return [info.name for info in model.feature_info if info.name in stages]


def _arrays(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays by name; declared sizes are checked before anything is unpacked, nothing is unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            large = [entry.filename for entry in archive.infolist() if entry.file_size > MOST_BYTES]
        if large:
            raise WeightsError(f"{path}: {large[0]} unpacks to more than {MOST_BYTES >> 20} MiB; no such network")
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                yield name, arrays[name]
    except FileNotFoundError as error:
        raise WeightsError(f"there are no MobileNet weights at {path}; put {TRUNK_FILE} there") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(f"{path} cannot be read ({error}); copy it again") from error


def _keras_name(key: str) -> str | None:
    """Return Keras' name of a tensor of ours, None for counters and the head."""
    match = re.fullmatch(r"stages\.(?:conv|block(\d+))\.(.+)\.(\w+)", key)
    if match is None or match[3] == "num_batches_tracked":
        return None
    block, path, leaf = match.groups()
    layer = "conv1" if block is None else f"conv_{'pw' if path.startswith('pointwise') else 'dw'}_{block}"
    if path.endswith("norm"):
        return f"{layer}_bn/{ {v: k for k, v in _BATCH_NORM.items()}[leaf] }"
    return f"{layer}/{'depthwise_kernel' if path == 'depthwise' else 'kernel'}"


def _to_torch(name: str, array: np.ndarray) -> Tensor:
    """Bring height, width, in, out (depthwise: height, width, channels, 1) to out, in, height, width."""
    value = torch.from_numpy(np.asarray(array, dtype=np.float32))
    if value.ndim != 4:
        return value
    return value.permute(2, 3, 0, 1) if name.endswith("depthwise_kernel") else value.permute(3, 2, 0, 1)
