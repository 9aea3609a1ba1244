"""`cnn bench kim2014` and `cnn bench kim2014-glove`: the table of Kim 2014, measured again.

Protocol of the paper (doi:10.3115/v1/D14-1181, tables 1 and 2): ten-fold cross-validation for MR, Subj, CR, MPQA, the
official test sets of SST-1, SST-2 and TREC; SST is trained on phrases and measured on sentences; the best epoch of
SST is chosen on its development set, the others train for a fixed number of epochs on everything but the test part.
The network is the paper's (widths 3, 4, 5, 100 filters each, dropout 0.5). The training is ours: Adam instead of
Adadelta, see the recipes `kim-*`.

"kim2014" is the row without pretrained vectors, with 300 random numbers per word. Beyond the paper, the probabilities
of all seeds' networks are averaged where there is an official test set: what several small networks reach as an
ensemble, without outside data. "kim2014-glove" are the other three rows, with the vectors that are at hand: GloVe's 100
numbers per word (Pennington et al. 2014) instead of word2vec's 300, so its figures are to be compared among themselves.
"""

import logging
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cnn_core.errors import unknown_name
from cnn_core.train.benches import Bench, markdown, write_table
from text_classification.data import FOLDS, load_sets
from text_classification.domain import DOMAIN
from text_classification.predict import load

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Column:
    """A data set of the table."""

    title: str
    recipe: str
    folds: bool  # cross-validated; else trained once per seed
    published: float  # percent, CNN-rand in table 2


KIM2014 = {
    "mr": Column("MR", "kim-mr", True, 76.1),
    "sst1": Column("SST-1", "kim-sst1", False, 45.0),
    "sst2": Column("SST-2", "kim-sst2", False, 82.7),
    "subj": Column("Subj", "kim-subj", True, 89.6),
    "trec": Column("TREC", "kim-trec", False, 91.2),
    "cr": Column("CR", "kim-cr", True, 79.8),
    "mpqa": Column("MPQA", "kim-mpqa", True, 83.4),
}
WORD2VEC = {  # percent, table 2: static, non-static, multichannel
    "mr": (81.0, 81.5, 81.1),
    "sst1": (45.5, 48.0, 47.4),
    "sst2": (86.8, 87.2, 88.1),
    "subj": (93.0, 93.4, 93.2),
    "trec": (92.8, 93.6, 92.2),
    "cr": (84.7, 84.3, 85.0),
    "mpqa": (89.6, 89.5, 89.4),
}
VARIANTS = ("static", "non-static", "multichannel")
GLOVE: dict[str, Any] = {  # what differs from the recipes `kim-*`; rates and dropout: TREC's validation
    "tokenizer": "treebank",
    "vector_file": "glove/glove.6B.100d.30k.txt",
    "more_words": 30_000,
    "vector_dropout": 0.3,
    "learning_rate": 4e-3,
    "row_learning_rate": 3e-3,
    "epochs": 12,
}
TREEBANK = {  # of its phrases, chosen on the development set of SST-2
    "vector_dropout": 0.0,
    "learning_rate": 1e-3,
    "row_learning_rate": 1e-2,
    "epochs": 3,
}


