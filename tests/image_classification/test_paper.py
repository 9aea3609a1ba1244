"""Digits on paper that is lit unevenly: the network sees the digit, whatever the light."""

import numpy as np
import pytest
from paper import photo_of
from PIL import Image
from sklearn.datasets import load_digits

from image_classification import load
from image_classification.preprocess import InputContract

CONTRACT = InputContract(1, (28, 28), fit="digit")


@pytest.mark.parametrize(
    ("light", "ink", "paper"),
    [("vignette", 30, 225), ("shadow", 30, 225), ("vignette", 120, 225), ("shadow", 120, 225), ("vignette", 220, 60)],
)
def test_the_digit_looks_the_same_in_every_light(light: str, ink: float, paper: float) -> None:
    """The correlation with the network's view of the same digit in even light is that of the same strokes."""
    digits = load_digits().images[:12]
    for seed, digit in enumerate(digits):
        even = CONTRACT.to_uint8(photo_of(digit, "even", seed=seed, ink=ink, paper=paper)).float().flatten()
        seen = CONTRACT.to_uint8(photo_of(digit, light, seed=seed, ink=ink, paper=paper)).float().flatten()
        assert float(np.corrcoef(even, seen)[0, 1]) > 0.85, f"digit {seed}"


def test_the_shipped_network_reads_photos_in_bad_light() -> None:
    """Digits of other people, coarser than MNIST's: as many are right as in even light, less one of twelve."""
    bunch = load_digits()
    network = load("mnist", device="cpu")
    right = {}
    for light in ("even", "vignette", "shadow"):
        photos = [photo_of(digit, light, seed=seed) for seed, digit in enumerate(bunch.images[:12])]
        answers = network.predict(photos, top_k=1)
        right[light] = sum(a.labels == [str(t)] for a, t in zip(answers, bunch.target, strict=False))
    assert min(right.values()) >= right["even"] - 1 and right["even"] >= 9, right


def test_the_edge_of_a_table_is_no_part_of_the_digit() -> None:
    page = np.full((300, 400), 220, np.uint8)
    page[:, :40] = 90  # a dark table beside the paper
    page[100:200, 190:205] = 20
    noisy = page + np.random.default_rng(0).integers(-6, 7, page.shape)
    _, placement = CONTRACT.place(Image.fromarray(noisy.astype(np.uint8)))
    assert placement.box == pytest.approx((190, 100, 205, 200), abs=3)
