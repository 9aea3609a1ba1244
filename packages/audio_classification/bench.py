"""`cnn bench fsdd-speakers`: spoken digits by a speaker whom the network has never heard, each of the six once.

The official test has the same speakers as the training; here a fold is a speaker. A column is a recipe, its name or a
TOML file, trained six times, each time without another speaker; nothing is chosen on that speaker.
"""

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_classification.data import DATA_SETS, load_sets
from audio_classification.domain import DOMAIN
from cnn_core.train.benches import Bench, markdown, write_table

log = logging.getLogger(__name__)

COLUMNS = ("fsdd-speakers",)


def speakers(
    folder: Path,
    *,
    columns: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    report: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Train every fold, write `table.json` and `table.md` into `folder`; existing trainings are not repeated.

    Args:
        folder: gets a run folder per speaker.
        columns: recipes; none: `COLUMNS`.
        seeds: of the trainings; the figure of a speaker is their mean.
        report: called with a line per training.

    Returns:
        Column -> speakers (name -> accuracy), mean and std over them, n (recordings), seconds of training.

    Raises:
        UnknownNameError: no such recipe.
        DataError: the data set is missing.
    """
    rows: dict[str, Any] = {}
    for recipe in columns or COLUMNS:
        values, counted, seconds = dict[str, float](), 0, 0.0
        for fold in range(DATA_SETS["fsdd"].folds):
            tested = load_sets("fsdd", splits=("test",), fold=fold)["test"]
            name, figures = tested.groups[0], []
            for seed in seeds:
                place = folder / Path(recipe).stem / f"{name}-seed{seed}"
                card = DOMAIN.train_once(recipe, place, {"fold": fold, "seed": seed})
                figures.append(card.metrics["accuracy"]["mean"])
                seconds += card.seconds
                report(f"{Path(recipe).stem}, without {name}: {figures[-1]:.3f} on {len(tested)}")
            values[name] = round(statistics.fmean(figures), 6)
            counted += len(tested)
        rows[Path(recipe).stem] = {
            "speakers": values,
            "mean": round(statistics.fmean(values.values()), 6),
            "std": round(statistics.stdev(values.values()), 6),
            "n": counted,
            "seeds": list(seeds),
            "seconds": round(seconds, 1),
        }
        write_table(folder, rows, format_table(rows))
    return rows


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table as Markdown."""
    names = next(iter(rows.values()))["speakers"]
    lines = [["without", *rows], ["---"] * (len(rows) + 1)]
    lines += [[name, *(f"{row['speakers'][name]:.3f}" for row in rows.values())] for name in names]
    lines.append(["mean and spread of the speakers", *(f"{r['mean']:.3f} ± {r['std']:.3f}" for r in rows.values())])
    lines.append(["recordings", *(f"{row['n']:,}" for row in rows.values())])
    return markdown(lines)


BENCHES = {"fsdd-speakers": Bench("spoken digits, each speaker left out once", COLUMNS, speakers, format_table)}
