"""Backbones, one paper per file; importing this package registers them all."""

from cnn_core.models import fastnet
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.models.registry import create_model, list_models, model_spec, register_model

__all__ = ["Backbone", "FeatureInfo", "create_model", "fastnet", "list_models", "model_spec", "register_model"]
