"""Backbones, one paper per file; importing this package registers them all."""

from cnn_core.models import (
    alexnet,
    char_cnn,
    dai,
    dpcnn,
    efficientnet_lite,
    fastnet,
    inception,
    kim_cnn,
    lenet,
    mlp,
    mobilenet,
    pilotnet,
    resnet,
    unet,
    vgg,
)
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import as_backbone, create_model, list_models, model_spec, register_model
from cnn_core.models.torchvision_weights import load_torchvision

__all__ = [
    "Backbone",
    "FeatureInfo",
    "alexnet",
    "as_backbone",
    "char_cnn",
    "create_model",
    "dai",
    "dpcnn",
    "efficientnet_lite",
    "fastnet",
    "inception",
    "kim_cnn",
    "lenet",
    "list_models",
    "load_torchvision",
    "mlp",
    "mobilenet",
    "model_spec",
    "pilotnet",
    "register_model",
    "resnet",
    "unet",
    "vgg",
]
