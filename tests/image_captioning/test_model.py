"""The networks: the loss by hand, padding, attention, encoders of every kind."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from tiny_captions import small_decoder

from cnn_core.errors import CnnError, UnknownNameError, WeightsError
from cnn_core.models import create_model
from image_captioning import encoders
from image_captioning.decoders import grid_positions
from image_captioning.model import CaptionBatch, Captioner, Encoder, caption_loss
from image_captioning.words import END, FIRST, START

BOTH = pytest.mark.parametrize("name", ["show-attend-tell", "show-tell"])


def captioner(name: str) -> Captioner:
    torch.manual_seed(0)
    return Captioner(None, small_decoder(name, 5, 9))


def batch(*, padding: int = 0) -> CaptionBatch:
    """Return four captions of three pictures on a grid of 2 x 2."""
    rows = [[4, 5, END], [6, END, 0], [4, 7, END], [END, 0, 0]]
    words = F.pad(torch.tensor(rows), (0, padding))
    features = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1))
    return CaptionBatch(features, words, torch.tensor([3, 2, 3, 1]), torch.tensor([1, 0, 2, 1]))


def by_hand(model: Captioner, given: CaptionBatch) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return logits and weights of every caption, one caption and one word at a time."""
    logits, weights = [], []
    for row in range(len(given.words)):
        memory = model.remember(given.pictures[given.owner[row]][None])
        state, word, out, looked = memory.start, START, [], []
        for t in range(given.lengths[row]):
            step = model.decoder.step(model.decoder.words(torch.tensor([word])), state, memory)
            out.append(model.decoder.scores(step.out)[0])
            looked.append(step.weights[0] if step.weights is not None else torch.zeros(4))
            state, word = step.state, int(given.words[row, t])
        logits.append(torch.stack(out))
        weights.append(torch.stack(looked))
    return logits, weights


@BOTH
def test_captions_scored_together_are_those_scored_one_by_one(name: str) -> None:
    model, given = captioner(name).eval(), batch()
    output = model(given)
    logits, weights = by_hand(model, given)
    assert len(output.logits) == 3 + 2 + 3 + 1
    for row in range(4):
        torch.testing.assert_close(output.logits[output.row == row], logits[row], atol=1e-5, rtol=1e-4)
        assert output.targets[output.row == row].tolist() == given.words[row, : given.lengths[row]].tolist()
        if model.decoder.attends:
            torch.testing.assert_close(output.coverage[row], weights[row].sum(0), atol=1e-5, rtol=1e-4)


@BOTH
def test_the_loss_is_the_mean_over_the_words_that_are_there(name: str) -> None:
    model, given = captioner(name).eval(), batch()
    logits, weights = by_hand(model, given)
    each = [-logits[row][t].log_softmax(0)[given.words[row, t]] for row in range(4) for t in range(given.lengths[row])]
    assert caption_loss(model(given)).item() == pytest.approx(torch.stack(each).mean().item(), abs=1e-5)
    if model.decoder.attends:
        term = torch.stack([(1 - w.sum(0)).square().mean() for w in weights]).mean()
        more = caption_loss(model(given), attention_weight=0.5) - caption_loss(model(given))
        assert more.item() == pytest.approx(0.5 * term.item(), abs=1e-5)


@BOTH
def test_padding_does_not_change_loss_or_gradient(name: str) -> None:
    model = captioner(name).train()
    results = []
    for padding in (0, 7):
        model.zero_grad()
        loss = caption_loss(model(batch(padding=padding)), smoothing=0.1, attention_weight=1.0)
        loss.backward()
        results.append((loss.item(), [p.grad.clone() for p in model.parameters()]))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))


@BOTH
def test_every_weight_learns(name: str) -> None:
    model = captioner(name).train()
    caption_loss(model(batch())).backward()
    unused = {"decoder.words.vectors.weight"}
    assert [n for n, p in model.named_parameters() if not p.grad.abs().any() and n not in unused] == []


