"""Predictions for texts: labels with probabilities, and the words that explain them."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.answers import Item, skip_answered
from cnn_core.classification import NOT_A_NUMBER, Prediction, class_index, labels_of
from cnn_core.data.reading import Unreadable
from cnn_core.data.summary import DataSummary
from cnn_core.data.tables import TABLES, table_suffix
from cnn_core.errors import CnnError
from cnn_core.notebook import OfCard
from cnn_core.predictor import Sharding
from cnn_core.train.devices import choose_device
from cnn_core.weights import WeightsCard, find_weights
from text_classification.contract import DOMAIN_NAME, LONGEST_TEXT, Encoded, TextContract
from text_classification.explain import TextExplanation, explain_text
from text_classification.model import TextNet, load_text_model, scores_of
from text_classification.ngrams import OneText, window_indices, window_responses, word_products
from text_classification.standard_input import StandardInput
from text_classification.tables import TextFile, text_file
from text_classification.tokenizers import TOKENIZERS

CHUNK = 2048  # texts that are classified at once
TABLE_LIMIT = 256 * 2**20  # bytes of the products of the whole vocabulary with all filters, kept for many texts
MANY = 2048  # texts from which on those products save time
LONG = 2000  # words of a text, from which on its different words are computed once
SHOWN = 200  # characters of what is no text, in its message
STDIN = "-"  # the input that stands for standard input
ENDINGS = (*TABLES, ".txt", ".pdf", ".docx", ".doc", ".html", ".md", ".zip")  # of names that are no text
FILES = (*TABLES, *(f"{ending}.gz" for ending in TABLES), ".txt")  # at an address
FEW_WORDS = 4  # of an input with such an ending, up to which it is meant as a file

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # of Windows


class Predictor(OfCard):
    """A trained network with its preprocessing, for raw texts.

    Args:
        model: with the card's weights.
        card: its `input` is a `TextContract`.
        device: where to compute.
        folder: of the weights; None: they are in none.

    Raises:
        WeightsError: the card is of another domain, or its input contract cannot be used.
    """

    sharding = Sharding(entries=4 * CHUNK, suffixes=FILES)

    def __init__(
        self, model: TextNet, card: WeightsCard, *, device: torch.device | str = "cpu", folder: Path | None = None
    ) -> None:
        self.card, self.contract = card, TextContract.of_card(card, domain=DOMAIN_NAME)
        self.labels = labels_of(card)
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.folder = folder
        self._products: list[Tensor] | None = None
        self._one_text: OneText | None = None
        self._files: dict[tuple[object, ...], TextFile] = {}
        self._input: StandardInput | None = None

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

        Raises:
            CnnError: a whole table, or fewer than one label.
        """
        return list(self.stream([texts] if isinstance(texts, str) else texts, top_k=top_k))

    def stream(self, texts: Iterable[str | Unreadable], *, top_k: int = 5) -> Iterator[Prediction]:
        """Yield what `predict` returns, in chunks: any number of texts in the memory of a few thousand."""
        if top_k < 1:
            raise CnnError(f"top_k must be at least 1, got {top_k}")
        if isinstance(texts, Mapping) or hasattr(texts, "columns"):  # whose items are names
            raise CnnError(
                f"expected texts, got a {type(texts).__name__}; give one column of it, such as table['text']"
            )
        top_k = min(top_k, len(self.labels))
        texts = iter(texts)
        while chunk := list(islice(texts, CHUNK)):
            encoded = self.contract.encode_all(text if isinstance(text, str) else "" for text in chunk)
            yield from self._classify(chunk, encoded, top_k)

    def _classify(self, chunk: list[str | Unreadable], encoded: Encoded, top_k: int) -> Iterator[Prediction]:
        with torch.inference_mode():
            probabilities = self._scores(encoded).float().softmax(1).cpu().numpy()  # [N, K]
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]  # ten times as fast as topk
        values, indices = np.take_along_axis(probabilities, order, axis=1).tolist(), order.tolist()
        known, lengths = self._known_words(encoded), encoded.lengths.tolist()
        for i, text in enumerate(chunk):
            if isinstance(text, Unreadable):
                yield Prediction(text.name, error=text.reason)
            elif not isinstance(text, str):
                yield Prediction(repr(text)[:SHOWN], error=f"expected a text, got {type(text).__name__}")
            elif not text or text.isspace():
                yield Prediction(text, error="the text is empty")
            elif values[i][0] != values[i][0]:
                yield Prediction(text, error=NOT_A_NUMBER)
            else:
                note = self._note(text, known[i], lengths[i])
                yield Prediction(text, [self.labels[k] for k in indices[i]], values[i], note)

    def stream_inputs(
        self,
        inputs: Iterable[str],
        *,
        output: Path | None = None,
        top_k: int = 5,
        text_column: str | None = None,
        label_column: str | None = None,
        texts: bool = False,
        answered: Iterable[Item] = (),
    ) -> Iterator[Prediction]:
        """Classify texts and files of texts: tables, or one text per line; "-" is standard input, one text per line.

        Args:
            inputs: texts, and paths of files: what is there is a file, whatever its name.
            output: nothing is written to it.
            top_k: labels per text.
            text_column: of tables; None: the one used in training, where a table has it, else found out.
            label_column: of their labels, which are no texts.
            texts: all inputs are texts.
            answered: of an interrupted run, see `cnn_core.answers.skip_answered`.
        """
        entries = self.entries(inputs, text_column=text_column, label_column=label_column, texts=texts)
        yield from self.stream(skip_answered(entries, answered, name=_name_of), top_k=top_k)

    def examine_inputs(
        self,
        inputs: Iterable[str],
        *,
        text_column: str | None = None,
        label_column: str | None = None,
        texts: bool = False,
    ) -> DataSummary:
        """Return how many texts the inputs of `stream_inputs` hold and how they are read; none: nobody can know."""
        count, endless = 0, False
        read: list[str] = []
        for entry in inputs:
            if entry == STDIN and not texts:
                endless, read = True, [*read, *self._standard_input().read]
                continue
            try:
                file = None if texts or not is_path(entry) else self._file(entry, text_column, label_column)
            except CnnError:
                file = None  # said where it is read
            count += file.count if file else 1
            read += file.read if file else ()
        return DataSummary("", "texts", {} if endless else {"all": count}, read=tuple(dict.fromkeys(read)))

    def entries(
        self,
        inputs: Iterable[str],
        *,
        text_column: str | None = None,
        label_column: str | None = None,
        texts: bool = False,
    ) -> Iterator[str | Unreadable]:
        """Yield every text of the inputs of `stream_inputs`, for `stream`, and what cannot be read in its place."""
        for entry in inputs:
            if texts:
                yield entry
            elif entry == STDIN:
                try:
                    yield from self._standard_input()
                except CnnError as error:
                    yield Unreadable(entry, str(error))
                self._input = None
            elif os.path.isdir(entry):  # noqa: PTH112 (pathlib raises for names that no file can have)
                yield Unreadable(entry, "is a folder; give the files in it, or add --text if it is a text")
            elif is_path(entry):
                any_texts = False
                try:
                    for text in self._file(entry, text_column, label_column):
                        any_texts = True
                        yield text
                    if not any_texts:
                        yield Unreadable(entry, "the file holds no texts")
                except CnnError as error:
                    yield Unreadable(entry, str(error))
            elif looks_like_a_path(entry):
                yield Unreadable(entry, "there is no such file; if it is a text, add --text")
            else:
                yield entry

    def _standard_input(self) -> StandardInput:
        """Return how standard input is read, which is found out once."""
        self._input = self._input or StandardInput()
        return self._input

    def _file(self, entry: str, text_column: str | None, label_column: str | None) -> TextFile:
        """Return how a file is read, which is found out once."""
        path = Path(entry)
        state = path.stat()
        key = (entry, state.st_mtime_ns, state.st_size, text_column, label_column)
        if key not in self._files:
            learned = self.card.section("data").get("text_column") or self.contract.text_column
            columns = {"text_column": text_column, "label_column": label_column}
            self._files = {key: text_file(path, likely_column=learned, **columns)}
        return self._files[key]

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
        if ngrams is not None and len(encoded) == 1 and len(encoded.numbers) <= LONG:
            self._one_text = self._one_text or OneText(*zip(*ngrams.filters(), strict=True))
            ids = torch.from_numpy(encoded.numbers).to(self.device)
            strongest = self._one_text(self.model.word_vectors(F.pad(ids, (1, 0))))
            return self.model.backbone.head.after_pool(strongest.relu())
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
    return Predictor(model, card, device=chosen, folder=find_weights(name, domain=DOMAIN_NAME))


def is_path(entry: str) -> bool:
    """Tell whether an input is a file or folder that is there."""
    return os.path.exists(entry)  # noqa: PTH110 (pathlib raises for names that no file can have)


def looks_like_a_path(entry: str) -> bool:
    """Tell whether an input that is no file was meant as one: by its ending, or by its beginning."""
    words = entry.split()
    if not words or "\n" in entry.strip():
        return False
    folders = "/" in entry or "\\" in entry
    if len(words) == 1 and (entry.startswith(("/", "./", "../", "~/", ".\\", "..\\")) or _DRIVE.match(entry)):
        return True
    return table_suffix(Path(words[-1])) in ENDINGS and (len(words) <= FEW_WORDS or folders)


def _name_of(entry: str | Unreadable) -> str:
    """Return what the answer to an entry calls its input."""
    return entry.name if isinstance(entry, Unreadable) else entry
