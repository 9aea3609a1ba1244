"""The published text sets by name: their classes, parts and files."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cnn_core.data.sets import DataSet, missing_set
from cnn_core.errors import DataError
from text_classification import docstrings
from text_classification.download import (
    Published,
    ag_news_rows,
    get_ag_news,
    get_polarity,
    get_sentences,
    get_trec,
    get_treebank,
    polarity_rows,
    sentence_rows,
    trec_rows,
    treebank_rows,
)
from text_classification.tables import Table, read_table

PHRASES = "train_phrases"  # the training part with `phrases`


@dataclass(frozen=True, kw_only=True)
class Corpus(DataSet):
    """A named set: its classes and its tables.

    Args:
        labels: the K class names; empty: those that occur.
        parts: of which it consists; "all" alone is cross-validated.
        has_phrases: there is a part of labelled phrases of the training sentences, too.
        published: its files as published, which are read where `folder` has no tables `<part>.tsv` with the columns
            label and text.
        embedded: reads a set that comes with the software.
    """

    labels: tuple[str, ...] = ()
    parts: tuple[str, ...] = ("all",)
    has_phrases: bool = False
    published: Published | None = field(default=None, repr=False)
    embedded: Callable[[], Table] | None = field(default=None, repr=False)

    def read(self, folder: Path, parts: Sequence[str]) -> dict[str, Table]:
        """Return the tables of some parts.

        Raises:
            DataError: one of them is missing or damaged.
        """
        if self.embedded:
            return {"all": self.embedded()}
        return {part: self._part(folder, part) for part in parts}

    def _part(self, folder: Path, part: str) -> Table:
        ours = folder / f"{part}.tsv"
        if ours.is_file():
            return read_table(ours, text_column="text", label_column="label")
        if self.published is None:
            raise missing_set(self, folder)
        try:
            labels, texts = zip(*self.published.rows(folder, part), strict=True)
        except OSError as error:
            raise missing_set(self, folder) from error
        except (ValueError, LookupError, csv.Error) as error:  # cut off, or another file
            raise DataError(
                f"{folder} does not hold {self.name} as published ({error}); `cnn data get {self.name}` does"
            ) from error
        return Table([*texts], [*labels])


def _corpus(name: str, description: str, *, source: str, published: Published | None = None, **more: Any) -> Corpus:
    """Return a set of tables under `text/` of the data root, or of the published files there."""

    def count(folder: Path) -> str:
        known = DATA_SETS[name]
        tables = known.read(folder, [*known.parts, PHRASES] if known.has_phrases else known.parts)
        return " + ".join(f"{len(tables[part].texts):,}" for part in known.parts) + " texts"

    return Corpus(
        name=name,
        description=description,
        source=source,
        folder=f"text/{name}",
        layout=", ".join(f"{part}.tsv" for part in more.get("parts", ("all",))) + " with the columns label and text",
        count=count,
        get=published.get if published else None,
        published=published,
        **more,
    )


SENTIMENT = ("negative", "positive")
SUBJECTIVE = ("subjective", "objective")
FINE_SENTIMENT = ("very_negative", "negative", "neutral", "positive", "very_positive")
QUESTIONS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
TOPICS = ("World", "Sports", "Business", "Sci_Tech")
BINARY = ("negative", "negative", None, "positive", "positive")  # of the Treebank's grades
PANG = "Pang and Lee, movie review data"
TREEBANK = "Socher et al., Stanford Sentiment Treebank"
ZHANG = "Zhang et al., AG's news topics"
LI_ROTH = "Li and Roth, question classification"
IN_THREE, IN_TWO = ("train", "dev", "test"), ("train", "test")


def _sentences(file: str, labels: tuple[str, ...]) -> Published:
    """Return one of the files of Kim's sentences."""
    rows = partial(sentence_rows, file=file, labels=labels)
    return Published(partial(get_sentences, file=file), rows)


DATA_SETS: dict[str, Corpus] = {
    entry.name: entry
    for entry in (
        Corpus(
            name="docstrings", description="which part of Python's standard library a docstring comes from",
            licence="PSF licence", labels=docstrings.AREAS, embedded=docstrings.read,
        ),
        _corpus("mr", "10,662 sentences of film reviews, positive or negative, ten-fold", source=PANG,
                labels=SENTIMENT, published=Published(get_polarity, polarity_rows),
                official="10,662 texts"),
        _corpus("subj", "10,000 sentences, subjective or objective, ten-fold", source=PANG, labels=SUBJECTIVE,
                published=_sentences("subj.all", SUBJECTIVE), official="10,000 texts"),
        _corpus("cr", "3,771 sentences of customer reviews, positive or negative, ten-fold",
                source="Hu and Liu, opinion mining data", labels=SENTIMENT,
                published=_sentences("custrev.all", SENTIMENT), official="3,771 texts"),
        _corpus("mpqa", "10,603 phrases of news, positive or negative, ten-fold", source="Wiebe, MPQA opinion corpus",
                labels=SENTIMENT, published=_sentences("mpqa.all", SENTIMENT), official="10,603 texts"),
        _corpus("sst1", "Stanford Sentiment Treebank, five grades; 8,544 + 1,101 + 2,210 sentences", source=TREEBANK,
                labels=FINE_SENTIMENT, parts=IN_THREE, has_phrases=True, official="8,544 + 1,101 + 2,210 texts",
                published=Published(get_treebank, partial(treebank_rows, labels=FINE_SENTIMENT))),
        _corpus("sst2", "Stanford Sentiment Treebank without neutral ones; 6,920 + 872 + 1,821 sentences",
                source=TREEBANK, labels=SENTIMENT, parts=IN_THREE, has_phrases=True,
                official="6,920 + 872 + 1,821 texts",
                published=Published(get_treebank, partial(treebank_rows, labels=BINARY))),
        _corpus("trec", "5,452 + 500 questions by what they ask for, 6 classes", source=LI_ROTH, labels=QUESTIONS,
                parts=IN_TWO, official="5,452 + 500 texts", published=Published(get_trec, trec_rows)),
        _corpus("trec_fine", "5,452 + 500 questions by what they ask for, 50 classes", source=LI_ROTH, parts=IN_TWO,
                official="5,452 + 500 texts", published=Published(get_trec, partial(trec_rows, fine=True))),
        _corpus("ag_news", "news by topic, 4 classes; 120,000 for training, 7,600 test", source=ZHANG,
                licence="non-commercial research", labels=TOPICS, parts=IN_TWO, official="120,000 + 7,600 texts",
                published=Published(get_ag_news, partial(ag_news_rows, labels=TOPICS))),
        _corpus("ag_news_10k", "10,000 of the 120,000 news for training, all 7,600 for the test", source=ZHANG,
                licence="non-commercial research", labels=TOPICS, parts=IN_TWO),
    )
}  # fmt: skip
