"""The text recipe and its Task."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from cnn_core.confidence import Network
from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext, take_share
from cnn_core.data.summary import DataSummary
from cnn_core.errors import ConfigError, DataError
from cnn_core.metrics import classification_metrics
from cnn_core.models import as_backbone
from cnn_core.train.config import LoopConfig, ModelConfig, OptimizerConfig
from cnn_core.train.task import Evaluation, Pairs, say_unused
from cnn_core.validation import Count, Settings, Share, Text
from cnn_core.weights import WeightsCard, find_weights, load_card
from cnn_core.weights.members import content_hashes
from text_classification.contract import DOMAIN_NAME, FIRST, LONGEST, TextContract
from text_classification.copies import similar
from text_classification.data import FOLDS, Reading, TextSet, load_data
from text_classification.model import arguments_of, build_model, copy_weights, needs_length, scores_of
from text_classification.tokenizers import TOKENIZERS

log = logging.getLogger(__name__)

POOL = 64  # batches that are sorted by length together: little padding, and the order stays random
DEFAULT_LENGTH = 64  # tokens, for networks that need one length and are given none

Length = Annotated[int, Field(ge=1, le=LONGEST)]


@dataclass(frozen=True)
class DataConfig(Settings):
    """Which texts, and how they become numbers."""

    data: Text = "docstrings"  # a name of `cnn list data`, or a table (or folder of tables) of texts
    validation: bool = True  # hold texts out to choose the best epoch; False: train on all but the test set
    fold: Annotated[int, Field(ge=0, lt=FOLDS)] = 0  # which tenth is the test set, where there is no official one
    phrases: bool = False  # train on the Treebank's labelled phrases too
    once: bool = False  # train on a text that occurs several times as if it occurred once
    text_column: str | None = None  # of a custom table; None: guessed
    label_column: str | None = None
    group_column: str | None = None  # of what rows have in common that must stay in one split: an author, a document
    test: str | None = None  # of custom texts: a table for the test set, a share (0.2) or a number (500); None: a tenth
    tokenizer: Literal["basic_english", "cased_english", "kim", "whitespace", "characters"] = "basic_english"
    lower_case_too: bool = False  # train on every text again in lower case, for people who type so
    min_count: Count = 1  # rarer tokens become unknown
    largest_vocabulary: Count | None = None  # most frequent tokens that are kept; None: all
    length: Length | None = None  # tokens of every text; None: any number where the network allows it

    @property
    def reading(self) -> Reading:
        """How custom texts are read and divided."""
        return Reading(self.text_column, self.label_column, self.group_column, self.test, self.fold)


@dataclass(frozen=True)
class VectorConfig(Settings):
    """The word vectors under the network."""

    vectors: Literal["rand", "static", "non-static", "multichannel", "one-hot"] = (
        "rand"  # see text_classification.model
    )
    vector_size: Annotated[int, Field(ge=1, le=10_000)] = 300  # E; pretrained ones have their own
    vector_file: str | None = None  # pretrained vectors: a text file of GloVe, word2vec or fastText
    word_dropout: Share = 0.0  # share of words that are replaced by the unknown token in training

    @model_validator(mode="after")
    def _pretrained_vectors_have_a_file(self) -> "VectorConfig":
        pretrained = self.vectors in ("static", "non-static", "multichannel")
        if pretrained and not self.vector_file:
            raise ValueError(f"vectors: {self.vectors!r} needs a vector_file; without one, use 'rand'")
        if self.vector_file and not pretrained:
            raise ValueError(f"vector_file: is not used with vectors {self.vectors!r}; use 'non-static'")
        return self


@dataclass(frozen=True)
class TextModelConfig(ModelConfig):
    """Which network over the word vectors."""

    model: Text = "kim_cnn"  # any name of `cnn list models` that exists in one dimension


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that defines a training run of this domain."""

    description: str = ""
    licence: str = "MIT; the training data have their own terms"
    limits: list[str] = field(default_factory=list)
    data: DataConfig = field(default_factory=DataConfig)
    vectors: VectorConfig = field(default_factory=VectorConfig)
    model: TextModelConfig = field(default_factory=TextModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)


