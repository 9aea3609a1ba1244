"""Predictions for scans: masks on the input's own voxels, with volumes in millilitres.

    result = load("lung-ct").predict("thorax.nii.gz")
    result.volumes_ml, result.save("out")

Research and teaching only, not for diagnosis.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnn_core.answers import Item
from cnn_core.data.summary import DataSummary
from cnn_core.errors import DataError
from cnn_core.notebook import OfCard, table
from cnn_core.predictor import Sharding
from cnn_core.storage import write_text
from cnn_core.weights import WeightsCard
from cnn_core.weights.members import Members
from medical_segmentation.cases import stem
from medical_segmentation.explain import Explanation, explain_scan
from medical_segmentation.inputs import Read, opened, scans_of
from medical_segmentation.pictures import save_overlay
from medical_segmentation.plausible import doubts
from medical_segmentation.scan import Scan, list_series, read_scan, write_mask
from medical_segmentation.segmenter import Segmenter, SegmenterOutput
from medical_segmentation.values import CT, intensity_warnings, scale_warnings
from medical_segmentation.weights_io import volume_contract_of
from medical_segmentation.windows import Observer

# DICOM's modality -> how names in descriptions of sets begin that mean it.
MODALITIES = {"CT": ("CT",), "MR": ("MR", "T1", "T2", "FLAIR", "ADC", "DWI"), "PT": ("PT", "PET")}
ALONE = (".nii.gz", ".nii", ".nrrd", ".mha", ".zip")  # files that are whole scans
FILES = (MASK := "_mask.nii.gz", "_mask.json", "_overlay.png")  # how the names of an answer's files end
FAR = 1.25  # times the usual spacing along an axis, or a part of it, from which on a warning is given


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """The prediction for one scan.

    Args:
        scan: what was read, in RAS order.
        mask: uint8 [X, Y, Z], RAS; `save` and `write_mask` return it to the input's own grid.
        labels: names, background first.
        numbers: of the labels in mask files, as in those that the network learned from; empty: 0, 1, 2 ...
        maps: "foreground" (probability that it is not background) and "entropy" (0 certain ... 1 all labels alike),
            float16 [X, Y, Z], as requested.
        warnings: what the user should know about this prediction.
        notes: what was taken for padding and what was dropped.
    """

    scan: Scan = field(repr=False)
    mask: np.ndarray = field(repr=False)
    labels: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    maps: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def volumes_ml(self) -> dict[str, float]:
        """The volume of each label in mL."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.labels))
        return {name: float(counts[k] * self.scan.voxel_ml) for k, name in enumerate(self.labels) if k}

    @cached_property
    def mean_hu(self) -> dict[str, float | None]:
        """The mean intensity of each label (HU for a CT); None where there is none of it."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.labels))
        sums = np.zeros(len(self.labels))
        for k in range(self.mask.shape[2]):  # plane by plane: the sum of a whole volume would be copied as float64
            sums += np.bincount(
                self.mask[:, :, k].ravel(), weights=self.scan.voxels[:, :, k].ravel(), minlength=len(self.labels)
            )
        return {
            name: float(sums[k] / counts[k]) if counts[k] else None for k, name in enumerate(self.labels) if k
        }  # fmt: skip

    def _repr_html_(self) -> str:
        rows = [(label, f"{value:,.1f} mL") for label, value in self.volumes_ml.items()]
        return table(rows, title="; ".join([self.scan.name, *self.warnings, *self.notes]))

    @property
    def label_numbers(self) -> dict[str, int]:
        """The number of each label in mask files."""
        return dict(zip(self.labels, self.numbers or range(len(self.labels)), strict=True))

    def write_mask(self, path: Path | str) -> Path:
        """Write the mask on the input's own grid, with the numbers of `label_numbers`; see `scan.write_mask`."""
        table = np.array([*self.label_numbers.values()], np.uint16)
        return write_mask(table[self.mask], self.scan, path)

    def save(self, folder: Path | str, *, name: str | None = None) -> Path:
        """Write `<name>_mask.nii.gz` on the input's own grid, `<name>_mask.json` and `<name>_overlay.png`.

        The JSON file says what the numbers in the mask are: {"label_numbers": {"background": 0, "lung": 1}}.

        Returns:
            The path of the mask.

        Raises:
            StorageError: they cannot be written.
        """
        name = name or stem(self.scan.name)
        mask, numbers, overlay = (Path(folder) / (name + ending) for ending in FILES)
        path = self.write_mask(mask)
        write_text(numbers, json.dumps({"label_numbers": self.label_numbers}) + "\n")
        save_overlay(self.scan, self.mask, overlay)
        return path

    def to_json(self, *, mask: Path | None = None) -> dict[str, Any]:
        """Return the item of `cnn predict --json` without its input."""
        return {
            "mask": None if mask is None else str(mask),
            "volumes_ml": {name: round(value, 3) for name, value in self.volumes_ml.items()},
            "label_numbers": self.label_numbers,
            **({"series": self.scan.series} if self.scan.series else {}),
            "mean_hu": {name: None if v is None else round(v, 1) for name, v in self.mean_hu.items()},
            "warnings": list(self.warnings),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


@dataclass(frozen=True)
class ScanPrediction:
    """An item of `cnn predict`: the result for a scan, as `SegmentationResult.to_json` returns it, or an error."""

    input: str
    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        return {"input": self.input, **({"error": self.error} if self.error is not None else self.result)}

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.input}: {self.error}"
        volumes = ", ".join(f"{label} {value:.1f} mL" for label, value in self.result["volumes_ml"].items())
        place = f" ({self.result['mask']})" if self.result["mask"] else ""
        said = [*self.result["warnings"], *self.result.get("notes", ())]
        return "; ".join([f"{self.input}: {volumes}{place}", *said])


