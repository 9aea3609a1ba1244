"""Explain a model's predictions: heat maps for any backbone in 1-D, 2-D and 3-D, feature maps, filters, pictures.

A method is one file plus one import line here.
"""

from cnn_core.explain import (  # noqa: F401 (importing a method registers it)
    grad_cam,
    grad_cam_plus_plus,
    integrated_gradients,
    layer_cam,
    occlusion,
    saliency,
    smooth_grad,
)
from cnn_core.explain.api import Explanation, explain
from cnn_core.explain.maps import feature_maps, filters, first_conv
from cnn_core.explain.overlay import colorize, heat_limits, overlay
from cnn_core.explain.registry import list_methods, method_spec, register_method

__all__ = [
    "Explanation",
    "colorize",
    "explain",
    "feature_maps",
    "filters",
    "first_conv",
    "heat_limits",
    "list_methods",
    "method_spec",
    "overlay",
    "register_method",
]
