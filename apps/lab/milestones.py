"""From a cat's brain to networks of a hundred layers: what happened when."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Milestone:
    """An event; `model` is the name of the network in this repository, "" if it is none."""

    year: str
    title: str
    by: str
    text: str
    model: str = ""


MILESTONES = (
    Milestone("1962", "Simple and complex cells", "David Hubel and Torsten Wiesel",
              "Cells in a cat's visual cortex answer to edges of one direction in one small place; others answer to "
              "the same edge wherever it is nearby. Filters and pooling, in flesh."),
    Milestone("1980", "Neocognitron", "Kunihiko Fukushima",
              "Layers of such cells in a computer, alternating: one kind finds, the other forgives small shifts. "
              "Learned without labels."),
    Milestone("1986", "Learning by backpropagation", "David Rumelhart, Geoffrey Hinton, Ronald Williams",
              "Errors are sent backwards through the layers, and every weight learns its share. Still dense layers: "
              "every pixel has its own weights.", "mlp"),
    Milestone("1998", "LeNet-5", "Yann LeCun, Léon Bottou, Yoshua Bengio, Patrick Haffner",
              "Shared weights, learned by backpropagation, on handwritten digits; it read cheques for years.", "lenet"),
    Milestone("2012", "AlexNet", "Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton",
              "ImageNet on two graphics cards: ReLU, dropout, augmentation. 15.3 % top-5 error where the next best had "
              "26.2 %.", "alexnet"),
    Milestone("2014", "VGG", "Karen Simonyan, Andrew Zisserman",
              "Nothing but 3 × 3 kernels, up to nineteen layers deep. Two of them see as much as one of 5 × 5, with "
              "fewer weights and one more nonlinearity.", "vgg16"),
    Milestone("2014", "Sentences", "Yoon Kim",
              "The same idea along one axis: filters over words find phrases.", "kim_cnn"),
    Milestone("2014", "Inception", "Christian Szegedy and others",
              "Kernels of several sizes side by side, made cheap by 1 × 1 convolutions.", "inception"),
    Milestone("2015", "U-Net", "Olaf Ronneberger, Philipp Fischer, Thomas Brox",
              "An encoder down to what, a decoder back up to where, skip connections between: an answer per pixel."),
    Milestone("2015", "ResNet", "Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
              "Layers learn what to add to their input. With that, 152 of them train; 3.57 % top-5 error.", "resnet50"),
    Milestone("2024", "CIFAR-10 in seconds", "Keller Jordan",
              "94 % in 3.29 seconds on one graphics card; the small network of these pages is built from its parts.",
              "fastnet"),
)  # fmt: skip


def parameters(names: "frozenset[str]") -> dict[str, int]:
    """Return how many numbers the registered ones of these networks learn, as their papers have them."""
    import torch

    from cnn_core.models.backbone import count_parameters
    from cnn_core.models.registry import create_model, list_models, model_spec

    counts = {}
    for name in sorted(names & set(list_models())):
        spec = model_spec(name)
        channels, *size = spec.input_shape
        classes = 1000 if channels == 3 and size[0] > 100 else 10
        with torch.device("meta"):
            model = create_model(
                name, spatial_dims=len(size), in_channels=channels, num_classes=classes, input_size=tuple(size)
            )
        counts[name] = count_parameters(model)
    return counts


def snippet() -> str:
    """Return the code that counts the parameters."""
    return """\
import torch

from cnn_core.models.backbone import count_parameters
from cnn_core.models.registry import create_model

with torch.device("meta"):  # shapes without numbers
    counts = {
        "lenet": count_parameters(create_model("lenet", in_channels=1, num_classes=10)),
        "vgg16": count_parameters(create_model("vgg16")),
        "resnet50": count_parameters(create_model("resnet50")),
    }
print(counts)
"""