class TextTask(Pairs):
    """Classify texts: cross-entropy on batches of similar length, accuracy on the validation split.

    Args:
        recipe: what to learn, and how. Starting weights keep their tokenizer, length and kind of vectors.

    Raises:
        ConfigError: the recipe names both starting weights and pretrained vectors.
    """

    metric = "accuracy"
    open_set = False  # of other texts, people want the nearest answer

    def __init__(self, recipe: Recipe) -> None:
        weights, vector_file = recipe.model.weights, recipe.vectors.vector_file
        if weights and vector_file:
            problem = (
                f"expected weights or vector_file, got both ({weights} and {vector_file}); the weights have their own "
                "vectors, leave one of the two out"
            )
            raise ConfigError("recipe", [problem])
        self.recipe = recipe
        self.sets: dict[str, TextSet] = {}

    def build_data(self, device: torch.device) -> None:
        """Load the splits, fix the vocabulary and encode.

        The vocabulary is that of the starting weights, if any, plus new words; one-hot weights take no new ones.
        """
        data = self.recipe.data
        splits = ("train", "val", "test") if data.validation else ("train+val", "test")
        loaded = load_data(data.data, data.reading, phrases=data.phrases)
        self.sets = {split: loaded.splits[split] for split in splits}
        if not len(self.sets[self.training_split]):
            raise DataError(f"{data.data}: too few different texts to hold some out and train on the rest; add more")
        self.summary, self.columns = loaded.summary, loaded.columns
        if not data.validation:
            self.summary = replace(self.summary, **without_validation(loaded.summary))
        self.members = None
        if loaded.custom:
            self.members = {name: content_hashes(map(similar, split.texts)) for name, split in self.sets.items()}
        if data.once:
            self.sets[self.training_split] = _without_repeats(self.sets[self.training_split])
        if data.lower_case_too:
            self.sets[self.training_split] = _with_lower_case(self.sets[self.training_split])
        train = self.sets[self.training_split]
        self.contract = self._contract(train)
        self.device = device
        self.encoded = {name: self.contract.encode_all(split.texts) for name, split in self.sets.items()}
        self.targets = {name: split.targets.to(device) for name, split in self.sets.items()}
        if not self.contract.vocabulary:
            raise DataError(f"{train.name}: no word occurs {data.min_count} times; lower min_count")
        if self.recipe.vectors.vector_file:
            said = self._read_vectors(Path(self.recipe.vectors.vector_file))
            self.summary = replace(self.summary, read=(*self.summary.read, said))

    @property
    def training_split(self) -> str:
        """The split to train on."""
        return "train" if self.recipe.data.validation else "train+val"

    def build_model(self) -> nn.Module:
        """Build the network, with pretrained vectors or starting weights if the recipe names some."""
        model = build_model(word_dropout=self.recipe.vectors.word_dropout, **self._arguments())
        if self.recipe.model.weights:
            copy_weights(model, self.recipe.model.weights, self.sets[self.training_split].labels)
        elif self.recipe.vectors.vector_file:
            model.set_vectors(*self._pretrained)
        # The norm of sparse gradients cannot be limited; with `clip` the vectors get ordinary gradients.
        model.sparse = hasattr(model, "learned") and self.recipe.optimizer.clip == 0
        if model.sparse:
            model.learned.sparse_rows = True  # type: ignore[attr-defined]  # for `build_optimizers`
        return model

    def steps_per_epoch(self) -> int:
        return -(-len(self.sets[self.training_split]) // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        encoded, targets = self.encoded[self.training_split], self.targets[self.training_split]
        for batch in batches_by_length(encoded.lengths, self._batch_size, context.generator):
            batch = batch[take_share(len(batch), context)]
            yield encoded.batch(batch).to(self.device), targets[torch.from_numpy(batch).to(self.device)]

    def training_step(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x), y, label_smoothing=self.recipe.optimizer.label_smoothing)

    def evaluate(self, model: nn.Module, split: str) -> Evaluation | None:
        found = self.scored(model, split)
        if found is None:
            return None
        scores, targets = found
        return Evaluation(len(targets), classification_metrics(scores.float(), targets))

    def network(self, model: nn.Module) -> nn.Module:
        return model

    def scored(self, network: Network, split: str, items: np.ndarray | None = None) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers to the texts of a split."""
        if split not in self.sets:
            return None
        encoded, targets = self.encoded[split], self.targets[split]
        if items is not None:
            encoded, targets = encoded.subset(items), targets[torch.from_numpy(items).to(self.device)]
        return scores_of(network, encoded, self.device), targets

    def fingerprint(self) -> str:
        """Return a fingerprint of the texts and labels of all splits."""
        return cache_key(*((name, s.labels, s.texts, s.targets.tolist()) for name, s in self.sets.items()))

    def card_fields(self, model: nn.Module) -> Mapping[str, Any]:
        """Return the weights card's fields that this domain fills in."""
        arguments = self._arguments()
        network = as_backbone(model.get_submodule("backbone"))
        return {
            "model": arguments["name"],
            "arguments": {
                "spatial_dims": 1,
                "in_channels": network.in_channels,
                "num_classes": arguments["num_classes"],
                "input_size": None if arguments["length"] is None else [arguments["length"]],
                "options": {"vectors": arguments["vectors"], "size": arguments["size"], **arguments["options"]},
            },
            "input": self.contract.to_json(),
            "labels": list(self.sets[self.training_split].labels),
            "licence": self.recipe.licence,
            "limits": self.recipe.limits,
        }

    @property
    def _batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, max(1, len(self.sets[self.training_split])))

    @cached_property
    def starting_card(self) -> WeightsCard | None:
        """The card of the weights that training starts from, None for fresh ones."""
        weights = self.recipe.model.weights
        return load_card(find_weights(weights, domain=DOMAIN_NAME)) if weights else None

    def _contract(self, train: TextSet) -> TextContract:
        from text_classification.vocabulary import build_vocabulary

        data, model, card = self.recipe.data, self.recipe.model, self.starting_card
        base = TextContract.of_card(card, domain=DOMAIN_NAME) if card else None
        text, label = (name or None for name in self.columns)
        if base and card and model.weights:
            vectors = arguments_of(card)["vectors"]
            read = ("tokenizer", data.tokenizer, base.tokenizer), ("length", data.length, base.length)
            say_unused(log, model.weights, [*read, ("vectors", self.recipe.vectors.vectors, vectors)])
            if vectors == "one-hot":  # a token is a channel of the first layer; new ones would have no weights there
                return replace(base, text_column=text, label_column=label)
        tokenizer = base.tokenizer if base else data.tokenizer
        tokens = map(TOKENIZERS[tokenizer], train.texts)
        vocabulary = build_vocabulary(tokens, min_count=data.min_count, largest=data.largest_vocabulary)
        if base:
            known = set(base.vocabulary)
            vocabulary = base.vocabulary + tuple(word for word in vocabulary if word not in known)
            return replace(base, vocabulary=vocabulary, text_column=text, label_column=label)
        length = data.length or (DEFAULT_LENGTH if needs_length(model.model) else None)
        return TextContract(tokenizer, vocabulary, length, text_column=text, label_column=label)

    def _arguments(self) -> dict[str, Any]:
        """Return what `build_model` needs, from the recipe or from the starting weights."""
        model, vectors = self.recipe.model, self.recipe.vectors
        shared = {
            "vocab_size": self.contract.vocab_size,
            "num_classes": self.sets[self.training_split].num_classes,
            "length": self.contract.length,
        }
        if self.starting_card:
            return {**arguments_of(self.starting_card), **shared}
        size = self._pretrained[0].shape[1] if vectors.vector_file else vectors.vector_size
        return {**shared, "name": model.model, "size": size, "vectors": vectors.vectors, "options": model.options}

    def _read_vectors(self, file: Path) -> str:
        """Read the pretrained vectors [V, E], and which words have one [V]; return how many do."""
        from text_classification.vocabulary import load_vectors

        table, known = load_vectors(file, self.contract.vocabulary)
        self._pretrained = F.pad(table, (0, 0, FIRST, 0)), F.pad(known, (FIRST, 0))
        count, total = int(known.sum()), len(known)
        return f"{file.name} has vectors for {count:,} of the {total:,} words of the vocabulary ({count / total:.0%})"


