"""The curves of a run, as its files hold them while it learns and afterwards."""

import math
from typing import Any

from cnn_core.train.runs import PROGRESS, RunInfo, read_json, read_rows, whole

Points = tuple[tuple[float, float], ...]  # (epochs, value)


def curves_of(run: RunInfo) -> dict[str, Points]:
    """Return name -> points: "loss", and every validation metric by its own name.

    The loss of a run of few epochs is the mean of each epoch so far, as its process writes it while it learns; of
    others there is one point per epoch, and one for now while it learns; one that waits begins its epoch anew.
    """
    rows = read_rows(run.folder / "log.csv")
    curves = {
        name.removeprefix("val_"): tuple((row["epoch"], row[name]) for row in rows if name in row)
        for name in dict.fromkeys(key for row in rows for key in row)
        if name == "loss" or name.startswith("val_")
    }
    progress = read_json(run.folder / PROGRESS)
    points = _points(progress.get("points"))
    if points and points[0][0] < 1 and whole(progress, "epochs") <= 8:
        curves = {**curves, "loss": points}
    elif points and run.state in ("running", "stopping") and points[-1][0] > (rows[-1]["epoch"] if rows else 0):
        curves = {**curves, "loss": (*curves.get("loss", ()), points[-1])}
    return {"loss": curves.pop("loss", ()), **curves}


def _points(value: Any) -> Points:
    if not isinstance(value, list):
        return ()
    good = [p for p in value if isinstance(p, list) and len(p) == 2 and all(isinstance(n, int | float) for n in p)]
    return tuple((float(x), float(y)) for x, y in good if math.isfinite(x) and math.isfinite(y))
