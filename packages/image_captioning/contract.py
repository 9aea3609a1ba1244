"""The preprocessing from any picture to the network's input, and from sentences to token ids and back.

Stored as `input` in the weights card; training, evaluation, prediction and page all go through it. The card
also holds the `options` that the network is built from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from cnn_core.data.fits import Placement, fit_crop, fit_pad, fit_stretch
from cnn_core.data.images import ImageSource, read_image
from cnn_core.errors import CnnError, WeightsError
from cnn_core.validation import Edge, Options, Positive, Settings, Share, parse, sentences
from cnn_core.weights.card import Contract, Tuple, contract
from image_captioning.words import FIRST, JOINTS, TOKENIZERS, UNKNOWN

if TYPE_CHECKING:
    from cnn_core.weights import WeightsCard

DOMAIN_NAME = "image_captioning"
FITS = {"crop": fit_crop, "pad": fit_pad, "stretch": fit_stretch}
DETAIL = 2  # JPEG files may be decoded smaller, down to this many times the pictures' size
MOST_WORDS = 200  # of a caption
LARGEST_VOCABULARY = 1_000_000
MOST_BEAMS = 100
Beams = Annotated[int, Field(ge=1, le=MOST_BEAMS)]
LengthPower = Annotated[float, Field(ge=0, le=2)]  # see `search.beam_search`
Fit = Literal["crop", "pad", "stretch"]
Tokenizer = Literal["words", "characters"]
Size = Annotated[int, Field(ge=1, le=8192)]


@contract
class CaptionContract(Contract):
    """How pictures and captions become tensors.

    Args:
        size: (H, W) in pixels of the prepared pictures.
        vocabulary: the known words; word i has the number i + 4.
        fit: "crop": shorter side to size, centre cut out; "pad": longer side to size, rest black; "stretch": both.
        enlarge: factor by which pictures of `size` are enlarged for the network, so that small ones can feed a trunk
            that was trained on larger ones; a photo of any size is first reduced to that of the training photos.
        mean: per channel (or one for all) on the scale 0..1, subtracted.
        std: likewise, divided by.
        longest: words of a caption at most.
        tokenizer: what a word is: one of `words.TOKENIZERS`; characters are for scripts without spaces.
        familiar_from: familiarity below which a photo is unlike those learned from, see `checks`; None: not chosen.
    """

    LATER: ClassVar[frozenset[str]] = frozenset({"tokenizer", "familiar_from"})

    size: Annotated[tuple[Edge, Edge], Tuple]
    vocabulary: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(strict=False, repr=False, min_length=1, max_length=LARGEST_VOCABULARY),
    ]
    fit: Fit = "crop"
    enlarge: Annotated[float, Field(ge=1, le=8)] = 1.0
    mean: Annotated[tuple[float, ...], Tuple] = (0.5,)
    std: Annotated[tuple[Positive, ...], Tuple] = (0.5,)
    longest: Annotated[int, Field(ge=1, le=MOST_WORDS)] = 30
    tokenizer: Tokenizer = "words"
    familiar_from: float | None = None

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if len({*self.vocabulary}) < len(self.vocabulary):
            raise ValueError("vocabulary: it holds a word twice")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, 3):
                raise ValueError(f"{name}: expected 1 or 3 numbers, got {getattr(self, name)}")
        return self

    @classmethod
    def of_card(cls, card: "WeightsCard", *, domain: str = DOMAIN_NAME) -> Self:
        """Return the contract of a card of this domain.

        Raises:
            WeightsError: the card is of another domain, its contract cannot be used, or does not fit the network.
        """
        restored = super().of_card(card, domain=domain)
        if restored.vocab_size != card.arguments["num_classes"]:
            raise WeightsError(
                f"weights {card.name!r}: {len(restored.vocabulary)} words in the vocabulary, but the network has "
                f"{card.arguments['num_classes'] - FIRST}; restore the card"
            )
        return restored

    # ---- pictures

    @property
    def input_size(self) -> tuple[int, int]:
        """(H, W) of the network's input."""
        return round(self.size[0] * self.enlarge), round(self.size[1] * self.enlarge)

    def read(self, source: ImageSource, *, name: str | None = None) -> Image.Image:
        """Read a picture as every user of this contract does: JPEG files no larger than needed, in colour."""
        return read_image(source, name=name, at_least=DETAIL * max(self.size)).convert("RGB")

    def place(self, source: ImageSource) -> tuple[Tensor, Placement]:
        """Return a picture as uint8 [3, H, W] of `size`, and which part of the picture that is.

        Raises:
            DataError: it cannot be read as a picture.
        """
        picture = source if isinstance(source, Image.Image) and source.mode == "RGB" else self.read(source)
        pixels, placement = FITS[self.fit](picture, self.size)
        return torch.from_numpy(np.array(pixels, dtype=np.uint8)).permute(2, 0, 1).contiguous(), placement

    def normalize(self, images: Tensor) -> Tensor:
        """Bring pictures to the network's input: `uint8 [B, 3, H, W] -> float32 [B, 3, *input_size]`."""
        x = images.float()
        if self.input_size != tuple(x.shape[2:]):
            x = F.interpolate(x, size=self.input_size, mode="bilinear", align_corners=False)
        std = torch.tensor(self.std, device=x.device).view(1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=x.device).view(1, -1, 1, 1)
        return (x * (1 / (255 * std)) - mean / std).contiguous(memory_format=torch.channels_last)

    # ---- sentences

    @property
    def vocab_size(self) -> int:
        """V: the number of token ids, padding, start, end and unknown included."""
        return len(self.vocabulary) + FIRST

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Word -> number."""
        return {word: i for i, word in enumerate(self.vocabulary, start=FIRST)}

    def split(self, caption: str) -> list[str]:
        """Return the words of a sentence."""
        return TOKENIZERS[self.tokenizer](caption)

    def sentence(self, numbers: Sequence[int]) -> str:
        """Return the text of token ids."""
        return JOINTS[self.tokenizer].join(self.decode(numbers))

    def encode(self, caption: str | Sequence[str]) -> list[int]:
        """Return the numbers of a caption's words, at most `longest`; unknown words are `UNKNOWN`.

        Raises:
            CnnError: the caption holds no word.
        """
        words = self.split(caption) if isinstance(caption, str) else caption
        if not words:
            raise CnnError(f"expected a sentence with words, got {str(caption)[:60]!r}")
        return [self.numbers.get(word, UNKNOWN) for word in words[: self.longest]]

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """Return the words of token ids; special tokens are left out, unknown words are "?"."""
        return ["?" if n == UNKNOWN else self.vocabulary[n - FIRST] for n in numbers if n >= UNKNOWN]


@dataclass(frozen=True, kw_only=True)
class CaptionerOptions(Settings):
    """What a captioner is built from besides its backbone and contract: the `options` in the arguments of its card.

    Args:
        decoder: with soft attention, or with the mean over the picture; see `decoders`.
        hidden: size of the LSTM's state.
        size: of a word vector.
        attention: size of a cell's key and value.
        dropout: share of the decoder's numbers that are dropped in training.
        stage: of the backbone, the last one that is kept.
        encoder: the backbone's own options.
        beams: of the search, unless the caller gives another number.
        length_power: likewise.
    """

    decoder: Literal["show-attend-tell", "show-tell"]
    hidden: Size
    size: Size
    attention: Size
    dropout: Share
    stage: str
    encoder: Options
    beams: Beams
    length_power: LengthPower

    @classmethod
    def of_card(cls, card: "WeightsCard") -> Self:
        """Return the options of a captioner's card.

        Older cards name the recurrent cell: an LSTM, the only one now, or a GRU.

        Raises:
            WeightsError: options are missing, wrong or unknown, or ask for a GRU.
        """
        values = dict(card.arguments["options"])
        cell = values.pop("cell", "lstm")
        if cell != "lstm":
            raise WeightsError(f"weights {card.name!r}: recurrent cells are LSTMs now, not {cell!r}; train again")
        try:
            return parse(cls, values)
        except ValidationError as error:
            problems = "; ".join(sentences(error, known=[f.name for f in fields(cls)]))
            raise WeightsError(f"weights {card.name!r}: arguments.options: {problems}; restore the card") from error
