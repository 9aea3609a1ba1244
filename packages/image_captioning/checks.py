"""What is doubted of a caption: words for things that the encoder does not see, and photos unlike those learned from.

A decoder writes what usually stands in captions; the encoder was trained to tell 1,000 kinds of things apart. A word
for one of these is doubted where the encoder gives all the kinds that it may mean next to no probability. In captions
of Flickr8k's 1,000 validation photos, 28 % of 76 words for things that no reference names were doubted, and 1 % of 316
right ones. Things that the encoder misses where they are (benches, cameras, sheep) are left out.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from cnn_core.confidence import as_references, as_units, nearest_reference, rooted
from cnn_core.models import imagenet
from image_captioning.model import Captioner

DOUBTED = 0.02  # probability of all kinds together, below which a word is doubted

REFERENCES = 1000  # training photos that a photo is compared with
FAMILIAR = 0.98  # share of the validation photos that pass for familiar

# Word -> the classes of ImageNet that it may mean, first to last, by their numbers.
_DOG, _BIKE, _MOTORCYCLE = ((151, 275),), ((444, 444), (671, 671), (870, 870), (880, 880)), ((665, 665), (670, 671))
_CAR = ((407, 408), (436, 436), (468, 468), (479, 479), (511, 511), (555, 555), (569, 569), (575, 575), (581, 581),
        (609, 609), (627, 627), (654, 656), (661, 661), (675, 675), (717, 717), (734, 734), (751, 751), (779, 779),
        (817, 817), (864, 864), (867, 867))  # fmt: skip
_BOAT = ((403, 403), (472, 472), (484, 484), (510, 510), (554, 554), (576, 576), (625, 625), (628, 628), (693, 694),
         (724, 724), (780, 780), (814, 814), (833, 833), (871, 871), (914, 914), (536, 536))  # fmt: skip
_BIRD = ((7, 24), (80, 100), (127, 146))
_TRAIN = ((466, 466), (547, 547), (565, 565), (705, 705), (820, 820), (829, 829))
THINGS = {
    "dog": _DOG, "dogs": _DOG, "puppy": _DOG, "greyhound": _DOG, "greyhounds": _DOG, "poodle": _DOG,
    "horse": ((339, 340), (603, 603)), "horses": ((339, 340), (603, 603)),
    "bird": _BIRD, "birds": _BIRD, "duck": ((97, 100), *_BIRD), "elephant": ((101, 101), (385, 386)),
    "goat": ((348, 350),), "cow": ((345, 347),), "bull": ((345, 347),),
    "bike": (*_BIKE, *_MOTORCYCLE), "bicycle": _BIKE, "bikes": (*_BIKE, *_MOTORCYCLE), "bicycles": _BIKE,
    "motorcycle": (*_MOTORCYCLE, (518, 518)), "motorbike": (*_MOTORCYCLE, (518, 518)),
    "car": _CAR, "cars": _CAR, "truck": _CAR, "bus": _CAR, "train": _TRAIN,
    "boat": _BOAT, "canoe": _BOAT, "kayak": _BOAT, "guitar": ((402, 402), (546, 546), (420, 420)),
    "snowboard": ((795, 796), (970, 970)), "skis": ((795, 796), (970, 970)), "skier": ((795, 796), (970, 970)),
    "umbrella": ((879, 879),), "tent": ((672, 672),),
    "basketball": ((430, 430), (890, 890)), "baseball": ((429, 429), (981, 981)),
    "airplane": ((404, 405), (726, 726), (895, 895)),
}  # fmt: skip


class ClassCheck:
    """What the encoder of a captioner would say as a classifier of ImageNet's 1,000 classes."""

    @cached_property
    def last_layer(self) -> tuple[Tensor, Tensor]:
        """Weight [1000, C] and bias [1000]."""
        state = imagenet.imagenet_state()
        return state["head.classifier.weight"], state["head.classifier.bias"]

    def probabilities(self, features: Tensor) -> Tensor:
        """Return the class probabilities of maps as cells in a row: `[B, P, C] -> float32 [B, 1000]` on the CPU."""
        weight, bias = self.last_layer
        return torch.addmm(bias, features.float().mean(1).cpu(), weight.T).softmax(1)

    def doubted(self, probabilities: Tensor, words: Sequence[str]) -> list[str]:
        """Return the words of a caption that the probabilities [1000] speak against, each once."""
        return [word for word in dict.fromkeys(words) if word in THINGS and belief(probabilities, word) < DOUBTED]


def belief(probabilities: Tensor, word: str) -> float:
    """Return the probability [1000] of all classes that a word of `THINGS` may mean."""
    classes = {number for first, last in THINGS[word] for number in range(first, last + 1)}
    return float(probabilities[sorted(classes)].sum())


def class_check(captioner: Captioner, *, model: str, encoder_weights: str | None) -> ClassCheck | None:
    """Return the check of a captioner; None where its encoder is another one, or the package of weights is missing."""
    suits = encoder_weights == "imagenet" and model == "efficientnet_lite0" and captioner.encoder is not None
    return ClassCheck() if suits and imagenet.is_installed() else None


def references_of(features: Tensor) -> Tensor:
    """Return what photos are compared with: cells of training photos `[N, P, C] -> int8 [N, C]`."""
    return as_references(rooted(features.float().mean(1)))


def familiarity(features: Tensor, references: Tensor) -> Tensor:
    """Return the cosine of photos to the nearest reference, see `cnn_core.confidence`: `[B, P, C] -> float32 [B]`."""
    return nearest_reference(rooted(features.float().mean(1)), as_units(references))
