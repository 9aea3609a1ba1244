"""A network as one file to take away."""

import io
import json
import zipfile
from pathlib import Path

from cnn_core.errors import DataError
from cnn_core.weights.reports import REPORT_FILE

PACKED = ("card.json", "model*.safetensors", "recipe.json", "report.json", "log.csv")
FIGURES = (
    "goal",
    "n",
    "metrics",
    "labels",
    "confusion",
    "calibration",
    "tolerance_mm",
    "figures",
    "counts",
    "different",
    "known",
)  # of all domains; all else quotes the data


def pack_network(folder: Path, name: str, *, examples: bool = False) -> bytes:
    """Return what is needed to predict, explain and export, as a zip with one folder; links are not followed.

    Args:
        folder: of the run.
        name: of the zip's folder.
        examples: keep what the report quotes of the data, see `without_examples`.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (file for pattern in PACKED for file in sorted(folder.glob(pattern))):
            if not file.is_file() or file.is_symlink():
                continue
            if file.name == REPORT_FILE and not examples:
                archive.writestr(f"{name}/{file.name}", without_examples(file.read_text("utf-8")))
            else:
                archive.write(file, f"{name}/{file.name}")
    return buffer.getvalue()


def without_examples(report: str) -> str:
    """Return the text of a report without what it quotes of the data: those values become null.

    Raises:
        DataError: it cannot be read.
    """
    try:
        values = json.loads(report)
        kept = {name: value if name in FIGURES else None for name, value in values.items()}
    except (ValueError, RecursionError, AttributeError) as error:
        raise DataError(f"{REPORT_FILE} cannot be read ({error}); evaluate the weights again, or delete it") from error
    return json.dumps(kept, ensure_ascii=False) + "\n"
