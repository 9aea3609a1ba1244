"""Segmentation bundles of MONAI's Model Zoo: `monai:NAME`, or `monai:FOLDER` of a bundle that is there already.

    cnn predict monai:spleen_ct_segmentation@0.6.1 thorax.nii.gz --output out

A bundle says in `configs/metadata.json` what it takes and answers, and in `configs/inference.json` how: the network,
its own transforms before and after, and the sliding window. MONAI builds these from the configuration, in which texts
that begin with $ are Python: use bundles of people you trust. Weights are read from `models/model.pt` without pickle;
TorchScript is not read. The scan is read, and the mask written, as everywhere else.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cnn_core.data.cache import cache_key
from cnn_core.data.files import data_root
from cnn_core.errors import CnnError, WeightsError
from cnn_core.weights import load_state, save_weights
from cnn_core.weights.find import CARD_FILE, find_weights
from medical_segmentation.explain import Explanation
from medical_segmentation.predict import Predictor, SegmentationResult
from medical_segmentation.scan import Scan, read_scan
from medical_segmentation.segmenter import SegmenterOutput
from medical_segmentation.windows import Observer

ZOO = "Project-MONAI/model-zoo/hosting_storage_v1"  # repository and release of the zoo
CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
NETWORK = ("network_def", "network")
BEFORE = {"LoadImaged", "LoadImage", "EnsureChannelFirstd", "EnsureChannelFirst", "AddChanneld"}  # the scan is read
AFTER = {"SaveImaged", "SaveImage"}  # the mask is written here


def fetch_bundle(name: str) -> Path:
    """Return the folder of a bundle's weights and card; downloaded through MONAI if they are not there yet.

    Args:
        name: of the zoo, or `name@version`, or the path of an unpacked bundle.

    Raises:
        WeightsError: it could not be downloaded, or cannot be used here; the message says why.
    """
    plain, _, version = name.partition("@")
    local = Path(name).expanduser()
    title = f"{local.name}-{_state_of(local)}" if local.is_dir() else f"{plain}-{version}" if version else plain
    folder = data_root() / "weights" / f"monai-{title.lower()}"
    if not (folder / CARD_FILE).is_file():
        with tempfile.TemporaryDirectory() as temporary:
            bundle = local if local.is_dir() else _download(plain, version or None, Path(temporary))
            _keep(bundle, folder, command=f"cnn predict monai:{name} SCAN")
    return folder


class BundlePredictor(Predictor):
    """A bundle with its own transforms, to segment scans."""

    goal = "bundle"

    def __init__(self, name: str | Path, *, device: torch.device | str = "cpu") -> None:
        folder = find_weights(name)
        state, self.card = load_state(folder)
        self.labels, self.device = tuple(self.card.labels), torch.device(device)
        self._config = _parsed(folder, self.device)
        self.model = _network(self._config, str(folder)).to(self.device).eval()
        self.model.load_state_dict(state)
        self.segmenter = self._segment

    def predict(
        self,
        source: str | Path | Scan,
        *,
        volume: int | None = None,
        maps: Sequence[str] = (),
        flips: bool | None = None,
        progress: Observer | None = None,
        **options: Any,
    ) -> SegmentationResult:
        """Segment one scan with the bundle's own transforms; arguments as in `Predictor.predict`.

        Raises:
            CnnError: maps or flips are asked for, which a bundle does not have, or it fails.
            DataError: the scan cannot be used.
        """
        if maps or flips:
            raise CnnError(f"{self.card.name} is a MONAI bundle: it gives masks alone, neither maps nor mirrored views")
        scan = source if isinstance(source, Scan) else read_scan(source, volume=volume, **options)
        mask, notes = self._mask(scan.voxels, scan.affine, scan.name)
        if scan.covered is not None:
            mask = mask * scan.covered
        if not mask.any():
            notes.append("nothing was found: the mask is empty")
        return SegmentationResult(scan, mask, self.labels, warnings=(*scan.warnings, *notes))

    @property
    def numbers(self) -> tuple[int, ...]:
        """As `Predictor.numbers`."""
        return tuple(range(len(self.labels)))

    def explain(self, source: str, *, method: str = "entropy", **_: Any) -> Explanation:
        """Refuse: the bundle's own transforms hide the scores."""
        raise CnnError(f"{self.card.name} is a MONAI bundle, whose masks are not explained; use a network of ours")

    def _segment(self, voxels: np.ndarray, spacing: Sequence[float], **_: Any) -> SegmenterOutput:
        """Return the mask of voxels in RAS order, as `Segmenter` does, for `cnn eval`."""
        mask, _notes = self._mask(voxels, np.diag([*spacing, 1.0]), "the scan")
        return SegmenterOutput(mask, {})

    def _mask(self, voxels: np.ndarray, affine: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        """Return the mask uint8 [X, Y, Z] of voxels in RAS order, and what to know about it."""
        from monai.data import MetaTensor, decollate_batch, list_data_collate

        config = self._config
        image = torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32))[None]
        data = {"image": MetaTensor(image, affine=torch.from_numpy(affine.astype(np.float64)))}
        try:
            with torch.inference_mode():
                batch = list_data_collate([config.get_parsed_content("preprocessing")(data)])
                inferer = config.get_parsed_content("inferer")
                batch["pred"] = inferer(inputs=batch["image"].to(self.device), network=self.model)
                done = config.get_parsed_content("postprocessing")(decollate_batch(batch)[0])
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise CnnError(f"{self.card.name}: the bundle's own transforms failed on {name}: {error}") from error
        found = np.asarray(done["pred"].cpu() if isinstance(done["pred"], torch.Tensor) else done["pred"])
        if found.shape[1:] != voxels.shape:
            raise CnnError(
                f"{self.card.name}: its mask has the shape {list(found.shape[1:])}, {name} {list(voxels.shape)}; the "
                "bundle's postprocessing must return to the scan's own voxels (Invertd)"
            )
        if len(found) == 1:
            return np.rint(found[0]).astype(np.uint8), []
        mask = np.zeros(voxels.shape, np.uint8)
        parts = found > 0.5
        for k in sorted(range(len(found)), key=lambda k: -int(parts[k].sum())):  # small ones on top of large ones
            mask[parts[k]] = k + (len(found) < len(self.labels))
        overlap = int((parts.sum(0) > 1).sum())
        note = f"labels overlap in {overlap:,} voxels, which count for the smaller one"
        return mask, [note] if overlap else []