def test_attention_weights_are_shares() -> None:
    output = captioner("show-attend-tell").eval()(batch())
    assert output.attention.shape == (9, 4) and (output.attention >= 0).all()
    torch.testing.assert_close(output.attention.sum(1), torch.ones(9))
    torch.testing.assert_close(output.coverage.sum(1), torch.tensor([3.0, 2.0, 3.0, 1.0]))


def test_label_smoothing_is_torchs() -> None:
    output = captioner("show-tell").eval()(batch())
    wanted = F.cross_entropy(output.logits, output.targets, label_smoothing=0.2)
    assert caption_loss(output, smoothing=0.2).item() == pytest.approx(wanted.item())


def test_hidden_and_own_words_are_shown_in_training_alone() -> None:
    model, given = captioner("show-tell"), batch()
    plain = model.eval()(given).logits
    model.word_dropout = 0.99
    assert torch.equal(model(given).logits, plain)
    assert not torch.equal(model.train()(given).logits, plain)


@BOTH
def test_a_captioner_overfits_one_batch(name: str) -> None:
    model, given = captioner(name).train(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(80):
        optimizer.zero_grad()
        loss = caption_loss(model(given))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.75  # two captions of one picture differ: 0.69 nats at its first word cannot be learned


def test_grid_positions_by_hand() -> None:
    assert grid_positions(1, 2).tolist() == [[0, -0.5], [0, 0.5]]
    assert grid_positions(2, 1).tolist() == [[-0.5, 0], [0.5, 0]]


@pytest.mark.parametrize(
    ("backbone", "stage", "shape"),
    [
        ("resnet20", None, (2, 64, 64)),
        ("mobilenet", "block11", (2, 64, 512)),
        ("vgg11", "block2", (2, 1024, 128)),
        ("fastnet", "stage1", (2, 1024, 64)),
    ],
)
def test_any_backbone_can_be_cut_behind_any_stage(backbone: str, stage: str | None, shape: tuple[int, ...]) -> None:
    network = create_model(backbone, num_classes=1)
    stage = stage if stage is None or stage in [i.name for i in network.feature_info] else network.feature_info[1].name
    encoder = Encoder(network, stage=stage).eval()
    model = Captioner(encoder, small_decoder("show-tell", encoder.channels, 9)).eval()
    edge = 128 if backbone == "mobilenet" else 32
    cells, grid = model.features(torch.randn(2, 3, edge, edge))
    assert cells.shape[2] == encoder.channels and cells.shape[1] == grid[0] * grid[1]
    if backbone in ("resnet20", "mobilenet"):
        assert tuple(cells.shape) == shape
    assert not any("head" in name for name, _ in model.named_parameters())
    with pytest.raises(CnnError, match="expected an input"):
        model.features(torch.randn(2, 1, edge, edge))


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="layer3"):
        Encoder(create_model("resnet20", num_classes=1), stage="layer33")


def test_features_must_fill_their_grid() -> None:
    with pytest.raises(CnnError, match="grid"):
        captioner("show-tell").remember(torch.randn(1, 5, 5))
    assert FIRST == END + 2


def test_a_captioner_without_an_encoder_takes_features_alone() -> None:
    model = Captioner(None, captioner("show-tell").decoder)
    with pytest.raises(CnnError, match=r"no encoder; give it features \[B, P, C\]"):
        model.remember(torch.zeros(1, 3, 16, 16))


def test_weights_whose_card_lacks_the_statistics_of_their_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(name="photos", input={"mean": [0.5]}, model="lenet", arguments={"options": {}})
    backbone = create_model("lenet", in_channels=3, input_size=(28, 28))
    monkeypatch.setattr(encoders, "load_model", lambda *_, **__: (backbone, card))
    with pytest.raises(WeightsError, match="'photos': its input lacks std"):
        encoders.start_encoder("lenet", weights="photos", stage=None, input_size=(28, 28), options={})
