"""Predictions for texts: labels with probabilities, and the words that explain them."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnn_core.classification import NOT_A_NUMBER, Prediction, class_index, labels_of
from cnn_core.errors import CnnError, DataError
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard
from text_classification.contract import DOMAIN_NAME, LONGEST_TEXT, Encoded, TextContract
from text_classification.explain import TextExplanation, explain_text
from text_classification.model import TextNet, load_text_model, scores_of
from text_classification.ngrams import window_indices, window_responses, word_products
from text_classification.tables import SUFFIXES, read_texts
from text_classification.tokenizers import TOKENIZERS

CHUNK = 4096  # texts that are classified at once
TABLE_LIMIT = 256 * 2**20  # bytes of the products of the whole vocabulary with all filters, kept for many texts
MANY = 2048  # texts from which on those products save time
SHOWN = 200  # characters of a text that name it


class Predictor:
    """A trained network with its preprocessing, for raw texts.

    Args:
        model: with the card's weights.
        card: its `input` is a `TextContract`.
        device: where to compute.

    Raises:
        WeightsError: the card is of another domain, or its input contract cannot be used.
    """

    def __init__(self, model: TextNet, card: WeightsCard, *, device: torch.device | str = "cpu") -> None:
        self.card, self.contract = card, TextContract.of_card(card, domain=DOMAIN_NAME)
        self.labels = labels_of(card)
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self._products: list[Tensor] | None = None

    def scores(self, texts: Sequence[str]) -> Tensor:
        """Return the class scores before softmax: `-> float32 [N, K]` on the CPU."""
        encoded = self.contract.encode_all(texts)
        with torch.inference_mode():
            return self._scores(encoded).float().cpu()

    def predict(self, texts: Iterable[str] | str, *, top_k: int = 5) -> list[Prediction]:
        """Classify texts; one that cannot be classified gets an `error`, the others their labels.

        Args:
            texts: any number of texts, or one.
            top_k: labels per text.
        """
        return list(self.stream([texts] if isinstance(texts, str) else texts, top_k=top_k))

    def stream(self, texts: Iterable[str], *, top_k: int = 5) -> Iterator[Prediction]:
        """Yield what `predict` returns, in chunks: any number of texts in the memory of a few thousand."""
        if top_k < 1:
            raise CnnError(f"top_k must be at least 1, got {top_k}")
        top_k = min(top_k, len(self.labels))
        texts = iter(texts)
        while chunk := list(islice(texts, CHUNK)):
            encoded = self.contract.encode_all(text if isinstance(text, str) else "" for text in chunk)
            yield from self._classify(chunk, encoded, top_k)

    def _classify(self, chunk: list[str], encoded: Encoded, top_k: int) -> Iterator[Prediction]:
        with torch.inference_mode():
            probabilities = self._scores(encoded).float().softmax(1).cpu().numpy()  # [N, K]
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]  # ten times as fast as topk
        values, indices = np.take_along_axis(probabilities, order, axis=1).tolist(), order.tolist()
        known, lengths = self._known_words(encoded), encoded.lengths.tolist()
        for i, text in enumerate(chunk):
            if not isinstance(text, str):
                yield Prediction(repr(text)[:SHOWN], error=f"expected a text, got {type(text).__name__}")
            elif not text or text.isspace():
                yield Prediction(text, error="the text is empty")
            elif values[i][0] != values[i][0]:
                yield Prediction(text[:SHOWN], error=NOT_A_NUMBER)
            else:
                note = self._note(text, known[i], lengths[i])
                yield Prediction(text, [self.labels[k] for k in indices[i]], values[i], note)

    def stream_inputs(
        self, inputs: Iterable[str], *, output: Path | None = None, top_k: int = 5
    ) -> Iterator[Prediction]:
        """Classify texts and files of texts: tables, or `.txt` with one text per line.

        The texts of a table are read from the column used in training, where it has that column.
        """
        learned = self.card.section("data").get("text_column")
        for entry in inputs:
            if not _is_file_name(entry):
                yield from self.stream([entry], top_k=top_k)
                continue
            any_texts = False
            try:
                for prediction in self.stream(read_texts(Path(entry), likely_column=learned), top_k=top_k):
                    any_texts = True
                    yield prediction
                if not any_texts:
                    yield Prediction(entry, error="the file holds no texts")
            except DataError as error:
                yield Prediction(entry, error=str(error))

    def explain(
        self,
        text: str,
        *,
        method: str = "ngrams",
        target: int | str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> TextExplanation:
        """Explain which words led to the prediction; see `explain.explain_text`."""
        return explain_text(self, text, method=method, target=class_index(target, self.labels), options=options)

    def _scores(self, encoded: Encoded) -> Tensor:
        ngrams, products = self.model.ngrams, self._products
        if ngrams is None or (len(encoded) < MANY and products is None):
            return scores_of(self.model, encoded, self.device)
        if products is None:
            slices = sum(len(weight) * weight.shape[2] for weight, _ in ngrams.filters())
            if 4 * self.model.vocab_size * slices > TABLE_LIMIT:
                return scores_of(self.model, encoded, self.device)
            vectors = self.model.word_vectors()
            products = self._products = [word_products(vectors, weight) for weight, _ in ngrams.filters()]
        return scores_of(partial(self._from_products, products, ngrams.filters()), encoded, self.device)

    def _from_products(self, products: list[Tensor], filters: list[tuple[Tensor, Tensor]], ids: Tensor) -> Tensor:
        """Return what the model returns, with every product of a word and a filter looked up: `[B, L] -> [B, K]`."""
        parts = [
            window_responses(one, window_indices(ids, weight.shape[2])).amax(1) + bias
            for one, (weight, bias) in zip(products, filters, strict=True)
        ]
        return self.model.backbone.head.after_pool(torch.cat(parts, 1).relu())

    def _known_words(self, encoded: Encoded) -> list[int]:
        """Return how many tokens of each text the vocabulary has."""
        known = np.concatenate([[0], np.cumsum(encoded.numbers > 1)])
        return np.diff(known[encoded.ends]).tolist()

    def _note(self, text: str, known: int, count: int) -> str:
        if not count:
            return "no word was found in it; the prediction is that for an empty text"
        if not known:
            return "no word of it is known"
        if len(text) > LONGEST_TEXT:
            return f"only the first {LONGEST_TEXT} characters were read"
        limit = self.contract.limit
        if count == limit and len(TOKENIZERS[self.contract.tokenizer](text)) > limit:
            return f"only the first {limit} words were read"
        return ""


def load(name: str | Path, *, device: str = "auto") -> Predictor:
    """Return the predictor of shipped weights or of a finished run's folder.

    Raises:
        UnknownNameError: there are no weights of this name.
        WeightsError: the weights are damaged or belong to another domain.
    """
    chosen = choose_device(device)
    model, card = load_text_model(name)
    return Predictor(model, card, device=chosen)


def _is_file_name(entry: str) -> bool:
    """Return whether an input is meant as a file: it ends like one and is one word, or it is there (folders too)."""
    path = Path(entry)
    if "/" in entry and os.path.isdir(entry):  # noqa: PTH112 (pathlib raises for names that no file can have)
        return True
    if path.suffix.lower() not in (*SUFFIXES, ".txt"):
        return False
    with contextlib.suppress(OSError, ValueError):  # a text may be too long for a name, or hold a null byte
        return len(entry.split()) == 1 or path.is_file()
    return False
