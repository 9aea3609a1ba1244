"""The captioning recipe: everything that defines a training run of this domain."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig, to_table
from cnn_core.validation import Count, Edge, Natural, NonNegative, Settings, Share, Text
from cnn_core.weights import WeightsCard
from image_captioning.contract import MOST_WORDS, Beams, CaptionContract, CaptionerOptions, LengthPower, Size, Tokenizer


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which pictures and captions, and how they are preprocessed."""

    data: Text = "scenes"  # a name of `cnn list data`, or a folder of pictures with a table of captions
    size: Edge | None = None  # edge in pixels; None: the set's own, for a folder 128
    fit: Literal["crop", "pad", "stretch"] = "crop"  # how pictures of another size are fitted
    enlarge: Annotated[float, Field(ge=1, le=8)] = 1.0  # factor by which they are enlarged for the network
    image_column: str | None = None  # of a custom table; None: chosen by name and contents
    caption_column: str | None = None
    group_column: str | None = None  # pictures of one group, such as a camera or a person, stay in one split
    test: str | None = None  # custom test pictures: a share, a number, a folder with captions, or a list of names
    tokenizer: Tokenizer = "words"  # characters: for scripts without spaces, such as Chinese, Japanese and Thai
    min_count: Count = 1  # rarer words of the training captions become unknown
    longest: Annotated[int, Field(ge=1, le=MOST_WORDS)] = 30  # words of a caption that are learned and written
    captions_per_picture: Natural = 0  # drawn anew in every epoch; 0: all of them


@dataclass(frozen=True)
class EncoderConfig(Settings):
    """What the encoder starts from, and whether it learns."""

    stage: str | None = None  # the encoder's stage that is used; None: its last
    encoder_weights: str | None = None  # "imagenet", "torchvision", or weights of image classification
    frozen: bool = False  # its features are computed once, kept on disk, and only the decoder learns
    views: Count = 1  # of each training photo for a frozen encoder: itself, then cut-outs, half of them mirrored


@dataclass(frozen=True)
class DecoderConfig(Settings):
    """What writes the sentence."""

    decoder: Literal["show-attend-tell", "show-tell"] = "show-attend-tell"
    hidden: Size = 256  # size of the state
    word_size: Size = 128  # of a word vector
    attention_size: Size = 128  # of a cell's key and value
    dropout: Share = 0.2
    word_dropout: Share = 0.0  # share of words that the decoder is not shown in training
    attention_weight: NonNegative = 0.0  # of the doubly stochastic term
    rewarded_epochs: Natural = 0  # the last ones, in which drawn captions are rewarded by CIDEr-D, see `self_critical`
    drawn: Annotated[int, Field(ge=2, le=100)] = 5  # captions of a picture in a rewarded epoch


@dataclass(frozen=True)
class SearchConfig(Settings):
    """The search for captions, in validation and, by default, in prediction."""

    beams: Beams = 5
    length_power: LengthPower = 0.7  # see `search.beam_search`


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)  # the encoder; `weights` are those of a whole captioner
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


def settings_of(card: WeightsCard) -> dict[str, Any]:
    """Return the settings that a training from weights takes from their card."""
    contract, options = CaptionContract.of_card(card), CaptionerOptions.of_card(card)
    return {
        "size": contract.size[0], "fit": contract.fit, "enlarge": contract.enlarge, "longest": contract.longest,
        "tokenizer": contract.tokenizer, "model": card.model, "options": options.encoder, "stage": options.stage,
        "decoder": options.decoder, "hidden": options.hidden, "word_size": options.size,
        "attention_size": options.attention,
    }  # fmt: skip


def unused_settings(recipe: Recipe, card: WeightsCard) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, the recipe's value or None, the weights' value) for the settings that starting weights decide."""
    table, theirs = to_table(recipe), settings_of(card)
    ours = {name: value for section in table.values() if isinstance(section, dict) for name, value in section.items()}
    for name in theirs:
        has_none = name == "attention_size" and theirs["decoder"] == "show-tell"
        yield name, None if has_none else ours.get(name) or None, theirs[name]
    yield "encoder_weights", ours.get("encoder_weights"), card.section("encoder").get("encoder_weights")
