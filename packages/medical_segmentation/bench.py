"""`cnn bench five-fold`: every case measured once, by a network that was not trained on it.

A small test set says little (20 nodules: a half-width of 0.07 in Dice), so each recipe is trained five times, each time
without another fifth of all cases, and the predictions for those fifths are pooled. Nodules are compared within their
fold only, since five networks rank on five scales. Intervals are a bootstrap over cases, or over exams for nodules. A
column is a recipe: its name, or a custom TOML file.
"""

import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_core.errors import CnnError
from cnn_core.train.benches import Bench, markdown, write_table
from medical_segmentation.cases import FOLDS
from medical_segmentation.domain import DOMAIN
from medical_segmentation.evaluate import Report, pool, read_report

log = logging.getLogger(__name__)

COLUMNS = ("lidc-nodule", "nodule-malignancy-3d")
MAIN = {"segment": ("dice", "Dice"), "malignancy": ("auc", "AUC")}
FURTHER = {  # metric -> (row of the table, digits)
    "hd95_mm": ("HD95 in mm", 1),
    "surface_dice": ("surface Dice at 1 mm", 3),
    "auc_size_alone": ("AUC of the size alone", 3),
    "gain": ("gain over the size alone", 3),
    "calibration_error": ("calibration error", 3),
}


def five_fold(
    folder: Path,
    *,
    columns: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    report: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Train every fold, write `table.json` and `table.md` into `folder`; existing trainings are not repeated.

    Args:
        folder: gets a run folder per fold.
        columns: recipes; none: `COLUMNS`.
        seeds: the first one is the seed of every fold.
        report: called with a line per fold.

    Returns:
        Column -> goal, n (cases), metrics (of all cases together, with `_low` and `_high` of 95 % intervals), counts
        (of metrics with an n of their own), values (of each fold), mean and std (over the folds), seconds of training.

    Raises:
        UnknownNameError: no such recipe.
        CnnError: two columns have the same name.
        ConfigError: the folder holds a training of a recipe with other settings.
        DataError: a data set is missing.
    """
    recipes = {Path(column).stem: column for column in columns or COLUMNS}
    if len(recipes) < len(columns):
        raise CnnError(f"expected recipes with different names, got {', '.join(columns)}")
    rows = {}
    for name, recipe in recipes.items():
        reports, seconds = [], 0.0
        for fold in range(FOLDS):
            place = folder / name / f"fold{fold}-seed{seeds[0]}"
            seconds += DOMAIN.train_once(recipe, place, {"fold": fold, "seed": seeds[0]}).seconds
            reports.append(read_report(place) or Report.from_json(DOMAIN.write_report(place).to_json()))
            metric, title = MAIN[reports[-1].goal]
            report(f"{name}, fold {fold}: {title} {reports[-1].metrics[metric]:.3f} on {reports[-1].n}")
        pooled, values = pool(reports), [round(fold_report.metrics[metric], 6) for fold_report in reports]
        rows[name] = {
            "goal": pooled.goal,
            "n": pooled.n,
            "metrics": {key: round(value, 6) for key, value in pooled.metrics.items()},
            "counts": pooled.counts,
            "values": values,
            "mean": round(statistics.fmean(values), 6),
            "std": round(statistics.stdev(values), 6),
            "seconds": round(seconds, 1),
        }
        write_table(folder, rows, format_table(rows))
    return rows


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table as Markdown."""
    lines = [["", *rows], ["---"] * (len(rows) + 1)]
    lines.append(["all cases together, 95 % interval", *(_main(row) for row in rows.values())])
    lines.append(["mean and spread of the folds", *(f"{r['mean']:.3f} ± {r['std']:.3f}" for r in rows.values())])
    for metric, (title, digits) in FURTHER.items():
        if any(metric in row["metrics"] for row in rows.values()):
            lines.append(
                [title, *(_cell(row["metrics"], metric, digits) + _own_n(row, metric) for row in rows.values())]
            )
    lines.append(["cases", *(str(row["n"]) for row in rows.values())])
    return markdown(lines)


def _main(row: Mapping[str, Any]) -> str:
    metric, title = MAIN[row["goal"]]
    return f"{title} {_cell(row['metrics'], metric, 3)}"


def _own_n(row: Mapping[str, Any], metric: str) -> str:
    """Return the number of cases of a metric that not all have, such as a distance where something was missed."""
    count = row.get("counts", {}).get(metric)
    return "" if count is None else f", n {count}"


def _cell(metrics: Mapping[str, float], name: str, digits: int) -> str:
    if name not in metrics:
        return ""
    text = f"{metrics[name]:.{digits}f}"
    if f"{name}_low" not in metrics:
        return text
    return f"{text} ({metrics[f'{name}_low']:.{digits}f} to {metrics[f'{name}_high']:.{digits}f})"


BENCHES = {"five-fold": Bench("five-fold cross-validation of medical recipes", COLUMNS, five_fold, format_table)}
