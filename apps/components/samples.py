"""Sample pictures of the pages (made by assets/make_samples.py), by the kind of network they suit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnn_core.errors import unknown_name

FOLDER = Path(__file__).parent.parent / "assets" / "samples"

MNIST = "MNIST test set (LeCun, Cortes, Burges)"
FASHION = "Fashion-MNIST test set (Zalando, MIT licence)"
DRAWN = "drawn by this repository"
DAHLIA = "photo by vultilion, CC BY 2.0, cropped"
MANY = 100  # classes, from which on a network is for photographs of things of all kinds
PALACE = "photo by danielbuechele, CC BY 2.0, cropped"


@dataclass(frozen=True)
class Sample:
    """A picture to try; `title` says what it shows."""

    id: str
    file: str
    title: str
    kind: str  # "digits", "clothes", "photos"; "telling": for captions and networks of many kinds
    source: str

    @property
    def path(self) -> Path:
        return FOLDER / self.file


SAMPLES = (
    Sample("seven", "mnist-0.png", "a seven", "digits", MNIST),
    Sample("zero", "mnist-3.png", "a zero", "digits", MNIST),
    Sample("four", "mnist-4.png", "a four", "digits", MNIST),
    Sample("three", "mnist-32.png", "a three", "digits", MNIST),
    Sample("eight", "mnist-61.png", "an eight", "digits", MNIST),
    Sample("broken-five", "mnist-8.png", "a broken five", "digits", MNIST),
    Sample("hasty-four", "mnist-247.png", "a hasty four", "digits", MNIST),
    Sample("curled-two", "mnist-321.png", "a curled two", "digits", MNIST),
    Sample("boot", "fashion-mnist-0.png", "an ankle boot", "clothes", FASHION),
    Sample("pullover", "fashion-mnist-1.png", "a pullover", "clothes", FASHION),
    Sample("trousers", "fashion-mnist-2.png", "trousers", "clothes", FASHION),
    Sample("sneaker", "fashion-mnist-9.png", "a sneaker", "clothes", FASHION),
    Sample("sandal", "fashion-mnist-11.png", "a sandal", "clothes", FASHION),
    Sample("dress", "fashion-mnist-13.png", "a dress", "clothes", FASHION),
    Sample("bag", "fashion-mnist-18.png", "a bag", "clothes", FASHION),
    Sample("t-shirt", "fashion-mnist-19.png", "a T-shirt", "clothes", FASHION),
    Sample("ship", "drawn-ship.png", "a ship", "photos", DRAWN),
    Sample("airplane", "drawn-airplane.png", "an airplane", "photos", DRAWN),
    Sample("car", "drawn-automobile.png", "a car", "photos", DRAWN),
    Sample("truck", "drawn-truck.png", "a truck", "photos", DRAWN),
    Sample("dahlia", "photo-flower.jpg", "a dahlia", "photos", DAHLIA),
    Sample("palace", "photo-china.jpg", "a palace by a lake", "photos", PALACE),
    Sample("cat", "photo-chelsea.jpg", "a cat", "photos", "photo by Stéfan van der Walt, CC0, cropped"),
    Sample("astronaut", "photo-astronaut.jpg", "an astronaut", "telling", "photo by NASA, public domain"),
    Sample("coffee", "photo-coffee.jpg", "a cup of coffee", "telling", "photo by Rachel Michetti, CC0, cropped"),
)


def kind_of(labels: Sequence[str], *, channels: int) -> str:
    """Return which samples suit a network with these classes."""
    if set(labels) <= set("0123456789"):
        return "digits"
    if channels != 3:
        return "clothes"
    return "things" if len(labels) > MANY else "photos"


def samples(kind: str) -> list[Sample]:
    """Return the samples of a kind, plain ones first; "things": of all real photographs."""
    if kind == "things":
        return sorted((s for s in SAMPLES if s.kind in ("photos", "telling") and s.source != DRAWN), key=_firmly)
    return [sample for sample in SAMPLES if sample.kind == kind]


def _firmly(sample: Sample) -> int:
    """Return the place among the photographs: what networks of many kinds name most firmly comes first."""
    return ("cat", "coffee", "dahlia", "palace").index(sample.id) if sample.id != "astronaut" else 4


def find_sample(name: str) -> Sample:
    """Return a sample by id, or raise UnknownNameError with the nearest ids."""
    for sample in SAMPLES:
        if sample.id == name:
            return sample
    raise unknown_name("sample", name, [sample.id for sample in SAMPLES])