def without_validation(summary: DataSummary) -> dict[str, Any]:
    """Return the fields of a summary whose validation texts are learned from."""
    classes = {
        label: {"train": counts["train"] + counts["val"], "test": counts["test"]}
        for label, counts in summary.classes.items()
    }
    sizes = {"train": summary.splits["train"] + summary.splits["val"], "test": summary.splits["test"]}
    return {"splits": sizes, "classes": classes}


def _without_repeats(texts: TextSet) -> TextSet:
    """Return every text once, at its first position, with the label of its last one."""
    places = {text: i for i, text in enumerate(texts.texts)}
    return replace(texts, texts=list(places), targets=texts.targets[list(places.values())])


def _with_lower_case(texts: TextSet) -> TextSet:
    """Return the texts, followed by the lower-case form of those that it changes."""
    again = [i for i, text in enumerate(texts.texts) if text != text.lower()]
    lower = [texts.texts[i].lower() for i in again]
    return replace(texts, texts=texts.texts + lower, targets=torch.cat([texts.targets, texts.targets[again]]))


def batches_by_length(lengths: np.ndarray, size: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Yield the indices of all texts in batches of `size`, similar lengths together, in random order.

    Texts are shuffled, sorted by length within pools of `POOL` batches, cut into batches, and the batches shuffled.
    The last batch of an epoch may be smaller.
    """
    order = torch.randperm(len(lengths), generator=generator).numpy()
    cuts: list[np.ndarray] = []
    for begin in range(0, len(order), size * POOL):
        pool = order[begin : begin + size * POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        cuts += [pool[i : i + size] for i in range(0, len(pool), size)]
    for i in torch.randperm(len(cuts), generator=generator).tolist():
        yield cuts[i]
