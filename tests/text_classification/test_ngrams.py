"""`ngram_max` against torch's convolution and maximum, and against numbers worked by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_core.models import create_model
from text_classification.ngrams import OneText, ngram_max, strongest_windows, window_indices, word_products


def reference(rows: Tensor, ids: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    x = rows[ids].transpose(1, 2)
    parts = []
    for weight, bias in zip(weights, biases, strict=True):
        width = weight.shape[2]
        parts.append(F.conv1d(F.pad(x, (width - 1, width)), weight, bias).amax(2))
    return torch.cat(parts, 1)


@pytest.fixture
def problem() -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    rows = torch.randn(30, 7, dtype=torch.float64)
    rows[0] = 0
    ids = torch.randint(1, 30, (5, 9))
    ids[0, 4:] = 0
    ids[1, 1:] = 0
    weights = [torch.randn(4, 7, width, dtype=torch.float64) for width in (1, 3, 5)]
    biases = [torch.randn(4, dtype=torch.float64) for _ in weights]
    return rows, ids, weights, biases


def test_the_answer_and_every_gradient_are_those_of_convolution_and_maximum(problem) -> None:
    rows, ids, weights, biases = problem
    leaves = [t.clone().requires_grad_() for t in (rows, *weights, *biases)]
    others = [t.clone().requires_grad_() for t in (rows, *weights, *biases)]
    ours = ngram_max(leaves[0], ids, leaves[1:4], leaves[4:])
    theirs = reference(others[0], ids, others[1:4], others[4:])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    shares = torch.randn_like(ours)
    (ours * shares).sum().backward()
    (theirs * shares).sum().backward()
    for mine, other in zip(leaves[1:], others[1:], strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=0, atol=1e-12)
    torch.testing.assert_close(leaves[0].grad[1:], others[0].grad[1:], rtol=0, atol=1e-12)
    assert not leaves[0].grad[0].any()  # padding is not learned


@pytest.mark.parametrize("length", [0, 1, 2, 4, 9])
def test_one_text_is_answered_as_in_a_batch(problem, length: int) -> None:
    rows, ids, weights, biases = problem
    text = ids[2:3, :length]
    vectors = rows[F.pad(text[0], (1, 0))]
    alone = OneText(weights, biases)
    for _ in range(2):  # its windows are kept after the first
        torch.testing.assert_close(alone(vectors), reference(rows, text, weights, biases), rtol=0, atol=1e-12)


def test_two_words_by_hand() -> None:
    """Words 1 and 2 with one number each, 1 and 3; one filter of width 2, (10, 1): windows 0|1, 1|2, 2|0, 0|0."""
    rows, ids = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[1, 2]])
    weight = torch.tensor([[[10.0, 1.0]]])
    products = word_products(rows, weight)
    assert products.tolist() == [[0], [0], [10], [1], [30], [3]]
    assert window_indices(ids, 2).tolist() == [[[0, 3], [2, 5], [4, 1], [0, 1]]]
    values, best = strongest_windows(products, window_indices(ids, 2))
    assert (values.item(), best.item()) == (30, 2)  # 0*10+1, 1*10+3, 3*10+0, 0
    assert OneText([weight], [torch.tensor([0.5])])(rows).item() == 30.5


def test_padding_does_not_change_the_answer_even_if_all_windows_are_negative() -> None:
    rows, weight = torch.tensor([[0.0], [1.0]]), torch.tensor([[[-2.0]]])
    for padding in range(4):
        ids = torch.tensor([[1, 1] + [0] * padding])
        assert ngram_max(rows, ids, [weight], [torch.tensor([0.5])]).item() == 0.5  # the window of zeros wins


@pytest.mark.parametrize("length", [1, 2, 9])
def test_it_is_what_the_backbone_computes(length: int) -> None:
    torch.manual_seed(1)
    model = create_model("kim_cnn", spatial_dims=1, in_channels=6, num_classes=3, options={"filters": 5}).eval()
    rows, ids = torch.randn(20, 6), torch.randint(1, 20, (4, length))
    rows[0] = 0
    convs = model.stages["ngrams"].convs
    ours = ngram_max(rows, ids, [c.weight for c in convs], [c.bias for c in convs]).relu()
    with torch.no_grad():
        torch.testing.assert_close(model.head.classifier(ours), model(rows[ids].transpose(1, 2)))
        longer = F.pad(ids, (0, 7))
        torch.testing.assert_close(model(rows[ids].transpose(1, 2)), model(rows[longer].transpose(1, 2)))