def kim2014(
    folder: Path,
    *,
    columns: Sequence[str] = (),
    seeds: Sequence[int] = (0, 1, 2),
    report: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Train every column, write `table.json` and `table.md` into `folder`; existing trainings are not repeated.

    Args:
        folder: gets a run folder per training.
        columns: some of `KIM2014`; none: all.
        seeds: for the sets with an official test set; cross-validated ones are trained with the first.
        report: called with a line per training.

    Returns:
        Column -> published, mean, std, together (of the averaged probabilities; None for folds), n (trainings), values,
        seconds (all in percent and seconds of training).

    Raises:
        UnknownNameError: no such column.
        DataError: a data set is missing.
    """
    rows = {}
    for name in _known(columns):
        column = KIM2014[name]
        row = _measure(column, folder / name, seeds, {}, report)
        places = [folder / name / f"seed{seed}" for seed in seeds]
        averaged = together(places) if len(seeds) > 1 and not column.folds else None
        rows[name] = {"published": column.published, "together": averaged, **row}
        write_table(folder, rows, format_table(rows))
    return rows


def kim2014_glove(
    folder: Path,
    *,
    columns: Sequence[str] = (),
    seeds: Sequence[int] = (0, 1, 2),
    report: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Train every column with each of `VARIANTS`; as `kim2014`, but each value is a table: variant -> value."""
    rows: dict[str, Any] = {}
    for name in _known(columns):
        measured = {}
        for variant in VARIANTS:
            settings = {**GLOVE, **(TREEBANK if name in ("sst1", "sst2") else {}), "vectors": variant}
            measured[variant] = _measure(KIM2014[name], folder / name / variant, seeds, settings, report)
        rows[name] = {key: {variant: row[key] for variant, row in measured.items()} for key in measured["static"]}
        rows[name]["published"] = dict(zip(VARIANTS, WORD2VEC[name], strict=True))
        write_table(folder, rows, format_glove(rows))
    return rows


def _known(columns: Sequence[str]) -> Sequence[str]:
    """Return the columns, all for none; UnknownNameError: one of them does not exist."""
    for name in columns:
        if name not in KIM2014:
            raise unknown_name("column", name, KIM2014)
    return columns or list(KIM2014)


def _measure(
    column: Column, folder: Path, seeds: Sequence[int], settings: Mapping[str, Any], report: Callable[[str], None]
) -> dict[str, Any]:
    """Train once per seed, or fold, in folders of their own; return mean, std, n, values and seconds."""
    trainings = [{"seed": seed} for seed in seeds]
    if column.folds:
        trainings = [{"fold": fold, "seed": seeds[0]} for fold in range(FOLDS)]
    values, seconds = [], 0.0
    for training in trainings:
        place = folder / "-".join(f"{key}{value}" for key, value in training.items())
        card = DOMAIN.train_once(column.recipe, place, {**settings, **training})
        values.append(100 * card.metrics["accuracy"]["mean"])
        seconds += card.seconds
        report(f"{column.title} {settings.get('vectors', '')} {training}: {values[-1]:.2f}")
    return {
        "mean": round(statistics.fmean(values), 2),
        "std": round(statistics.stdev(values), 2) if len(values) > 1 else None,
        "n": len(values),
        "values": [round(value, 2) for value in values],
        "seconds": round(seconds, 1),
    }


def together(folders: Sequence[Path]) -> float:
    """Return the accuracy in percent of the averaged probabilities of networks that were trained on the same set."""
    networks = [load(folder, device="cpu") for folder in folders]
    texts = load_sets(networks[0].card.section("data")["data"], splits=("test",))["test"]
    probabilities = sum((network.scores(texts.texts).softmax(1) for network in networks), torch.zeros(()))
    return round(100 * float((probabilities.argmax(1) == texts.targets).float().mean()), 2)


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of `kim2014` as Markdown."""
    averaged = [f"{row['together']:.1f}" if row["together"] else "" for row in rows.values()]
    lines = [
        ["Kim 2014, CNN-rand", *(f"{row['published']:.1f}" for row in rows.values())],
        ["here, same network, random vectors", *(_spread(row["mean"], row["std"]) for row in rows.values())],
        ["here, those networks together", *averaged],
    ]
    return _table(rows, lines, [row["n"] for row in rows.values()])


def format_glove(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of `kim2014-glove` as Markdown."""
    lines = []
    for variant in VARIANTS:
        published = [f"{row['published'][variant]:.1f}" for row in rows.values()]
        ours = [_spread(row["mean"][variant], row["std"][variant]) for row in rows.values()]
        lines += [[f"Kim 2014, CNN-{variant}, word2vec 300", *published], [f"here, {variant}, GloVe 100", *ours]]
    return _table(rows, lines, [row["n"]["static"] for row in rows.values()])


def _spread(mean: float, std: float | None) -> str:
    return f"{mean:.1f}" + (f" ± {std:.1f}" if std is not None else "")


def _table(names: Iterable[str], lines: Sequence[Sequence[str]], counts: Sequence[int]) -> str:
    columns = [KIM2014[name] for name in names]
    trainings = [f"{n} {'folds' if column.folds else 'seeds'}" for n, column in zip(counts, columns, strict=True)]
    head = [["", *(column.title for column in columns)], ["---"] * (len(columns) + 1)]
    return markdown([*head, *lines, ["trainings", *trainings]])


BENCHES = {
    "kim2014": Bench("Kim 2014, CNN-rand on seven sets of sentences", tuple(KIM2014), kim2014, format_table),
    "kim2014-glove": Bench(
        "Kim 2014, three ways of using pretrained vectors, with GloVe", tuple(KIM2014), kim2014_glove, format_glove
    ),
}
