"""What is special about single models."""

import pytest
import torch
from torch import nn

from cnn_core.errors import CnnError
from cnn_core.models import create_model
from cnn_core.models.backbone import count_parameters


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_lenet_takes_28_pixels_as_the_middle_of_a_field_of_32(spatial_dims: int) -> None:
    model = create_model("lenet", spatial_dims=spatial_dims, in_channels=1, num_classes=10).eval()
    x = torch.randn(2, 1, *[28] * spatial_dims)
    field = torch.zeros(2, 1, *[32] * spatial_dims)
    field[(..., *[slice(2, 30)] * spatial_dims)] = x
    assert torch.equal(model(x), model(field))


def test_an_mlp_without_hidden_layers_is_softmax_regression() -> None:
    model = create_model("mlp", in_channels=1, num_classes=10, input_size=(28, 28), options={"hidden": ()})
    x = torch.randn(3, 1, 28, 28)
    expected = x.flatten(1) @ model.head.classifier.weight.T + model.head.classifier.bias
    assert torch.equal(model(x), expected) or torch.allclose(model(x), expected, atol=1e-6)
    assert count_parameters(model) == 7850
    assert model.forward_features(x) == []


def test_an_mlp_is_dense_layers_with_relu_between() -> None:
    model = create_model(
        "mlp", in_channels=2, num_classes=3, input_size=(4,), spatial_dims=1, options={"hidden": (5, 6)}
    )
    model.eval()
    x = torch.randn(7, 2, 4)
    expected = x.flatten(1)
    for layer in [m for m in model.modules() if isinstance(m, nn.Linear)][:2]:
        expected = (expected @ layer.weight.T + layer.bias).relu()
    torch.testing.assert_close(model.forward_features(x)[-1].flatten(1), expected)
    torch.testing.assert_close(model(x), expected @ model.head.classifier.weight.T + model.head.classifier.bias)


def test_an_mlp_refuses_another_size() -> None:
    model = create_model("mlp", in_channels=1, num_classes=10, input_size=(28, 30))
    with pytest.raises(CnnError, match=r"\(28, 30\) only, got \(30, 28\)"):
        model(torch.zeros(1, 1, 30, 28))


def test_googlenet_uses_its_auxiliary_heads_only_when_asked() -> None:
    with torch.device("meta"):
        assert count_parameters(create_model("googlenet", options={"aux_heads": True})) == 13_004_888
    model = create_model("inception", num_classes=4, options={"aux_heads": True, "base_channels": 8})
    x = torch.randn(2, 3, 32, 32)
    assert model(x).shape == (2, 4)
    model.reset_head(6)
    scores = model.forward_auxiliary(x)
    assert [s.shape for s in scores] == [(2, 6)] * 3
    torch.stack(scores).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_googlenet_with_the_papers_wide_kernels() -> None:
    with torch.device("meta"):
        wide = create_model("inception", options={"large_kernel": 5})
        plain = create_model("inception")
    # 25 - 9 more weights for each pair of channels of the wide branches of table 1.
    pairs = 16 * 32 + 32 * 96 + 16 * 48 + 24 * 64 + 24 * 64 + 32 * 64 + 32 * 128 + 32 * 128 + 48 * 128
    assert count_parameters(wide) - count_parameters(plain) == 16 * pairs


def test_transform_input_needs_three_channels() -> None:
    with pytest.raises(CnnError, match="3 channels"):
        create_model("googlenet", in_channels=1, options={"transform_input": True})


def test_dropout_sits_where_the_references_have_it() -> None:
    with torch.device("meta"):
        kinds = {
            name: [type(m).__name__ for m in create_model(name).head.children()][2:] for name in ("alexnet", "vgg16")
        }
    assert kinds["alexnet"] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
    assert kinds["vgg16"] == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


def test_dense_grid_of_alexnet_and_vgg_is_smaller_in_3d() -> None:
    with torch.device("meta"):
        inputs = {
            (name, d): create_model(name, spatial_dims=d).head.dense0.in_features
            for name in ("alexnet", "vgg11") for d in (1, 2, 3)
        }  # fmt: skip
    assert inputs == {
        ("alexnet", 1): 256 * 6, ("alexnet", 2): 256 * 36, ("alexnet", 3): 256 * 8,
        ("vgg11", 1): 512 * 7, ("vgg11", 2): 512 * 49, ("vgg11", 3): 512 * 8,
    }  # fmt: skip


def test_cifar_resnets_have_shortcuts_without_parameters() -> None:
    model = create_model("resnet20", num_classes=10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 19  # with the dense layer the 20 of the name
    assert all(m.kernel_size == (3, 3) for m in convolutions)


def test_vgg_starts_with_hes_variance() -> None:
    model = create_model("vgg13", num_classes=2, options={"base_channels": 16, "grid": 2, "hidden": (256,)})
    weight = model.stages["stage4"].conv1.weight  # 64 -> 128, 3x3: std sqrt(2 / (128 * 9))
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.01)
    assert model.head.dense0.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert not model.head.dense0.bias.any()
