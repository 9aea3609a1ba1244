"""A backbone of your own: registered, it gets Grad-CAM, the layer table, transfer and U-Nets in 1-D, 2-D and 3-D."""

import torch

from cnn_core.anatomy import trace
from cnn_core.explain import explain
from cnn_core.models import create_model, register_model
from cnn_core.models.backbone import Backbone, FeatureInfo
from cnn_core.nn.blocks import ConvNormAct, Head


def two_stages(in_channels: int, num_classes: int, *, spatial_dims: int, width: int = 16) -> Backbone:
    """Two strided convolutions and a linear head."""
    stages = {
        "stage1": ConvNormAct(in_channels, width, spatial_dims=spatial_dims, kernel_size=3, stride=2),
        "stage2": ConvNormAct(width, 2 * width, spatial_dims=spatial_dims, kernel_size=3, stride=2),
    }
    info = [FeatureInfo("stage1", width, 2), FeatureInfo("stage2", 2 * width, 4)]
    head = Head(2 * width, num_classes, spatial_dims=spatial_dims)
    return Backbone(stages, info, head=head, spatial_dims=spatial_dims, in_channels=in_channels)


def main() -> tuple[int, ...]:
    register_model(paper="none", url="https://example.org", year=2026, input_shape=(3, 32, 32))(two_stages)
    model = create_model("two_stages", num_classes=4)
    for row in trace(model, (3, 32, 32)):
        print(row.name, row.output_shape, row.parameters)
    heat = explain(model.eval(), torch.rand(1, 3, 32, 32), method="grad-cam", target=1).heat
    volume = create_model("two_stages", spatial_dims=3, in_channels=1, num_classes=2)
    scores = volume(torch.rand(2, 1, 16, 16, 16))
    print(tuple(heat.shape), tuple(scores.shape))
    return tuple(scores.shape)


if __name__ == "__main__":
    main()
