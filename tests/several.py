"""Small trainings of three domains for one process or several: `torchrun --nproc-per-node 2 several.py FOLDER`."""

import sys
from pathlib import Path

import torch

import image_captioning
import image_classification
import text_classification
from image_captioning import scenes

EXACT = {"device": "cpu", "precision": "32-true", "epochs": 2}
# Without dropout, which each process draws for itself. Batches are odd: a process has a sample more than the other, and
# the last one of 61 texts has one only. 31 digits make micro-batches of 6 + 5, 5 + 5 and 5 + 5.
SETTINGS = {
    "digits": {"batch_size": 31, "micro_batch": 12, "per_class": 20, "options": {"widths": [16, 32], "stem_kernel": 2}},
    "docstrings": {"batch_size": 15, "vector_size": 8, "min_count": 1, "word_dropout": 0.0,
                   "options": {"widths": [1, 2], "dropout": 0.0}},
    "scenes": {"batch_size": 15, "hidden": 16, "word_size": 16, "attention_size": 16, "word_dropout": 0.0,
               "dropout": 0.0, "beams": 1, "options": {"widths": [8, 16], "stem_stride": 2}},
}  # fmt: skip
PACKAGES = {"digits": image_classification, "docstrings": text_classification, "scenes": image_captioning}


def train_all(folder: Path, *, devices: int) -> None:
    """Train each recipe in `folder/<devices>/<recipe>`; texts are those of `folder/texts.tsv`."""
    torch.set_num_threads(1)
    scenes.COUNTS = {"train": 64, "val": 8, "test": 8}
    for recipe, settings in SETTINGS.items():
        data = {"data": str(folder / "texts.tsv")} if recipe == "docstrings" else {}
        PACKAGES[recipe].train(
            recipe, folder=folder / str(devices) / recipe, settings={**EXACT, **settings, **data, "devices": devices}
        )


if __name__ == "__main__":
    train_all(Path(sys.argv[1]), devices=2)
