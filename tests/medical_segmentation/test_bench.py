"""Five-fold cross-validation: every case measured once, cases pooled, nothing trained twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from made_sets import write_set

from cnn_core.errors import CnnError, ConfigError, UnknownNameError
from medical_segmentation import bench
from medical_segmentation.evaluate import Report, pool, read_report

RECIPE = """
[data]
data = "{data}"
dims = 3
[patches]
patch = [8, 8, 8]
patches = 2
[model]
options = {{ widths = [4, 8] }}
[loop]
epochs = 1
eval_every = 1
batch_size = 4
device = "cpu"
"""


def test_every_case_is_measured_once_and_no_fold_is_trained_twice(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(RECIPE.format(data=write_set(tmp_path / "set", cases=7)))
    lines: list[str] = []
    rows = bench.five_fold(tmp_path / "bench", columns=[str(own)], seeds=(3, 4), report=lines.append)
    folders = [tmp_path / "bench" / "own" / f"fold{k}-seed3" for k in range(5)]
    reports = [read_report(folder) for folder in folders]
    cases = [case for report in reports for case in report.cases]
    assert sorted(case["case"] for case in cases) == [f"case{k}" for k in range(7)]
    row = rows["own"]
    assert row["n"] == 7 and row["goal"] == "segment"
    assert row["metrics"]["dice"] == pytest.approx(np.mean([case["thing"]["dice"] for case in cases]), abs=1e-6)
    assert row["mean"] == pytest.approx(np.mean(row["values"]), abs=1e-6) and row["mean"] != row["metrics"]["dice"]
    assert row["values"] == [pytest.approx(report.metrics["dice"], abs=1e-6) for report in reports]
    assert {json.loads((f / "recipe.json").read_text())["loop"]["seed"] for f in folders} == {3}
    assert len(lines) == 5 and lines[1].startswith("own, fold 1: Dice ") and lines[1].endswith(" on 2")
    assert json.loads((tmp_path / "bench" / "table.json").read_text())["columns"] == rows
    table = (tmp_path / "bench" / "table.md").read_text()
    assert table.startswith("|  | own |") and "| HD95 in mm | " in table and "| cases | 7 |" in table
    assert "of the size alone" not in table

    before = [(folder / "card.json").stat().st_mtime_ns for folder in folders]
    (folders[4] / "card.json").unlink()
    (folders[3] / "report.json").unlink()  # killed between the two
    assert bench.five_fold(tmp_path / "bench", columns=[str(own)], seeds=(3,))["own"]["values"] == row["values"]
    assert [(f / "card.json").stat().st_mtime_ns for f in folders][:4] == before[:4]
    own.write_text(own.read_text().replace("epochs = 1", "epochs = 2"))
    with pytest.raises(ConfigError, match="epochs was 1, now 2"):
        bench.five_fold(tmp_path / "bench", columns=[str(own)], seeds=(3,))


def test_nodules_are_compared_within_their_fold() -> None:
    def part(*rows: tuple[float, int, float]) -> Report:
        cases = [{"case": "", "exam": str(r), "probability": r[0], "truth": r[1], "size": r[2]} for r in rows]
        return Report("malignancy", len(cases), {}, cases)

    pooled = pool([
        part((0.2, 0, 9.0), (0.6, 1, 5.0), (0.1, 1, 9.5)),  # pairs: 0.6 > 0.2, not 0.1; sizes: not 5, 9.5 > 9
        part((0.7, 0, 4.0), (0.9, 1, 8.0)),  # 0.9 > 0.7 and 8 > 4; 0.6 of the other fold is not compared with 0.7
    ])  # fmt: skip
    assert pooled.n == 5 and pooled.metrics["auc"] == pytest.approx(2 / 3)
    assert pooled.metrics["auc_size_alone"] == pytest.approx(2 / 3) and pooled.metrics["gain"] == 0
    assert pooled.metrics["accuracy"] == 0.6


def test_a_table_of_both_kinds_leaves_empty_what_does_not_belong() -> None:
    rows = {
        "masks": {"goal": "segment", "n": 10, "mean": 0.7, "std": 0.04,
                  "metrics": {"dice": 0.71, "dice_low": 0.65, "dice_high": 0.765, "hd95_mm": 3.04}},
        "rating": {"goal": "malignancy", "n": 9, "mean": 0.8, "std": 0.1, "metrics": {"auc": 0.8125, "gain": -0.0125}},
    }  # fmt: skip
    assert bench.format_table(rows).splitlines() == [
        "|  | masks | rating |",
        "| --- | --- | --- |",
        "| all cases together, 95 % interval | Dice 0.710 (0.650 to 0.765) | AUC 0.812 |",
        "| mean and spread of the folds | 0.700 ± 0.040 | 0.800 ± 0.100 |",
        "| HD95 in mm | 3.0 |  |",
        "| gain over the size alone |  | -0.013 |",
        "| cases | 10 | 9 |",
    ]


def test_columns_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean lidc-nodule"):
        bench.five_fold(tmp_path, columns=["lidc-nodules"])
    with pytest.raises(CnnError, match="belongs to image_classification"):
        bench.five_fold(tmp_path, columns=["digits"])
    with pytest.raises(CnnError, match="different names"):
        bench.five_fold(tmp_path, columns=["phantom", "mine/phantom.toml"])
