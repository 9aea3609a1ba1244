"""ImageNet weights that others publish: `torchvision:NAME`, fetched by torchvision with their first use.

They become a folder with a card like any weights, under `weights` of the data root, so that every command and page
takes them.
"""

from pathlib import Path

from cnn_core.data.files import data_root
from cnn_core.errors import unknown_name
from cnn_core.models import as_backbone, create_model, list_models, load_torchvision, model_spec
from cnn_core.models.torchvision_weights import download_state
from cnn_core.weights import save_weights
from cnn_core.weights.find import CARD_FILE
from image_classification.preprocess import InputContract

LIMITS = [
    "The 1,000 classes of ImageNet: photos of animals, plants, things and places as on the web around 2010; people, "
    "writing, drawings and scans are not among them.",
    "One answer for the whole picture; of several things it names one.",
]


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers that the core has too."""
    specs = [model_spec(name) for name in list_models(spatial_dims=2)]
    return sorted(spec.aliases[0] if spec.aliases else spec.name for spec in specs if spec.torchvision)


def fetch_torchvision(name: str) -> Path:
    """Return the folder of torchvision's ImageNet weights of a network; downloaded if they are not there yet.

    Raises:
        UnknownNameError: the core has no such network, or torchvision no weights of it.
        WeightsError: they could not be downloaded, or do not fit.
    """
    if name not in torchvision_names():
        raise unknown_name("torchvision network", name, torchvision_names())
    folder = data_root() / "weights" / f"torchvision-{name}"
    if (folder / CARD_FILE).is_file():
        return folder
    state, entry = download_state(name)
    options = {"transform_input": True} if name == "googlenet" else {}
    model = as_backbone(create_model(name, options=options))
    load_torchvision(model, state)
    view = entry.transforms()
    edge, shorter = view.crop_size[0], view.resize_size[0]
    contract = InputContract(
        3, (edge, edge), mean=tuple(view.mean), std=tuple(view.std), fit="crop", crop_share=edge / shorter
    )
    published = entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    save_weights(
        model,
        {
            "name": f"torchvision-{name}".lower(),
            "domain": "image_classification",
            "model": model_spec(name).name,
            "arguments": {
                "spatial_dims": 2, "in_channels": 3, "num_classes": 1000, "input_size": [edge, edge],
                "options": options,
            },
            "input": contract.to_json(),
            "labels": _different(entry.meta["categories"]),
            "metrics": {},
            "recipe": {},
            "command": f"cnn predict torchvision:{name} PHOTO",
            "machine": "trained by the authors of torchvision",
            "seconds": 0.0,
            "licence": "BSD-3-Clause, as torchvision; ImageNet is for non-commercial research",
            "limits": [f"Top-1 accuracy on ImageNet as published by torchvision: {published} %.", *LIMITS],
        },
        folder,
    )  # fmt: skip
    return folder


def _different(names: list[str]) -> list[str]:
    """Return class names of which no two are equal: ImageNet has two kinds of crane and of maillot."""
    seen: dict[str, int] = {}
    different = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        different.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return different


SOURCES = {"torchvision": fetch_torchvision}
