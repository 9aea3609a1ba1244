"""How strongly training inputs are changed at random: the section [augment] of a recipe."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from cnn_core.validation import Natural, NonNegative, Settings, Share


@dataclass(frozen=True)
class AugmentConfig(Settings):
    """Random changes of the training inputs; 0, 1 or "none" switches one off."""

    # left-right; "alternate" turns each sample every epoch; "all": along every axis by itself
    flip: Literal["none", "random", "alternate", "all"] = "none"
    rotate: NonNegative = 0.0  # degrees, at most this much to either side
    scale: Share = 0.0  # size changes by at most this fraction, the same along every axis
    zoom: Share = 0.0  # size changes by at most this fraction, along each axis by itself
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0  # degrees
    shift: Natural = 0  # pixels along each axis
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0  # smallest share of the area that a crop keeps, at the full size
    light: Share = 0.0  # brightness and contrast change by at most this fraction
    cutout: Natural = 0  # edge in pixels of a square that is blanked
    elastic: NonNegative = 0.0  # pixels: standard deviation of a smooth random displacement
    coarse: Share = 0.0  # resolution falls by at most this fraction, in one half of the samples
    noise: NonNegative = 0.0  # Gaussian noise of at most this standard deviation, as a fraction of the input's range
    border: Literal["zeros", "reflect"] = "zeros"  # what moves in from outside
