"""The captioning recipe: everything that defines a training run of this domain."""

from dataclasses import dataclass, field
from typing import Literal

from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from image_captioning.contract import MOST_WORDS
from image_captioning.search import MOST_BEAMS


@dataclass(frozen=True)
class DataConfig:
    """Which pictures and captions, and in what form the network gets them."""

    data: str = "scenes"  # a name of `cnn list data`, or a folder of pictures with a table of captions
    size: int | None = None  # edge in pixels that pictures are brought to; None: the set's own, for a folder 128
    fit: Literal["crop", "pad", "stretch"] = "crop"  # how other pictures are brought to the size
    enlarge: float = 1.0  # the network sees them so many times larger
    image_column: str | None = None  # of an own table; None: guessed
    caption_column: str | None = None
    min_count: int = 1  # rarer words of the training captions are unknown ones
    longest: int = 30  # words of a caption that are learned and written
    captions_per_picture: int = 0  # drawn anew in every epoch; 0: all of them

    def problems(self) -> list[str]:
        found = [] if self.data else ["data: expected a data set name or a folder, got nothing"]
        if self.size is not None and not 1 <= self.size <= 4096:
            found.append(f"size: expected 1 to 4096 pixels, got {self.size}")
        if not 1 <= self.enlarge <= 8:
            found.append(f"enlarge: expected 1 to 8, got {self.enlarge}")
        if self.min_count < 1:
            found.append(f"min_count: expected at least 1, got {self.min_count}")
        if not 1 <= self.longest <= MOST_WORDS:
            found.append(f"longest: expected 1 to {MOST_WORDS} words, got {self.longest}")
        if self.captions_per_picture < 0:
            found.append(f"captions_per_picture: expected 0 or more, got {self.captions_per_picture}")
        return found


@dataclass(frozen=True)
class CaptionModelConfig(ModelConfig):
    """Which encoder; `weights` are those of a whole captioner to go on from."""

    model: str = "fastnet"  # any name of `cnn list models` that exists in two dimensions


@dataclass(frozen=True)
class EncoderConfig:
    """What the encoder starts from, and whether it learns."""

    stage: str | None = None  # the encoder's stage that is looked at; None: its last
    encoder_weights: str | None = None  # "mobilenet-v1-trunk", "torchvision", or weights of image classification
    frozen: bool = False  # its features are computed once, kept on disk, and only the decoder learns

    def problems(self) -> list[str]:
        return []


@dataclass(frozen=True)
class DecoderConfig:
    """What writes the sentence."""

    decoder: Literal["show-attend-tell", "show-tell"] = "show-attend-tell"
    cell: Literal["lstm", "gru"] = "lstm"
    hidden: int = 256  # numbers of the state
    word_size: int = 128  # of a word vector
    attention_size: int = 128  # of what a cell is remembered and compared by
    dropout: float = 0.2
    word_dropout: float = 0.0  # share of words that the decoder is not shown in training
    sampling: float = 0.0  # share of words in the last epoch that are the decoder's own; rises from 0
    attention_weight: float = 0.0  # of the doubly stochastic term
    self_critical: int = 0  # captions drawn per picture whose CIDEr-D is the reward; 0: learn from the true captions

    def problems(self) -> list[str]:
        found = [
            f"{name}: expected 1 to 8192, got {getattr(self, name)}"
            for name in ("hidden", "word_size", "attention_size")
            if not 1 <= getattr(self, name) <= 8192
        ]
        found += [
            f"{name}: expected from 0 to below 1, got {getattr(self, name)}"
            for name in ("dropout", "word_dropout", "sampling")
            if not 0 <= getattr(self, name) < 1
        ]
        if self.attention_weight < 0:
            found.append(f"attention_weight: expected 0 or more, got {self.attention_weight}")
        if self.self_critical < 0 or self.self_critical == 1:
            found.append(f"self_critical: expected 0 or at least 2 captions per picture, got {self.self_critical}")
        return found


@dataclass(frozen=True)
class SearchConfig:
    """How captions are looked for, in validation and, unless something else is said, in use."""

    beams: int = 5
    length_power: float = 0.7  # see `search.beam_search`

    def problems(self) -> list[str]:
        found = [] if 1 <= self.beams <= MOST_BEAMS else [f"beams: expected 1 to {MOST_BEAMS}, got {self.beams}"]
        if not 0 <= self.length_power <= 2:
            found.append(f"length_power: expected 0 to 2, got {self.length_power}")
        return found


@dataclass(frozen=True)
class Recipe:
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
