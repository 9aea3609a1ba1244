"""Prediction, explanation and evaluation with networks whose answers are known beforehand."""

import csv
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score, top_k_accuracy_score
from torch import nn

from cnn_core.data.reading import pictures_in
from cnn_core.errors import CnnError, DataError, StorageError, UnknownNameError, WeightsError
from cnn_core.metrics import classification_metrics, macro_f1
from cnn_core.models import Backbone, FeatureInfo, create_model
from cnn_core.nn.blocks import Head
from cnn_core.weights import WeightsCard, save_weights
from image_classification.data import ImageSet
from image_classification.domain import evaluate
from image_classification.predict import Predictor, load
from image_classification.preprocess import InputContract

LABELS = ["left", "right", "all"]


def fields(contract: InputContract, labels: list[str], **changes) -> dict:
    arguments = {
        "spatial_dims": 2, "in_channels": contract.channels, "num_classes": len(labels),
        "input_size": list(contract.size), "options": {},
    }  # fmt: skip
    known = {
        "name": "known", "domain": "image_classification", "model": "mlp", "arguments": arguments,
        "input": contract.to_json(), "labels": labels, "metrics": {}, "recipe": {}, "command": "none",
        "machine": "none", "seconds": 0, "licence": "MIT", "limits": [],
    }  # fmt: skip
    return known | changes


def card(contract: InputContract, labels: list[str], **changes) -> WeightsCard:
    derived = {
        "parameters": 0,
        "sha256": "0" * 64,
        "bytes": 1,
        "dtype": "float32",
        "created": "2025-01-01",
        "version": "0",
    }
    return WeightsCard.from_dict(derived | fields(contract, labels, **changes))


class Halves(nn.Module):
    """Scores: ten times the mean of the left half, of the right half, and 1: `[B, 1, H, W] -> [B, 3]`."""

    def forward(self, x):
        half = x.shape[3] // 2
        left, right = x[..., :half].mean((1, 2, 3)), x[..., half:].mean((1, 2, 3))
        return torch.stack([10 * left, 10 * right, torch.ones_like(left)], 1)


