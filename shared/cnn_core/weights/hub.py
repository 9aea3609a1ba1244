"""A folder for a hub of models: the weights, their card, and a README.md whose head such hubs read.

The head is YAML as the Hugging Face Hub documents it for model cards: licence, tags, data set and a `model-index` with
the figures. The folder stays weights of ours: `cnn predict FOLDER` answers with it.
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from cnn_core.errors import WeightsError, missing_package
from cnn_core.storage import write_text
from cnn_core.weights.card import WeightsCard
from cnn_core.weights.find import CARD_FILE, load_card
from cnn_core.weights.reports import REPORT_FILE

TASKS = {  # domain -> the hub's name of what it does
    "image_classification": "image-classification", "text_classification": "text-classification",
    "medical_segmentation": "image-segmentation", "image_captioning": "image-to-text",
    "audio_classification": "audio-classification", "object_detection": "object-detection",
}  # fmt: skip


def write_hub_folder(place: Path, folder: Path) -> str:
    """Copy the weights in `place` to a new or empty folder and write its README.md; return a sentence.

    Raises:
        WeightsError: the folder holds something, or the weights come with a package and have no file of their own.
        StorageError: it cannot be written.
    """
    card = load_card(place)
    if card.package:
        raise WeightsError(f"{card.name}: its weights belong to the package {card.package}, which publishes them")
    if folder.exists() and any(folder.iterdir()):
        raise WeightsError(f"{folder}: expected a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    files = [*sorted(place.glob("model*.safetensors")), place / CARD_FILE, place / REPORT_FILE]
    kept = [file for file in files if file.is_file()]
    for file in kept:
        shutil.copyfile(file, folder / file.name)
    write_text(folder / "README.md", model_card(card))
    return f"{folder}: {', '.join(file.name for file in kept)} and README.md, ready to upload"


def model_card(card: WeightsCard) -> str:
    """Return the README.md of weights: a head in YAML, and the same facts to read.

    Raises:
        CnnError: PyYAML is not installed.
    """
    if importlib.util.find_spec("yaml") is None:
        raise missing_package("pyyaml")
    import yaml

    description = str(card.recipe.get("description") or f"weights of {card.model}")
    figures = (
        f"| {name}, {m['split']} | {_figure(m)} | {m['n']:,} | {len(m['seeds'])} |" for name, m in card.metrics.items()
    )
    data = str(card.section("data").get("data", "")) or "unknown"
    head = yaml.safe_dump(_head(card, data), sort_keys=False, allow_unicode=True).rstrip()
    return "\n".join([
        "---", head, "---", "", f"# {card.name}", "",
        f"{description[0].upper()}{description[1:]}.", "",
        "| figure | value | n | seeds |", "| --- | ---: | ---: | ---: |", *figures,
        "", "## Use", "", "```bash", f"cnn predict ./{card.name} INPUT", "```", "", "## What it is", "",
        f"- Network: {card.model}, {card.parameters:,} parameters, {card.bytes / 1e6:.1f} MB as {card.dtype}.",
        f"- Trained with `{card.command}` in {card.seconds:,.0f} s on {card.machine}, {card.created}.",
        f"- Data: {data}.", f"- Licence: {card.licence}.",
        *([f"- Classes: {', '.join(card.labels)}."] if 0 < len(card.labels) <= 100 else []),
        "", "## Limits", "", *(f"- {text}" for text in card.limits or ["None are stated."]), "",
    ])  # fmt: skip


def _figure(metric: Any) -> str:
    return f"{metric['mean']:.4f}" + ("" if metric["std"] is None else f" ± {metric['std']:.4f}")


def _head(card: WeightsCard, data: str) -> dict[str, Any]:
    task = TASKS.get(card.domain)
    plain = card.licence.split(" ")[0].strip(";,.").lower()
    licence = {"license": plain} if plain == card.licence.lower() else {
        "license": "other", "license_name": card.licence,
    }  # fmt: skip
    results = [
        {"type": name, "value": round(m["mean"], 6), "name": f"{name} ({m['split']})"}
        for name, m in card.metrics.items()
    ]
    return {
        **licence, "library_name": "cnn-showcase", **({"pipeline_tag": task} if task else {}),
        "tags": ["cnn", card.model, card.domain.replace("_", "-")], "datasets": [data],
        "model-index": [{"name": card.name, "results": [
            {"task": {"type": task or card.domain}, "dataset": {"type": data, "name": data}, "metrics": results},
        ]}] if results else [],
    }  # fmt: skip