def _state_of(bundle: Path) -> str:
    """Return eight digits that change with the files of an unpacked bundle."""
    files = sorted(path for path in bundle.glob("*/*") if path.is_file())
    return cache_key(*((str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files))[:8]


def _download(name: str, version: str | None, folder: Path) -> Path:
    from monai.bundle import download

    try:
        download(name=name, version=version, bundle_dir=str(folder), source="github", repo=ZOO, progress=True)
    except (OSError, RuntimeError, ValueError, KeyError, ImportError) as error:
        raise WeightsError(
            f"the bundle {name} could not be downloaded ({error}); it needs a connection once, or an unpacked bundle: "
            f"monai:FOLDER"
        ) from error
    return folder / name


def _keep(bundle: Path, folder: Path, *, command: str) -> None:
    """Write card, tensors and configuration of a bundle into a folder of ours.

    Raises:
        WeightsError: a file is missing, or the bundle is none that this can run.
    """
    metadata, config = _read_metadata(bundle), _parsed(bundle, torch.device("cpu"))
    labels = _labels(metadata, bundle.name)
    file = bundle / "models" / "model.pt"
    if not file.is_file():
        found = ", ".join(sorted(path.name for path in (bundle / "models").glob("*"))) or "nothing"
        raise WeightsError(f"{bundle.name}: expected models/model.pt, found {found}; TorchScript is not run here")
    network = _network(config, bundle.name)
    unreadable = torch.serialization.pickle.UnpicklingError
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(state.get("model", state.get("state_dict", state)))
    except (unreadable, RuntimeError, OSError, ValueError, AttributeError, EOFError) as error:
        reason = "it holds more than tensors" if isinstance(error, unreadable) else str(error)
        raise WeightsError(f"{bundle.name}: models/model.pt does not fit the network: {reason}") from error
    shutil.copytree(bundle / "configs", folder / "configs", dirs_exist_ok=True)
    description = str(metadata.get("description", "")).strip() or bundle.name
    save_weights(
        network,
        {
            "name": folder.name,
            "domain": "medical_segmentation",
            "model": type(network).__name__,
            "arguments": {
                "spatial_dims": 3, "in_channels": 1, "num_classes": len(labels), "input_size": None, "options": {},
            },
            "input": {"goal": "bundle"},
            "labels": labels,
            "metrics": {},
            "recipe": {"description": description[:500]},
            "command": command,
            "machine": f"trained by {metadata.get('authors', 'the authors of the bundle')}",
            "seconds": 0.0,
            "licence": str(metadata.get("copyright", "see the bundle")),
            "limits": [
                f"A bundle of MONAI's Model Zoo, version {metadata.get('version', 'unknown')}: {description[:300]}",
                "Not measured here; research and teaching only, not for diagnosis.",
            ],
        },
        folder,
    )  # fmt: skip


def _read_metadata(bundle: Path) -> Mapping[str, Any]:
    file = bundle / "configs" / "metadata.json"
    try:
        values = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{bundle} is not a MONAI bundle: configs/metadata.json cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{file}: expected an object")
    return values


def _labels(metadata: Mapping[str, Any], name: str) -> list[str]:
    """Return the names of the labels, background first."""
    try:
        formats = metadata["network_data_format"]
        channels = formats["inputs"]["image"]["num_channels"]
        named = formats["outputs"]["pred"]["channel_def"]
        labels = [str(named[key]) for key in sorted(named, key=int)]
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{name} is no segmentation bundle: its metadata lack network_data_format with one image and the names of "
            f"the channels of pred ({error!r})"
        ) from error
    if channels != 1:
        raise WeightsError(f"{name} takes {channels} images at once, such as several kinds of MR; one is read here")
    return labels if labels and labels[0].lower() == "background" else ["background", *labels]