class KnownHead(Head):
    """A head without weights."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.answer = Halves()

    def forward(self, x):
        return self.answer(x)


def halves(*, size: int = 8, fit: str = "crop", tta: str = "none") -> Predictor:
    """A predictor that says on which half of a grey picture the light is."""
    model = Backbone(
        {"pixels": nn.Identity()}, [FeatureInfo("pixels", 1, 1)], head=KnownHead(), spatial_dims=2, in_channels=1
    )
    return Predictor(model, card(InputContract(1, (size, size), fit=fit, tta=tta), LABELS))


def lit(left: int, right: int, *, width: int = 8, height: int = 8) -> np.ndarray:
    array = np.full((height, width), right, dtype=np.uint8)
    array[:, : width // 2] = left
    return array


def test_labels_and_probabilities_by_hand():
    found = halves().predict([lit(255, 0)], top_k=2)[0]
    assert found.labels == ["left", "all"]
    scores = np.exp([10.0, 0.0, 1.0])
    assert found.probabilities == pytest.approx([scores[0] / scores.sum(), scores[2] / scores.sum()], abs=1e-6)


def test_every_kind_of_input_gives_the_same_answer(tmp_path):
    array = lit(0, 255)
    path = tmp_path / "right.png"
    Image.fromarray(array).save(path)
    sources = [
        path,
        str(path),
        path.read_bytes(),
        Image.fromarray(array),
        array,
        torch.from_numpy(array),
        array / 255.0,
    ]
    answers = halves().predict(sources)
    assert {tuple(a.labels) for a in answers} == {("right", "all", "left")}
    assert {tuple(a.probabilities) for a in answers} == {tuple(answers[0].probabilities)}
    assert [a.input for a in answers[:3]] == [str(path), str(path), "picture 3"]
    assert halves().predict(path)[0].labels == halves().predict(array)[0].labels == answers[0].labels
    assert len(halves().predict(torch.zeros(5, 1, 8, 8))) == 5


def test_the_answer_does_not_depend_on_the_batch():
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (8, 8), dtype=np.uint8) for _ in range(11)]
    whole = halves().predict(pictures)
    for size in (1, 3, 11, 100):
        for a, b in zip(halves().predict(pictures, batch_size=size), whole, strict=True):
            assert a.labels == b.labels
            assert a.probabilities == pytest.approx(b.probabilities, abs=1e-6)
    assert halves().predict([]) == []


def test_one_failure_does_not_stop_the_others(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no more")
    answers = halves().predict([lit(255, 0), broken, "nowhere.png", b"", np.zeros((2, 2, 9)), lit(0, 255)])
    assert [a.error is None for a in answers] == [True, False, False, False, False, True]
    assert "damaged" in answers[1].error
    assert "no such file" in answers[2].error
    assert "zero bytes" in answers[3].error
    assert "shape" in answers[4].error
    assert answers[5].labels[0] == "right"


def test_a_picture_of_one_colour_is_said_and_one_with_a_single_other_pixel_is_not():
    almost = lit(200, 200)
    almost[3, 3] = 201
    one, other, rgb = halves().predict([lit(200, 200), almost, np.full((5, 4, 3), (9, 80, 7), np.uint8)])
    assert one.warnings == rgb.warnings == ("all of it has one colour: there is nothing to see",)
    assert other.warnings is None


def test_a_file_of_several_pages_is_said_and_its_colour_too(tmp_path):
    pages = [Image.fromarray(lit(255, 0)), Image.fromarray(lit(0, 255)), Image.fromarray(lit(9, 9))]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    pages[2].save(tmp_path / "plain.tif", save_all=True, append_images=pages[:2])
    one, plain = halves().predict([tmp_path / "pages.tif", tmp_path / "plain.tif"])
    assert one.labels[0] == "left"
    assert "first of 3 pages alone is read" in str(one)
    assert one.to_json()["warnings"] == list(one.warnings)
    assert [said.split()[0] for said in plain.warnings] == ["all", "the"]
    assert "first of 3 pages" in halves().explain(tmp_path / "pages.tif").save(tmp_path / "why.png")


def test_an_address_is_no_missing_file():
    (answer,) = halves().stream_inputs(["https://example.org/a.png"])
    assert "expected a file, got an address; download the picture first" in answer.error


def test_blank_page_is_an_error_not_a_digit():
    answer = halves(size=28, fit="digit").predict([np.full((100, 100), 255, np.uint8)])[0]
    assert "nothing but background" in answer.error


def test_json_is_the_format_of_the_command(tmp_path):
    good, bad = halves().predict([lit(255, 0), "nowhere.png"], top_k=1)
    assert good.to_json() == {
        "input": "picture 1",
        "labels": ["left"],
        "probabilities": [pytest.approx(0.99983, abs=1e-5)],
    }
    assert bad.to_json() == {"input": "nowhere.png", "error": "there is no such file"}
    json.dumps([good.to_json(), bad.to_json()])


def test_wrong_counts_are_refused():
    for wrong in ({"top_k": 0}, {"batch_size": 0}):
        with pytest.raises(CnnError, match="at least 1"):
            halves().predict([lit(0, 0)], **wrong)


def test_test_time_views_reach_prediction_and_evaluation():
    pictures = torch.from_numpy(lit(255, 0))[None, None].repeat(4, 1, 1, 1)
    plain, mirrored = halves(), halves(tta="flip")
    assert plain.predict(pictures)[0].probabilities[0] > 0.99
    answer = mirrored.predict(pictures)[0]  # left and right have the same score, 5
    assert answer.probabilities[0] == pytest.approx(answer.probabilities[1], abs=1e-6)
    image_set = ImageSet("known", "test", tuple(LABELS), pictures, torch.tensor([0, 0, 0, 0]))
    assert evaluate(plain, image_set).metrics["accuracy"] == 1.0


@pytest.mark.parametrize("method", ["gradient", "occlusion", "integrated-gradients"])
def test_heat_map_lies_where_the_evidence_is_in_the_original(method):
    # Of a 40 x 16 picture the middle 16 x 16 are seen: columns 12 to 27. The left half of them is evidence for "left".
    picture = np.full((16, 40), 128, dtype=np.uint8)
    found = halves().explain(picture, method=method, target="left")
    assert (found.heat.shape, found.picture.size) == ((16, 40), (40, 16))
    heat = found.heat.abs()
    assert heat[:, :12].max() == 0
    assert heat[:, 28:].max() == 0
    assert heat[:, 13:18].min() > 0
    assert heat[:, 13:19].mean() > 10 * heat[:, 22:27].mean()
    assert found.seen.shape == (1, 8, 8)
    assert found.seen_heat.shape == (8, 8)


def test_heat_map_of_a_padded_picture_is_not_stretched():
    picture = np.full((40, 16), 128, dtype=np.uint8)  # 3 of 8 columns are picture, 2 columns of padding to the left
    found = halves(fit="pad").explain(picture, method="gradient", target="right")
    heat = found.heat.abs()  # frame columns 4 to 7 are the right half: the last of the picture's three columns
    assert heat.shape == (40, 16)
    assert heat[:, 12:].mean() > 10 * heat[:, :4].mean()


def test_explanation_takes_the_prediction_or_a_target(tmp_path):
    network = halves()
    found = network.explain(lit(255, 0), method="gradient")
    assert found.label == "left"
    assert found.probability == pytest.approx(network.predict([lit(255, 0)])[0].probabilities[0], abs=1e-6)
    assert network.explain(lit(255, 0), method="gradient", target=1).label == "right"
    with pytest.raises(UnknownNameError, match="did you mean right"):
        network.explain(lit(0, 0), method="gradient", target="rigth")
    with pytest.raises(CnnError, match=r"0\.\.2"):
        network.explain(lit(0, 0), method="gradient", target=3)
    with pytest.raises(UnknownNameError):
        network.explain(lit(0, 0), method="magic")
    with pytest.raises(DataError, match="no such file"):
        network.explain("nowhere.png")
    output = tmp_path / "new" / "heat.png"
    sentence = found.save(output)
    assert "left" in sentence
    with Image.open(output) as image:
        assert image.size == (320, 320)  # 8 x 8 enlarged


def test_explanation_of_a_large_photo_from_a_file(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.fromarray(lit(250, 10, width=3000, height=2000)).save(path, exif=exif)
    with path.open("rb") as stream:
        found = halves().explain(stream, method="gradient")
        stream.seek(0)
        assert found.input == halves().predict(stream)[0].input == str(path)
    assert found.picture.size == (1067, 1600)
    assert found.heat.shape == (1600, 1067)
    assert (found.heat[:260] == 0).all()  # the upper and lower 266 rows are cut off
    assert found.heat[280:1300].abs().max() > 0


def test_explaining_leaves_the_callers_picture_as_it_is():
    picture = Image.fromarray(lit(250, 10, width=3000, height=2000)).convert("RGB")
    before = picture.copy()
    halves().explain(picture)
    assert picture.size == (3000, 2000) and picture.tobytes() == before.tobytes()


def test_folder_to_csv(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(lit(255, 0)).save(folder / "b.png")
    Image.fromarray(lit(0, 255)).save(folder / "more" / "a.png")
    (folder / "=evil.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    output = tmp_path / "out" / "answers.csv"
    assert halves().predict_folder(folder, output, top_k=2) == (2, 1)
    with output.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["input"].removeprefix(str(folder)) for row in rows] == ["/=evil.png", "/b.png", "/more/a.png"]
    assert [row["label"] for row in rows] == ["", "left", "right"]
    assert [row["label2"] for row in rows] == ["", "all", "all"]
    assert "zero bytes" in rows[0]["error"]
    assert float(rows[1]["probability"]) == pytest.approx(0.99983, abs=1e-5)
    with pytest.raises(DataError, match="found none"):
        halves().predict_folder(tmp_path / "nowhere", output)
    with pytest.raises(StorageError):
        halves().predict_folder(folder, tmp_path)
    assert sorted(p.name for p in output.parent.iterdir()) == ["answers.csv"]


def test_paths_and_folders_in_one_call(tmp_path):
    Image.fromarray(lit(255, 0)).save(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    inputs = [tmp_path / "a.png", tmp_path, tmp_path / "empty", "nowhere.png", "x" * 5000]
    answers = list(halves().stream_inputs(inputs))
    assert [a.error for a in answers[:4]] == [None, None, "the folder holds no pictures", "there is no such file"]
    assert "cannot be opened" in answers[4].error
    assert [a.input for a in answers[1:4]] == [str(tmp_path / "a.png"), str(tmp_path / "empty"), "nowhere.png"]


def test_answers_come_before_later_pictures_are_read(tmp_path):
    early, late = tmp_path / "early.png", tmp_path / "late.png"
    Image.fromarray(lit(255, 0)).save(early)
    answers = halves().stream(pictures_in([early, early, late]), batch_size=2)
    assert next(answers).labels[0] == "left"
    Image.fromarray(lit(0, 255)).save(late)
    assert [answer.labels[0] for answer in answers] == ["left", "right"]


def test_evaluation_by_hand():
    # Truth left, left, right, all; said left, right, right, left.
    pictures = np.stack([lit(255, 0), lit(0, 200), lit(0, 255), lit(100, 0)])[:, None]
    image_set = ImageSet("known", "test", tuple(LABELS), torch.from_numpy(pictures), torch.tensor([0, 0, 1, 2]))
    report = evaluate(halves(), image_set, batch_size=3)
    assert report.n == 4
    assert report.confusion == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert report.metrics["accuracy"] == 0.5
    assert report.metrics["macro_f1"] == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    assert "top5" not in report.metrics
    assert [(m.index, m.truth, m.answer) for m in report.mistakes] == [(1, "left", "right"), (3, "all", "left")]
    assert report.mistakes[0].probability > report.mistakes[1].probability


def test_macro_f1_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    truth, said = random.integers(0, 6, 200), random.integers(0, 6, 200)
    confusion = torch.zeros(8, 8, dtype=torch.int64)  # two classes never occur
    for t, s in zip(truth, said, strict=True):
        confusion[t, s] += 1
    assert macro_f1(confusion) == pytest.approx(f1_score(truth, said, average="macro"))


@pytest.mark.parametrize("classes", [5, 6, 9])
def test_accuracy_and_top5_agree_with_scikit_learn(classes):
    random = np.random.default_rng(0)
    scores, truth = random.random((200, classes)), np.arange(200) % classes
    found = classification_metrics(torch.from_numpy(scores), torch.from_numpy(truth))
    assert found["accuracy"] == pytest.approx(top_k_accuracy_score(truth, scores, k=1))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, scores.argmax(1), average="macro"))
    wanted = top_k_accuracy_score(truth, scores, k=5) if classes > 5 else None  # of five classes it says nothing
    assert found.get("top5") == pytest.approx(wanted)


def test_evaluation_refuses_what_does_not_fit():
    empty = ImageSet(
        "known", "val", tuple(LABELS), torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64)
    )
    with pytest.raises(DataError, match="nothing to measure on"):
        evaluate(halves(), empty)
    other = ImageSet("two", "test", ("a", "b"), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.tensor([0]))
    with pytest.raises(DataError, match="2 classes, the network knows 3"):
        evaluate(halves(), other)


def test_evaluation_brings_other_sizes_to_the_contract():
    pictures = torch.from_numpy(np.stack([np.stack([lit(255, 0, width=20, height=20)] * 3)]))
    image_set = ImageSet("known", "test", tuple(LABELS), pictures, torch.tensor([0]))
    assert evaluate(halves(), image_set).metrics["accuracy"] == 1.0


def test_load_from_a_run_folder(tmp_path):
    contract = InputContract(1, (8, 8), mean=(0.3,), std=(0.4,), fit="digit")
    labels = list("0123456789")
    torch.manual_seed(0)
    model = create_model("lenet", in_channels=1, num_classes=10, input_size=(32, 32))
    contract = InputContract(1, (32, 32), mean=(0.3,), std=(0.4,))
    save_weights(model, fields(contract, labels, model="lenet"), tmp_path / "run")
    predictor = load(tmp_path / "run", device="cpu")
    x = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    with torch.no_grad():
        expected = model.eval()(contract.prepare([x])).softmax(1)[0]
    found = predictor.predict([x], top_k=10)[0]
    assert found.labels == [labels[k] for k in expected.argsort(descending=True)]
    assert found.probabilities == pytest.approx(expected.sort(descending=True).values.tolist(), abs=1e-5)
    assert len(predictor.predict([x], top_k=99)[0].labels) == 10


def test_cards_that_do_not_fit_are_refused():
    model = halves().model
    contract = InputContract(1, (8, 8))
    with pytest.raises(WeightsError, match="belong to text"):
        Predictor(model, card(contract, LABELS, domain="text"))
    with pytest.raises(WeightsError, match=r"input contract.*fit"):
        Predictor(model, card(contract, LABELS, input={"channels": 1, "size": [8, 8], "fit": "squash"}))
    with pytest.raises(WeightsError, match="3 channels"):
        Predictor(model, card(contract, LABELS, input=InputContract(3, (8, 8)).to_json()))
    nameless = card(contract, [], arguments=fields(contract, LABELS)["arguments"])
    assert Predictor(model, nameless).labels == ["class 0", "class 1", "class 2"]


def test_many_threads_on_one_predictor():
    network = halves()
    pictures = [lit(10 * i, 0) for i in range(20)]
    alone = network.predict(pictures)
    results: dict[int, list] = {}

    def ask(i: int) -> None:
        results[i] = (
            network.predict(pictures) if i % 2 else [network.explain(p, method="gradient").label for p in pictures]
        )

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[1] == results[3] == alone
    assert results[0] == results[2] == [a.labels[0] for a in alone]
