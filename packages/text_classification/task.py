"""The Task of a text recipe."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.confidence import Network, drawn
from cnn_core.data.cache import cache_key
from cnn_core.data.memory import EpochContext, take_share
from cnn_core.data.summary import DataSummary
from cnn_core.errors import ConfigError, DataError
from cnn_core.metrics import classification_metrics
from cnn_core.models import as_backbone
from cnn_core.train.task import Evaluation, Pairs, say_unused
from cnn_core.weights import WeightsCard, find_weights, load_card
from cnn_core.weights.members import content_hashes
from text_classification.contract import DOMAIN_NAME, FIRST, TextContract
from text_classification.copies import similar
from text_classification.data import TextSet, load_data
from text_classification.model import arguments_of, build_model, copy_weights, needs_length, scores_of
from text_classification.recipe import Recipe, VectorConfig
from text_classification.tokenizers import TOKENIZERS

log = logging.getLogger(__name__)

POOL = 64  # batches that are sorted by length together: little padding, and the order stays random
DEFAULT_LENGTH = 64  # tokens, for networks that need one length and are given none


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
        vectors = self.recipe.vectors
        dropout = {"word_dropout": vectors.word_dropout, "vector_dropout": vectors.vector_dropout}
        model = build_model(dropout=dropout, **self._arguments())
        if self.recipe.model.weights:
            copy_weights(model, self.recipe.model.weights, self.sets[self.training_split].labels)
        elif vectors.vector_file:
            model.set_vectors(*self._pretrained)
        # The norm of sparse gradients cannot be limited; with `clip` the vectors get ordinary gradients.
        model.sparse = hasattr(model, "learned") and self.recipe.optimizer.clip == 0
        if model.sparse:
            model.learned.sparse_rows = True  # type: ignore[attr-defined]  # for `build_optimizers`
        return model

    def steps_per_epoch(self) -> int:
        return self._rounds * -(-len(self.sets[self.training_split]) // self._batch_size)

    def batches(self, context: EpochContext) -> Iterable[tuple[Tensor, Tensor]]:
        encoded, targets = self.encoded[self.training_split], self.targets[self.training_split]
        for _ in range(self._rounds):
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

    def scored(self, network: Network, split: str, most: int | None = None) -> tuple[Tensor, Tensor] | None:
        """Return what `network` answers to the texts of a split."""
        if split not in self.sets:
            return None
        encoded, targets = self.encoded[split], self.targets[split]
        if most is not None:
            items = drawn(len(encoded), most)
            encoded, targets = encoded.subset(items.numpy()), targets[items.to(self.device)]
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

    @property
    def _rounds(self) -> int:
        """How often an epoch goes through the training texts."""
        return max(1, -(-self.recipe.data.epoch_texts // max(1, len(self.sets[self.training_split]))))

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
            vectors, asked = arguments_of(card)["vectors"], self.recipe.vectors.vectors
            read = ("tokenizer", data.tokenizer, base.tokenizer), ("length", data.length, base.length)
            chosen = None if asked == VectorConfig.vectors else asked  # the default is no choice
            say_unused(log, model.weights, [*read, ("vectors", chosen, vectors)])
            if vectors == "one-hot":  # a token is a channel of the first layer; new ones would have no weights there
                return replace(base, text_column=text, label_column=label)
        tokenizer = base.tokenizer if base else data.tokenizer
        tokens = map(TOKENIZERS[tokenizer], train.texts)
        vocabulary = build_vocabulary(tokens, min_count=data.min_count, largest=data.largest_vocabulary)
        if base:
            known = set(base.vocabulary)
            vocabulary = base.vocabulary + tuple(word for word in vocabulary if word not in known)
            return replace(base, vocabulary=vocabulary, text_column=text, label_column=label)
        vocabulary += self._more_words(tokenizer, vocabulary)
        length = data.length or (DEFAULT_LENGTH if needs_length(model.model) else None)
        return TextContract(tokenizer, vocabulary, length, text_column=text, label_column=label)

    def _more_words(self, tokenizer: str, vocabulary: Sequence[str]) -> tuple[str, ...]:
        """Return words of the file of vectors that the vocabulary lacks, as far as the tokenizer can give them."""
        from text_classification.vectors import frequent_words

        vectors, split = self.recipe.vectors, TOKENIZERS[tokenizer]
        if not vectors.vector_file or not vectors.more_words:
            return ()
        known = {*vocabulary}
        words = frequent_words(Path(vectors.vector_file), vectors.more_words)
        return tuple(word for word in dict.fromkeys(words) if word not in known and split(word) == [word])

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
        from text_classification.vectors import load_vectors

        read = load_vectors(file, self.contract.vocabulary)
        self._pretrained = F.pad(read.table, (0, 0, FIRST, 0)), F.pad(read.known, (FIRST, 0))
        return read.said


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
