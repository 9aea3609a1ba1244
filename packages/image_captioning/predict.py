"""Captions for pictures with probabilities and explanations word by word, and pictures for a sentence."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from cnn_core.answers import Item, skip_answered, write_csv
from cnn_core.classification import NOT_A_NUMBER
from cnn_core.data.frames import frame_notes
from cnn_core.data.images import SUFFIXES, ImageSource, input_name
from cnn_core.data.reading import Unreadable, pictures_in, pictures_of, read_batches
from cnn_core.data.summary import DataSummary
from cnn_core.errors import CnnError, WeightsError
from cnn_core.nn.dims import channels_last
from cnn_core.nn.folding import folded
from cnn_core.notebook import OfCard, table
from cnn_core.predictor import Sharding
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard, find_weights
from image_captioning.checks import class_check, familiarity
from image_captioning.contract import CaptionContract, CaptionerOptions
from image_captioning.decoders import Memory
from image_captioning.explain import CaptionExplanation, explain_caption
from image_captioning.model import Captioner, cells_of, load_captioner
from image_captioning.search import Hypothesis, beam_search, sample, teacher_forced_log_probs
from image_captioning.words import END, UNKNOWN

BATCH_SIZE = 32
UNLIKE = "this picture is unlike those that the network learned from"


@dataclass(frozen=True)
class Caption:
    """The captions of one picture, the best first; or why there is none.

    `probabilities` are those of the whole sentences, which are small numbers: a sentence is many choices.
    """

    input: str
    captions: list[str] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    error: str | None = None
    doubted: list[str] = field(default_factory=list)  # words of the best one for things that the encoder does not see
    known: bool = True  # False: the picture is unlike those learned from
    notes: tuple[str, ...] = ()  # what was left out of the file

    @property
    def warnings(self) -> list[str]:
        """What speaks against the best caption, in sentences."""
        said = [UNLIKE] if not self.known else []
        return [*said, *(f"the encoder sees no {word}" for word in self.doubted), *self.notes]

    def to_json(self) -> dict[str, Any]:
        """Return the item of `cnn predict --json`."""
        if self.error is not None:
            return {"input": self.input, "error": self.error}
        item = {"input": self.input, "captions": self.captions, "caption_probabilities": self.probabilities}
        return {**item, **({"warnings": self.warnings} if self.warnings else {})}

    def _repr_html_(self) -> str:
        if self.error is not None:
            return table([[self.error]], title=self.input)
        rows = [(text, f"{value:.1%}") for text, value in zip(self.captions, self.probabilities, strict=True)]
        return table(rows, title="; ".join([self.input, *self.warnings]))

    def __str__(self) -> str:
        return "; ".join([f"{self.input}: {self.error or ' | '.join(self.captions)}", *self.warnings])


@dataclass(frozen=True)
class Match:
    """How well a picture matches a sentence: its log-probability per word, given the picture less that of others."""

    input: str
    score: float = float("-inf")
    error: str | None = None


class Predictor(OfCard):
    """A trained captioner with its preprocessing, for raw pictures.

    Args:
        model: with the card's weights.
        card: its `input` is a `CaptionContract`.
        device: where to compute.

    Raises:
        WeightsError: the card is of another domain, or its input contract cannot be used, or the model has no encoder.
    """

    sharding = Sharding(entries=8 * BATCH_SIZE, files=8 * BATCH_SIZE, suffixes=SUFFIXES)

    def __init__(self, model: Captioner, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        self.contract, self.card = CaptionContract.of_card(card), card
        self.folder: Path | None = None  # of the weights
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        if self.model.encoder is None:
            raise WeightsError(f"weights {card.name!r}: expected a captioner with an encoder, got a decoder alone")
        self.model.encoder.to(memory_format=torch.channels_last)
        self._encoder = folded(self.model.encoder)
        options = CaptionerOptions.of_card(card)
        self.beams, self.length_power = options.beams, options.length_power
        encoder_weights = card.section("encoder").get("encoder_weights")
        self.check = class_check(self.model, model=card.model, encoder_weights=encoder_weights)

    # ---- captions

    def predict(
        self,
        images: Sequence[ImageSource] | ImageSource,
        *,
        n_best: int = 3,
        beams: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
    ) -> list[Caption]:
        """Write captions for pictures; one that cannot be read gets an `error`, the others their captions.

        Args:
            images: paths, bytes, PIL images, arrays, tensors (see `cnn_core.data.images.read_image`), or one of them.
            n_best: captions per picture at most.
            beams: beam width; None: the card's, or `n_best` if that is more.
            temperature: draw the captions at random instead, see `search.sample`; None: beam search.
            seed: of the draw.
            batch_size: pictures per forward pass; the captions do not depend on it.
        """
        many = images if isinstance(images, list | tuple) else [cast("ImageSource", images)]
        return list(
            self.stream(many, n_best=n_best, beams=beams, temperature=temperature, seed=seed, batch_size=batch_size)
        )

    def stream(
        self,
        images: Iterable[ImageSource | Unreadable],
        *,
        n_best: int = 3,
        beams: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Caption]:
        """Yield what `predict` returns, one by one: any number of pictures in the memory of one batch."""
        if n_best < 1 or batch_size < 1:
            raise CnnError(f"n_best and batch_size must be at least 1, got {n_best} and {batch_size}")
        generator = torch.Generator().manual_seed(seed)
        for names, views in read_batches(images, self._view, size=batch_size):
            good = [view[0] for view in views if not isinstance(view, str)]
            captions: Iterator[tuple[list[Hypothesis], bool, Tensor | None]] = iter(())
            if good:
                features, grid = self._features(torch.stack(good))
                memory = self._memory(features, grid)
                found = (
                    self.search(memory, beams=max(n_best, beams or self.beams))
                    if temperature is None
                    else self._sample(memory, n_best, temperature, generator)
                )
                captions = zip(found, *self._doubts(features), strict=True)
            for name, view in zip(names, views, strict=True):
                if isinstance(view, str):
                    yield Caption(name, error=view)
                    continue
                hypotheses, known, classes = next(captions)
                caption = self._caption(name, hypotheses[:n_best], known=known, classes=classes)
                yield replace(caption, notes=view[1])

    def stream_inputs(
        self,
        inputs: Iterable[str | os.PathLike[str]],
        *,
        output: Path | None = None,
        n_best: int = 3,
        answered: Iterable[Item] = (),
    ) -> Iterator[Caption]:
        """Caption files and all pictures in folders, subfolders included, in the order of their names."""
        pictures = skip_answered(self.entries(inputs), answered, name=input_name)
        return self.stream(pictures, n_best=n_best)

    def entries(self, inputs: Iterable[str | os.PathLike[str]]) -> Iterator[Path | Unreadable]:
        """Yield the pictures that inputs are, one by one, for `stream`."""
        return pictures_in(inputs)

    def examine_inputs(self, inputs: Iterable[str | os.PathLike[str]]) -> DataSummary:
        """Return how many pictures the inputs of `stream_inputs` are."""
        return DataSummary("", "pictures", {"all": sum(1 for _ in pictures_in(inputs))})

    def predict_folder(self, folder: Path | str, csv_path: Path | str, *, n_best: int = 3) -> tuple[int, int]:
        """Caption all pictures of a folder into a CSV file; return the numbers of captioned pictures and of failures.

        Raises:
            DataError: no such folder, or no pictures in it.
            StorageError: the file cannot be written.
        """
        items = (caption.to_json() for caption in self.stream(pictures_of(folder), n_best=n_best))
        return write_csv(items, csv_path)

    # ---- reasons

    def explain(
        self, image: ImageSource, *, caption: str | None = None, method: str = "attention"
    ) -> CaptionExplanation:
        """Explain each word; see `explain.explain_caption`."""
        return explain_caption(self, image, caption=caption, method=method)

    # ---- retrieval

    def likelihood(self, images: Tensor, caption: str, *, whole: bool = True) -> Tensor:
        """Return the mean log-probability per word of a sentence for each picture: `[B, 3, H, W] -> [B]`.

        Args:
            images: uint8 of the contract's size.
            caption: unknown words count as such.
            whole: the sentence ends there, and its end counts as a word; False: it may go on.

        Raises:
            CnnError: the sentence holds no word.
        """
        numbers = self.contract.encode(caption)
        return self.word_log_probs(self.remember(images), [*numbers, END] if whole else numbers).mean(1)

    def unknown_words(self, caption: str) -> list[str]:
        """Return the words of a sentence that the network does not know."""
        return [word for word in self.contract.split(caption) if word not in self.contract.numbers]

    def retrieve(self, images: Iterable[ImageSource], caption: str, *, batch_size: int = BATCH_SIZE) -> list[Match]:
        """Rank pictures by how well a sentence matches them, the best first; unreadable ones come last with an `error`.

        The score is the mean log-probability per word of a caption that begins with the sentence (the picture may show
        more), less the mean of that over all the pictures: 0 is average, 1 makes every word e times likelier than
        average.

        Raises:
            CnnError: the sentence holds no word, or none that is known.
        """
        if not {*self.contract.encode(caption)} - {UNKNOWN}:
            words = ", ".join(self.contract.vocabulary[:8])
            raise CnnError(f"no word of {caption[:60]!r} is known; use words such as {words}")
        matches, failed = [], []
        for names, views in read_batches(images, self._view, size=batch_size):
            good = [(n, v[0]) for n, v in zip(names, views, strict=True) if not isinstance(v, str)]
            failed += [Match(n, error=v) for n, v in zip(names, views, strict=True) if isinstance(v, str)]
            if good:
                scores = self.likelihood(torch.stack([view for _, view in good]), caption, whole=False).tolist()
                matches += [Match(name, score) for (name, _), score in zip(good, scores, strict=True)]
        usual = sum(match.score for match in matches) / max(1, len(matches))
        ranked = sorted(matches, key=lambda match: -match.score)
        return [Match(match.input, match.score - usual) for match in ranked] + failed

    def retrieve_folder(self, folder: Path | str, caption: str) -> list[Match]:
        """Rank the pictures of a folder, see `retrieve`; DataError if there are none."""
        return self.retrieve(pictures_of(folder), caption)

    # ---- parts

    def remember(self, images: Tensor) -> Memory:
        """Return the decoder's memory of pictures as `contract.place` returns them: `uint8 [B, 3, H, W]`."""
        return self._memory(*self._features(images))

    def search(self, memory: Memory, *, beams: int | None = None) -> list[list[Hypothesis]]:
        """Return the best captions of each picture, see `beam_search`; `beams` None: the card's."""
        return beam_search(
            self.model.decoder, memory, beams=beams or self.beams, longest=self.contract.longest,
            length_power=self.length_power,
        )  # fmt: skip

    def best(self, memory: Memory) -> list[tuple[int, ...]]:
        """Return the words of each picture's best caption, as token ids; CnnError if the network writes none."""
        ranked = self.search(memory)
        if not all(ranked):
            raise CnnError(NOT_A_NUMBER)
        return [captions[0].words for captions in ranked]

    @torch.inference_mode()
    def word_log_probs(self, memory: Memory, numbers: Sequence[int]) -> Tensor:
        """Return the log-probability of each of T words of a sentence for each of B pictures: [B, T] on the CPU."""
        output = self.model.score_sentence(memory, numbers)
        log_probs = teacher_forced_log_probs(output.logits, output.targets).gather(1, output.targets[:, None])
        return log_probs.view(len(numbers), len(memory)).T.cpu()

    @torch.inference_mode()
    def _features(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the encoder's map as cells in a row, and its grid: `uint8 [B, 3, H, W] -> [B, P, C], (H', W')`."""
        return cells_of(self._encoder(channels_last(self.contract.normalize(images.to(self.device)))))

    @torch.inference_mode()
    def _memory(self, features: Tensor, grid: tuple[int, int]) -> Memory:
        return self.model.remember(features, grid=grid)

    @torch.inference_mode()
    def _doubts(self, features: Tensor) -> tuple[list[bool], Sequence[Tensor | None]]:
        """Return which pictures are like those learned from, and the class probabilities [1000] of each, or None."""
        least, references = self.contract.familiar_from, self.model.references
        known = [True] * len(features)
        if least is not None and references is not None:
            known = (familiarity(features, references) >= least).tolist()
        return known, [None] * len(features) if self.check is None else list(self.check.probabilities(features))

    def _view(self, image: ImageSource, name: str) -> tuple[Tensor, tuple[str, ...]]:
        """Return the network's view of a picture, uint8 [3, H, W], and what was left out of its file."""
        picture = self.contract.read(image, name=name)
        return self.contract.place(picture)[0], frame_notes(picture)

    def _sample(
        self, memory: Memory, count: int, temperature: float, generator: torch.Generator
    ) -> list[list[Hypothesis]]:
        rows = memory.rows(torch.arange(len(memory), device=self.device).repeat_interleave(count))
        with torch.inference_mode():
            drawn = sample(
                self.model.decoder, rows, temperature=temperature, longest=self.contract.longest, generator=generator
            )
        return [drawn[i : i + count] for i in range(0, len(drawn), count)]

    def _caption(self, name: str, hypotheses: Sequence[Hypothesis], *, known: bool, classes: Tensor | None) -> Caption:
        texts = [self.contract.sentence(hypothesis.words) for hypothesis in hypotheses]
        probabilities = torch.tensor(
            [hypothesis.log_probability for hypothesis in hypotheses], dtype=torch.float64
        ).exp()
        if not torch.isfinite(probabilities).all() or not hypotheses:
            return Caption(name, error=NOT_A_NUMBER)
        doubted: list[str] = []
        if self.check is not None and classes is not None:
            doubted = self.check.doubted(classes, self.contract.split(texts[0]))
        rounded = [float(f"{probability:.6g}") for probability in probabilities.tolist()]
        return Caption(name, texts, rounded, doubted=doubted, known=known)


def load(name: str | Path, *, device: str = "auto") -> Predictor:
    """Return the predictor of shipped weights or of a finished run's folder.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen = choose_device(device)
    model, card = load_captioner(name)
    predictor = Predictor(model, card, device=chosen)
    predictor.folder = find_weights(name)
    return predictor