class Predictor(OfCard):
    """A trained network with its preprocessing, to segment scans.

    Args:
        model: with the card's weights.
        card: its `input` is a `VolumeContract`.
        device: where to compute.

    Raises:
        WeightsError: the card is of another domain or goal, or its input contract cannot be used.
    """

    goal = "segment"
    members: Members | None = None  # what the weights learned from, where it is known

    sharding = Sharding(suffixes=ALONE)

    def __init__(self, model: torch.nn.Module, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        self.card, self.contract = card, volume_contract_of(card)
        self.labels = tuple(card.labels) or tuple(f"label {k}" for k in range(card.arguments["num_classes"]))
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.segmenter: Callable[..., SegmenterOutput] = Segmenter(self.model, self.contract)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The number of each label in mask files, background first."""
        return self.contract.numbers_of(len(self.labels))

    def predict(
        self,
        source: str | Path | Scan,
        *,
        volume: int | None = None,
        series: str | None = None,
        maps: Sequence[str] = (),
        flips: bool | None = None,
        progress: Observer | None = None,
    ) -> SegmentationResult:
        """Segment one scan.

        Args:
            source: a path (see `read_scan`), or a scan in memory.
            volume: which volume of a 4-D NIfTI, from 0.
            series: which DICOM series, see `read_scan`.
            maps: any of "foreground", "entropy", "confidence".
            flips: average over mirror images along every axis; None: as the card says.
            progress: called after every window; returning False ends it with StoppedError.

        Raises:
            DataError: the scan cannot be used; the message says why.
        """
        scan = source if isinstance(source, Scan) else read_scan(source, volume=volume, series=series)
        axes = None if flips is None else tuple(range(self.contract.dims)) if flips else ()
        segmentation = self.segmenter(scan.voxels, scan.spacing, maps=maps, flips=axes, progress=progress)
        mask, made = segmentation.mask, segmentation.maps
        if scan.covered is not None:
            mask = mask * scan.covered
        numbers = self.contract.numbers_of(len(self.labels))
        warnings = (*scan.warnings, *segmentation.warnings, *self._remarks(scan, mask))
        return SegmentationResult(scan, mask, self.labels, numbers, made, warnings, segmentation.notes)

    def stream_inputs(
        self,
        inputs: Iterable[str],
        *,
        output: Path | None = None,
        series: str | None = None,
        volume: int | None = None,
        answered: Iterable[Item] = (),
    ) -> Iterator["ScanPrediction"]:
        """Segment one scan after the other.

        Args:
            inputs: paths; a folder or a zip means every study and every file of a volume in it.
            output: folder for masks and overlays; None: none are written.
            series: which DICOM series of each study, see `read_scan`.
            volume: which volume of each 4-D NIfTI, from 0.
            answered: the answers of an interrupted run.
        """
        scans = (found for entry in inputs for found in scans_of(entry))
        return self.stream(scans, output=output, series=series, volume=volume, answered=answered)

    def entries(self, inputs: Iterable[str], *, series: str | None = None) -> Iterator[tuple[str, Read]]:
        """Yield the scans that inputs are, one by one, for `stream`: a zip as one, which is unpacked there."""
        for entry in inputs:
            yield from scans_of(entry, unpack=False)

    def stream(
        self,
        scans: Iterable[tuple[str, Read]],
        *,
        output: Path | None = None,
        series: str | None = None,
        volume: int | None = None,
        answered: Iterable[Item] = (),
    ) -> Iterator["ScanPrediction"]:
        """Segment what `entries` yields; arguments as in `stream_inputs`."""
        names: set[str] = set()
        before = Counter(str(item["input"]) for item in answered)
        for label, read in opened(scans):
            if before[label]:
                before[label] -= 1
                _unused(_name_of(label), names)  # the name of its mask is taken
                continue
            try:
                result = self.predict(read(series, volume))
                written = None
                if output is not None:
                    name = _unused(stem(result.scan.name), names)
                    written = result.save(output, name=name)
                yield ScanPrediction(label, result.to_json(mask=written))
            except DataError as error:
                _unused(_name_of(label), names)  # the next one of this name is called the same, whatever failed
                yield ScanPrediction(label, error=str(error))

    def gather(self, items: Iterable[Mapping[str, Any]], output: Path) -> Iterator[Mapping[str, Any]]:
        """Move the files of scans that other machines have segmented, and yield the items with their new places."""
        names: set[str] = set()
        for item in items:
            name = _unused(_name_of(item["input"]), names)
            if item.get("mask") is None:
                yield item
                continue
            mask = Path(item["mask"])
            before = mask.name.removesuffix(MASK)
            for ending in FILES:
                shutil.move(mask.with_name(before + ending), output / (name + ending))
            yield {**item, "mask": str(output / (name + MASK))}

    def list_series(self, inputs: Iterable[str]) -> Iterator[str]:
        """Yield a line for each DICOM series in files, folders and zips, with the number that chooses it.

        The lines hold what the scanner's users called the series.
        """
        for entry in inputs:
            found = list_series(entry)
            yield f"{entry}: " + (f"{len(found)} series" if found else "no DICOM series")
            studies = len({series.study for series in found})
            for series in found:
                yield f"  {series.listing}" + (f"; study {series.study} of {studies}" if studies > 1 else "")

    def examine_inputs(
        self, inputs: Iterable[str], *, series: str | None = None, volume: int | None = None
    ) -> DataSummary:
        """Return how many scans the inputs of `stream_inputs` are, 0 where folders and zips leave it open.

        `series` and `volume` choose within a scan and change nothing here.
        """
        paths = [Path(entry) for entry in inputs if "\0" not in str(entry)]
        several = any(path.is_dir() or path.suffix.lower() == ".zip" for path in paths)
        return DataSummary("", "scans", {"all": 0 if several else len(paths)})

    def explain(
        self, source: str, *, method: str = "entropy", series: str | None = None, volume: int | None = None
    ) -> Explanation:
        """Return a picture of where the mask is uncertain; see `explain.explain_scan`."""
        return explain_scan(self, source, method=method, series=series, volume=volume)

    def _remarks(self, scan: Scan, mask: np.ndarray) -> list[str]:
        notes = []
        contract, name = self.contract, self.contract.modality.upper()
        learned = next((kind for kind, names in MODALITIES.items() if name.startswith(names)), "")
        known = bool(learned and scan.modality)
        if known and learned != scan.modality:
            kind = "an MR" if learned == "MR" else f"a {learned}"
            notes.append(f"not {kind}: the file says that it is {scan.modality}, unlike what was learned from")
        elif not contract.own_scale and (contract.usual_intensities or learned == "CT"):
            unlike = [] if known else intensity_warnings(scan.voxels, contract.usual_intensities or CT)
            notes += unlike or (scale_warnings(scan.voxels) if learned == "CT" else [])
        worked = contract.working_spacing(scan.spacing, scan.voxels.shape)
        if (edge := contract.usual_pixels) is not None and worked is not None:
            across = " x ".join(map(str, scan.voxels.shape[:2]))
            notes.append(f"the network learned from slices of {edge} pixels; these of {across} were resampled")
        elif (usual := contract.usual_spacing) is not None:
            ratios = np.divide(scan.spacing, usual)[: contract.dims]
            if max(ratios.max(), 1 / ratios.min()) > FAR:
                was, came = (" x ".join(f"{n:.3g}" for n in s[: contract.dims]) for s in (usual, scan.spacing))
                notes.append(f"the network learned from voxels of about {was} mm; these of {came} mm were resampled")
        if not mask.any():
            what = f"no {self.labels[1]} is in view" if len(self.labels) == 2 else "the mask is empty"
            notes.append(f"nothing was found: {what}")
        notes += doubts(mask, scan, self.labels, contract)
        if self.contract.centre is not None and max(scan.voxels.shape) > 2 * max(self.contract.patch):
            edges = " x ".join(map(str, self.contract.patch))
            notes.append(
                f"the network expects a cube cut out around what it segments and saw {edges} voxels in the middle alone"
            )
        return notes


def _name_of(label: str) -> str:
    """Return what the files of an answer are called."""
    return stem(label.partition(" (study ")[0])


def _unused(name: str, names: set[str]) -> str:
    """Return `name`, with a number appended if it was used before, and remember it."""
    unused, number = name, 2
    while unused in names:
        unused, number = f"{name}-{number}", number + 1
    names.add(unused)
    return unused
