"""Classify a picture and show where the network looked: `python examples/classify_and_explain.py [PICTURE]`."""

import sys
from pathlib import Path

import image_classification

SAMPLE = Path(__file__).parents[1] / "apps" / "assets" / "samples" / "mnist-32.png"


def main(picture: str = str(SAMPLE), output: str = "why.png") -> list[str]:
    predictor = image_classification.load("mnist")
    (found,) = predictor.predict(picture, top_k=3)
    print(found)
    print(predictor.explain(picture, method="grad-cam").save(output))
    return found.labels


if __name__ == "__main__":
    main(*sys.argv[1:])
