"""The captioning recipe: everything that defines a training run of this domain."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.validation import Count, Edge, Natural, NonNegative, Settings, Share, Text
from image_captioning.contract import MOST_WORDS
from image_captioning.search import MOST_BEAMS

Size = Annotated[int, Field(ge=1, le=8192)]


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which pictures and captions, and in what form the network gets them."""

    data: Text = "scenes"  # a name of `cnn list data`, or a folder of pictures with a table of captions
    size: Edge | None = None  # edge in pixels that pictures are brought to; None: the set's own, for a folder 128
    fit: Literal["crop", "pad", "stretch"] = "crop"  # how other pictures are brought to the size
    enlarge: Annotated[float, Field(ge=1, le=8)] = 1.0  # the network sees them so many times larger
    image_column: str | None = None  # of an own table; None: guessed
    caption_column: str | None = None
    min_count: Count = 1  # rarer words of the training captions are unknown ones
    longest: Annotated[int, Field(ge=1, le=MOST_WORDS)] = 30  # words of a caption that are learned and written
    captions_per_picture: Natural = 0  # drawn anew in every epoch; 0: all of them


@dataclass(frozen=True)
class CaptionModelConfig(ModelConfig):
    """Which encoder; `weights` are those of a whole captioner to go on from."""

    model: Text = "fastnet"  # any name of `cnn list models` that exists in two dimensions


@dataclass(frozen=True)
class EncoderConfig(Settings):
    """What the encoder starts from, and whether it learns."""

    stage: str | None = None  # the encoder's stage that is looked at; None: its last
    encoder_weights: str | None = None  # "mobilenet-v1-trunk", "torchvision", or weights of image classification
    frozen: bool = False  # its features are computed once, kept on disk, and only the decoder learns


@dataclass(frozen=True)
class DecoderConfig(Settings):
    """What writes the sentence."""

    decoder: Literal["show-attend-tell", "show-tell"] = "show-attend-tell"
    cell: Literal["lstm", "gru"] = "lstm"
    hidden: Size = 256  # numbers of the state
    word_size: Size = 128  # of a word vector
    attention_size: Size = 128  # of what a cell is remembered and compared by
    dropout: Share = 0.2
    word_dropout: Share = 0.0  # share of words that the decoder is not shown in training
    attention_weight: NonNegative = 0.0  # of the doubly stochastic term
    self_critical: Natural = 0  # captions drawn per picture, CIDEr-D their reward; 0: learn from the true captions

    @model_validator(mode="after")
    def _several_captions_are_compared(self) -> "DecoderConfig":
        if self.self_critical == 1:
            raise ValueError("self_critical: expected 0 or at least 2 captions per picture, got 1")
        return self


@dataclass(frozen=True)
class SearchConfig(Settings):
    """How captions are looked for, in validation and, unless something else is said, in use."""

    beams: Annotated[int, Field(ge=1, le=MOST_BEAMS)] = 5
    length_power: Annotated[float, Field(ge=0, le=2)] = 0.7  # see `search.beam_search`


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    model: CaptionModelConfig = field(default_factory=CaptionModelConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