def _parsed(folder: Path, device: torch.device) -> Any:
    """Return MONAI's parser of a bundle's inference, without reading and writing of files."""
    from monai.bundle import ConfigParser

    file = next((folder / "configs" / name for name in CONFIGS if (folder / "configs" / name).is_file()), None)
    if file is None:
        raise WeightsError(f"{folder} is not a MONAI bundle: expected configs/{CONFIGS[0]}")
    parser = ConfigParser()
    try:
        parser.read_config(str(file))
        if (folder / "configs" / "metadata.json").is_file():
            parser.read_meta(str(folder / "configs" / "metadata.json"))
        parser["bundle_root"] = str(folder)
        parser["device"] = device
        for section, dropped in (("preprocessing", BEFORE), ("postprocessing", AFTER)):
            transforms = parser[f"{section}#transforms"]
            parser[f"{section}#transforms"] = [t for t in transforms if t.get("_target_") not in dropped]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise WeightsError(f"{file}: expected MONAI's inference of a bundle ({error})") from error
    return parser


def _network(config: Any, name: str) -> nn.Module:
    for key in NETWORK:
        if key in config:
            try:
                network = config.get_parsed_content(key)
            except (RuntimeError, ValueError, TypeError, KeyError, ImportError, AttributeError) as error:
                raise WeightsError(f"{name}: its network cannot be built: {error}") from error
            if isinstance(network, nn.Module):
                return network
    raise WeightsError(f"{name}: its configuration holds no {' or '.join(NETWORK)}")


SOURCES = {"monai": fetch_bundle}
