"""`TextNet`: Kim's network against one written with plain torch.nn, its variants, and the row-wise path."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn_core.errors import CnnError, UnknownNameError
from cnn_core.models import list_models, model_spec
from text_classification.contract import TextContract
from text_classification.model import TextNet, build_model

ROWS, SIZE, CLASSES = 40, 12, 3


class PlainKim(nn.Module):
    """Kim 2014 as the textbooks write it: embedding, convolutions, ReLU, maximum over time, linear layer."""

    def __init__(self, net: TextNet) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(net.learned.detach().clone(), freeze=False, padding_idx=0)
        self.convs = copy.deepcopy(net.backbone.stages["ngrams"].convs)
        self.linear = copy.deepcopy(net.backbone.head.classifier)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(F.pad(ids, (4, 5))).transpose(1, 2)
        return self.linear(torch.cat([conv(x).relu().amax(2) for conv in self.convs], 1))


def build(name: str = "kim_cnn", *, vectors: str = "rand", length: int | None = None, **options: object) -> TextNet:
    torch.manual_seed(0)
    return build_model(
        name, vocab_size=ROWS, num_classes=CLASSES, length=length, size=SIZE, vectors=vectors, options=options
    )  # fmt: skip


def some_ids(length: int = 9) -> Tensor:
    torch.manual_seed(1)
    ids = torch.randint(1, ROWS, (6, length))
    ids[0, 3:] = 0
    return ids


def test_the_same_weights_give_the_plain_networks_answer_and_gradients() -> None:
    net = build(filters=7, dropout=0.0)
    plain, ids, target = PlainKim(net), some_ids(), torch.tensor([0, 1, 2, 0, 1, 2])
    ours, theirs = net(ids), plain(ids)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    F.cross_entropy(ours, target).backward()
    F.cross_entropy(theirs, target).backward()
    torch.testing.assert_close(net.learned.grad, plain.embedding.weight.grad, rtol=0, atol=1e-6)
    for conv, other in zip(net.backbone.stages["ngrams"].convs, plain.convs, strict=True):
        torch.testing.assert_close(conv.weight.grad, other.weight.grad, rtol=0, atol=1e-6)


def test_row_wise_gradients_are_the_dense_ones() -> None:
    dense, sparse = build(dropout=0.0), build(dropout=0.0)
    sparse.sparse = True
    for net in (dense, sparse):
        net(some_ids()).square().sum().backward()
    assert sparse.learned.grad.is_sparse
    torch.testing.assert_close(sparse.learned.grad.to_dense(), dense.learned.grad)


@pytest.mark.parametrize("vectors", ["rand", "static", "non-static", "multichannel"])
def test_the_quick_way_is_the_backbone_over_the_vectors(vectors: str) -> None:
    net = build(vectors=vectors).eval()
    if vectors != "rand":
        net.set_vectors(torch.randn(ROWS, SIZE), torch.arange(ROWS) > 1)
    with torch.no_grad():
        torch.testing.assert_close(net(some_ids()), net.backbone(net.embed(some_ids())), rtol=0, atol=1e-5)


def test_what_learns_is_what_the_variants_name_says() -> None:
    learning = {v: hasattr(build(vectors=v), "learned") for v in ("rand", "static", "non-static", "multichannel")}
    assert learning == {"rand": True, "static": False, "non-static": True, "multichannel": True}
    assert build(vectors="multichannel").backbone.in_channels == 2 * SIZE
    static = build(vectors="static")
    static(some_ids()).sum().backward()
    assert {name for name, p in static.named_parameters() if p.grad is None} == set()
    assert "fixed" in static.state_dict()


def test_pretrained_vectors_go_where_there_are_some() -> None:
    net = build(vectors="non-static")
    before = net.learned.detach().clone()
    table, known = torch.full((ROWS, SIZE), 2.0), torch.arange(ROWS) == 5
    net.set_vectors(table, known)
    assert net.learned[5].eq(2).all()
    assert torch.equal(net.learned[:2], before[:2]) and net.learned[0].eq(0).all()  # padding and unknown
    others = net.learned.detach()[6:]
    assert not torch.equal(others, before[6:]) and others.abs().max() <= 2 * 3**0.5
    assert float(others.square().mean().sqrt()) == pytest.approx(2, rel=0.1)  # the variance of the known ones
    both = build(vectors="multichannel")
    both.set_vectors(table, known)
    assert torch.equal(both.learned[2:], both.fixed[2:]) and both.fixed[1].eq(0).all()
    with pytest.raises(CnnError, match=r"expected word vectors \[40, 12\], got \[40, 3\]"):
        net.set_vectors(torch.ones(ROWS, 3), known)


def test_numbers_of_vectors_are_dropped_in_training_alone() -> None:
    net = TextNet(build().backbone, vocab_size=ROWS, size=SIZE, vector_dropout=0.5)
    vectors = net.learned.detach()
    assert torch.equal(net.eval().word_vectors(), vectors)
    dropped = net.train().word_vectors().detach()
    kept = dropped.ne(0)
    torch.testing.assert_close(dropped[kept], 2 * vectors[kept])
    assert 0.4 < kept[1:].float().mean() < 0.6 and not kept[0].any()


def test_characters_are_channels() -> None:
    net = build("char_cnn", vectors="one-hot", length=123, base_channels=4, dense=8)
    x = net.embed(torch.tensor([[0, 1, 2, ROWS - 1]]))
    assert x.shape == (1, ROWS - 1, 4)
    assert x[0].sum(0).tolist() == [0, 1, 1, 1]  # padding is nothing
    assert x[0].argmax(0).tolist()[1:] == [0, 1, ROWS - 2]


@pytest.mark.parametrize("name", list_models(spatial_dims=1))
def test_any_backbone_reads_words(name: str) -> None:
    small = {"base_channels": 4, "hidden": (16,), "widths": (8, 8), "grid": 1, "blocks": 2, "dense": 8}
    if name == "kim_cnn":
        small["widths"] = (2, 3)
    options = {key: value for key, value in small.items() if key in model_spec(name).options}
    net = build(name, length=128, **options).eval()
    with torch.no_grad():
        assert net(torch.randint(0, ROWS, (2, 128))).shape == (2, CLASSES)


def test_words_are_dropped_in_training_only_and_padding_never() -> None:
    net = build(dropout=0.0)
    net.word_dropout = 0.999
    ids = some_ids()
    net.train()
    assert set(net._drop_words(ids).unique().tolist()) <= {0, 1, *ids.unique().tolist()}
    assert (net._drop_words(ids) == 0).equal(ids == 0)
    assert (net._drop_words(ids) == 1).sum() > 40
    assert net.eval()._drop_words(ids) is ids


def test_unknown_kinds_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean static"):
        build(vectors="statik")


def test_the_contract_cuts_pads_and_knows_what_it_does_not_know() -> None:
    contract = TextContract("whitespace", ("a", "b"), length=3)
    encoded = contract.encode_all(["a b c d", "b", ""])
    assert encoded.batch(np.arange(3)).tolist() == [[2, 3, 1], [3, 0, 0], [0, 0, 0]]
    free = TextContract("whitespace", ("a", "b"))
    assert free.encode_all(["a b c d", "b"]).batch(np.array([1])).tolist() == [[3]]
    assert TextContract.from_json(contract.to_json()) == contract
    for wrong in (
        {"tokenizer": "x"},
        {"vocabulary": ["a", "a"]},
        {"vocabulary": ["a", ""]},
        {"length": 0},
        {"more": 1},
    ):
        with pytest.raises(CnnError):
            TextContract.from_json({**contract.to_json(), **wrong})
