"""What the command line and other programs call: train a recipe, evaluate, predict and explain by name."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_core.train.recipes import RecipeTraining
from torch import Tensor, nn

from cnn_core.errors import CnnError
from cnn_core.train.commands import compare_command
from cnn_core.train.config import override
from cnn_core.weights import find_weights, load_card
from cnn_core.weights.reports import write_report
from text_classification.data import DATA_SETS, load_sets
from text_classification.evaluate import evaluate
from text_classification.model import TextNet
from text_classification.predict import load
from text_classification.task import Recipe, TextModelConfig, TextTask
from text_classification.weights_io import DOMAIN, arguments_of, contract_of, load_text_model

EXPORTED_LENGTH = 64  # tokens
RECIPE = Recipe
make_task = TextTask


def _report(folder: Path) -> None:
    """Measure the test set of a finished run and write the report beside the weights."""
    predictor = load(folder, device="cpu")
    data = predictor.card.recipe["data"]
    chosen = {key: data[key] for key in ("fold", "phrases", "text_column", "label_column") if key in data}
    learned = "train" if data["validation"] else "train+val"
    sets = load_sets(data["data"], splits=("test", learned), **chosen)
    write_report(evaluate(predictor, sets["test"], training=sets[learned]), folder)


TRAINING = RecipeTraining(DOMAIN, Recipe, make_task, finish=_report)
train = TRAINING.train


def evaluate_weights(
    name: str, *, data: str | None = None, split: str = "test", device: str = "auto"
) -> dict[str, Any]:
    """Measure weights on a data set: `{"data", "split", "n", "metrics"}`.

    Args:
        name: shipped weights or a run folder.
        data: a set name or a table; None: the set the weights were trained on.
        split: "test", "val" or "train".
        device: auto, cpu, cuda, mps.
    """
    predictor = load(name, device=device)
    settings = predictor.card.recipe["data"]
    own = predictor.card.learned_from(data, DATA_SETS)
    predictor.card.check_unseen(split, own=own)
    chosen = {key: settings[key] for key in ("fold", "text_column", "label_column") if own and key in settings}
    data = data or settings["data"]
    texts = load_sets(data, splits=(split,), **chosen)[split]
    if tuple(predictor.card.labels) != texts.labels:
        raise CnnError(
            f"{name} knows the classes {', '.join(predictor.card.labels)}, but {data} has "
            f"{', '.join(texts.labels)}; choose data with the same classes"
        )
    report = evaluate(predictor, texts)
    return {"data": data, "split": split, "n": report.n, "metrics": report.metrics}


def predict_items(name: str, inputs: Sequence[str], *, device: str = "auto") -> Iterator[dict[str, Any]]:
    """Answer for texts, and for files of texts; one item per text, an item that failed carries "error"."""
    return (prediction.to_json() for prediction in load(name, device=device).predict_inputs(inputs))


def explain_to_file(name: str, source: str, output: Path, *, method: str = "ngrams", device: str = "auto") -> str:
    """Write the coloured text as HTML, PNG or JSON; return one sentence that says what it shows."""
    return load(name, device=device).explain(source, method=method).save(output)


def exportable(name: str) -> dict[str, Any]:
    """Return what `cnn_core.export.export_onnx` needs: numbers of tokens [B, L] in, class scores out.

    L is the length that the network takes; where it takes any, `EXPORTED_LENGTH`, to which texts are padded with 0.
    """
    model, card = load_text_model(name)
    contract = contract_of(card)
    return {
        "model": _Plain(model),
        "card": card,
        "example_shape": (contract.length or EXPORTED_LENGTH,),
        "vocabulary_size": contract.rows,
    }


class _Plain(nn.Module):
    """A `TextNet` by its plain way, vectors then backbone: the quick one gathers a batch's words, which no file can."""

    def __init__(self, network: TextNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor) -> Tensor:
        return self.network.backbone(self.network.embed(ids))


def compare(
    weights: str, data: str, *, folder: Path, settings: Mapping[str, Any] | None = None
) -> list[dict[str, float | str]]:
    """Train on the same texts from `weights` and from nothing, with the same settings.

    Both ways take the weights' network, tokenizer, length and size of vectors.

    Args:
        weights: shipped weights or a run folder.
        data: a set name or a table.
        folder: gets one run folder per way.
        settings: fields of the recipe, the same for both.

    Returns:
        One row per way: mode, test accuracy, n, seconds of training.
    """
    card = load_card(find_weights(weights, domain=DOMAIN))
    network, contract = arguments_of(card), contract_of(card)
    same = {
        "data": data,
        "tokenizer": contract.tokenizer,
        "length": contract.length,
        "vector_size": network["size"],
        "vectors": "one-hot" if network["vectors"] == "one-hot" else "rand",  # from nothing: without a file of vectors
    }
    command = compare_command(weights, data, settings or {})
    rows = []
    for mode in ("fine-tune", "scratch"):
        model = TextModelConfig(card.model, network["options"], weights=weights if mode == "fine-tune" else None)
        recipe = override(Recipe(model=model), {**same, **(settings or {})})
        outcome = train(recipe, folder=folder / mode, name=mode, command=command)
        accuracy = outcome.card.metrics["accuracy"]
        rows.append(
            {"mode": mode, "accuracy": accuracy["mean"], "n": accuracy["n"], "seconds": round(outcome.card.seconds, 1)}
        )
    return rows
