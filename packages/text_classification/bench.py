"""`cnn bench kim2014`: the table of Kim 2014 without pretrained vectors, measured again.

Protocol of the paper (doi:10.3115/v1/D14-1181, tables 1 and 2): ten-fold cross-validation for MR, Subj, CR, MPQA, the
official test sets of SST-1, SST-2 and TREC; SST is trained on phrases and measured on sentences; the best epoch of
SST is chosen on its development set, the others train for a fixed number of epochs on everything but the test part.
The network is the paper's (widths 3, 4, 5, 100 filters each, 300 numbers per word, dropout 0.5), word vectors start
at random. The training is ours: Adam instead of Adadelta, see the recipes `kim-*`.

Beyond the paper, the probabilities of all seeds' networks are averaged where there is an official test set: what
several small networks reach as an ensemble, without outside data.
"""

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
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
    for name in columns:
        if name not in KIM2014:
            raise unknown_name("column", name, KIM2014)
    rows = {}
    for name in columns or KIM2014:
        column = KIM2014[name]
        trainings = [{"seed": seed} for seed in seeds]
        if column.folds:
            trainings = [{"fold": fold, "seed": seeds[0]} for fold in range(FOLDS)]
        values, seconds = [], 0.0
        for settings in trainings:
            place = folder / name / "-".join(f"{key}{value}" for key, value in settings.items())
            card = DOMAIN.train_once(column.recipe, place, settings)
            values.append(100 * card.metrics["accuracy"]["mean"])
            seconds += card.seconds
            report(f"{column.title} {settings}: {values[-1]:.2f}")
        places = [folder / name / f"seed{seed}" for seed in seeds]
        rows[name] = {
            "published": column.published,
            "mean": round(statistics.fmean(values), 2),
            "std": round(statistics.stdev(values), 2) if len(values) > 1 else None,
            "together": together(places) if len(seeds) > 1 and not column.folds else None,
            "n": len(values),
            "values": [round(value, 2) for value in values],
            "seconds": round(seconds, 1),
        }
        write_table(folder, rows, format_table(rows))
    return rows


def together(folders: Sequence[Path]) -> float:
    """Return the accuracy in percent of the averaged probabilities of networks that were trained on the same set."""
    networks = [load(folder, device="cpu") for folder in folders]
    texts = load_sets(networks[0].card.section("data")["data"], splits=("test",))["test"]
    probabilities = sum((network.scores(texts.texts).softmax(1) for network in networks), torch.zeros(()))
    return round(100 * float((probabilities.argmax(1) == texts.targets).float().mean()), 2)


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table as Markdown."""
    titles = [KIM2014[name].title for name in rows]
    spreads = [
        f"{row['mean']:.1f}" + (f" ± {row['std']:.1f}" if row["std"] is not None else "") for row in rows.values()
    ]
    averaged = [f"{row['together']:.1f}" if row["together"] else "" for row in rows.values()]
    lines = [
        ["", *titles],
        ["---"] * (len(titles) + 1),
        ["Kim 2014, CNN-rand", *(f"{row['published']:.1f}" for row in rows.values())],
        ["here, same network, random vectors", *spreads],
        ["here, those networks together", *averaged],
        ["trainings", *(f"{row['n']} {'folds' if KIM2014[n].folds else 'seeds'}" for n, row in rows.items())],
    ]
    return markdown(lines)


BENCHES = {"kim2014": Bench("Kim 2014, CNN-rand on seven sets of sentences", tuple(KIM2014), kim2014, format_table)}
