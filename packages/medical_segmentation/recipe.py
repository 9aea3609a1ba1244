"""The recipe of this domain: which scans, which patches, which network; and which settings starting weights fix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cnn_core.data.augment_config import AugmentConfig
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.validation import Count, Natural, Settings, Text
from medical_segmentation.cases import FOLDS
from medical_segmentation.contract import VolumeContract
from medical_segmentation.losses import Loss

DISCLAIMER = "Research and teaching only, not for diagnosis."

Fold = Annotated[int, Field(ge=0, lt=FOLDS)]


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which scans, and how the network gets them; None: derived from the set (see `fingerprint`)."""

    data: Text = "phantom"  # a name of `cnn list data`, or a folder of scans and masks
    goal: Literal["segment", "malignancy"] = "segment"  # label every voxel, or classify whole nodules
    validation: bool = True  # hold cases out to choose the best epoch; False: train on all but the test set
    fold: Fold | None = None  # 0 to 4: which fifth of all cases is the test set; None: the set's own split
    # Test cases of your own scans: a number, names, a file with a name a line, or a folder of scans and masks.
    test: list[str] = field(default_factory=list)
    by_patient: bool = True  # your own scans of one patient, as their names tell it, stay in one split
    dims: Literal[2, 3] | None = None  # 2: slice by slice
    spacing: list[float] | None = None  # mm along X, Y, Z that scans are resampled to
    window: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None  # HU, lowest and highest
    own_scale: bool | None = None  # scale each scan by its own intensities; None: unless it is a CT
    centred: bool = False  # cubes cut out around the target: the network sees only the patch around it
    keep: Literal["all", "largest", "central", "lungs"] = "all"  # connected pieces of a label that are left
    body_pixels: Annotated[int, Field(ge=16, le=4096)] | None = None  # across the body, slice by slice; see `body`
    learn_prepared: bool = True  # from what `body_pixels` shows; False: from whole slices
    plausible_ml: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None  # of all labels together
    # Further sets that are only learned from, their training parts: name -> how often each of their cases counts.
    further: dict[str, Count] = field(default_factory=dict)
    mirror: bool = False  # average the predictions over mirror images along every axis

    @model_validator(mode="after")
    def _fields_agree(self) -> "DataConfig":
        if self.centred and self.dims == 2:
            raise ValueError("centred: is for 3-D networks; leave dims out or take 3")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window: expected the lowest intensity and a higher one, got {self.window}")
        return self


@dataclass(frozen=True)
class PatchConfig(Settings):
    """The patches of an epoch, and the loss."""

    patch: Annotated[list[Count], Field(min_length=2, max_length=3)] | None = None  # edges in voxels
    patches: Count = 1  # in an epoch, for each training case (2-D: for each slice)
    steps: Count | None = None  # batches in an epoch, whatever the number of cases; None: as many as `patches` fill
    foreground: Annotated[float, Field(ge=0, le=1)] = 0.33  # share of patches around a labelled voxel
    loss: Loss = "log-dice"  # together with cross-entropy; see `losses`
    margin: Natural = 0  # voxels cut beyond the patch, so that rotation brings in real voxels


@dataclass(frozen=True)
class MedicalModelConfig(ModelConfig):
    """Which network."""

    model: Text = "unet"  # unet, a backbone of `cnn list models`, or one of MONAI's: monai.SegResNet


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    model: MedicalModelConfig = field(default_factory=MedicalModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


def no_effect(recipe: Recipe, start: VolumeContract | None) -> list[str]:
    """Return a message for each setting that segmentation would ignore, given the contract of its starting weights."""
    data, problems = recipe.data, []
    if recipe.optimizer.label_smoothing:
        problems.append("label_smoothing: is for labels of whole pictures (goal malignancy); leave it out")
    if data.window is not None and data.own_scale:
        problems.append("window: has no meaning where each scan has its own scale; leave out window or own_scale")
    if start is None:
        return problems
    given = {"dims": (data.dims, start.dims), "spacing": (data.spacing, start.spacing),
             "window": (data.window, (start.low, start.high)), "own_scale": (data.own_scale, start.own_scale),
             "patch": (recipe.patches.patch, start.patch)}  # fmt: skip
    problems += kept_by_weights(given)
    if data.centred and start.centre is None:
        problems.append("centred: the starting weights were trained without it; leave it out, or leave out the weights")
    return problems


def kept_by_weights(given: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return a message for each setting, name -> (the recipe's or None, theirs), that starting weights contradict."""
    problems = []
    for name, (requested, kept) in given.items():
        requested = tuple(requested) if isinstance(requested, list) else requested
        if requested is not None and requested != kept:
            kept = "as the scans have it" if kept is None else kept
            problems.append(f"{name}: the starting weights keep theirs, {kept}, got {requested}; leave it out")
    return problems
