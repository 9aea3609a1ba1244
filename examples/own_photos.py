"""Your own classes in ten lines: `python examples/own_photos.py FOLDER`, one folder of pictures per class."""

import sys
from pathlib import Path

import image_classification


def main(folder: str, run: str = "runs/own-photos", epochs: int = 15) -> float:
    recipe = Path(image_classification.__file__).parent / "recipes" / "my-pictures.toml"
    settings = {"data": folder, "weights": "digits", "epochs": epochs}  # or "cifar10", "imagenet": what it starts from
    outcome = image_classification.train(recipe, folder=run, settings=settings, name="own-photos")
    print("\n".join(outcome.report.lines))
    print(image_classification.load(run).predict(next(Path(folder).rglob("*.png")), top_k=2)[0])
    return outcome.report.metrics["accuracy"]


if __name__ == "__main__":
    main(*sys.argv[1:2])
