"""The command on real digits: train, go on, measure, predict, explain, export."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from cnn_core.cli import main

SMALL = ("--option", "widths=8,16", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that has seen the digits twice."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main(["train", "digits", "--epochs", "2", "--run", str(folder), "--quiet", *SMALL]) == 0
    return folder


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    """A picture file of a handwritten digit."""
    file = tmp_path / "digit.png"
    paper = Image.new("L", (96, 96))
    paper.paste(Image.fromarray((load_digits().images[3] * 15.9).astype("uint8")).resize((64, 64)), (16, 16))
    paper.save(file)
    return file


def test_training_leaves_a_card_with_the_command_that_repeats_it(cnn, run):
    card = json.loads((run / "card.json").read_text())
    assert card["command"] == "cnn train digits --epochs 2 --option widths=8,16 --device cpu"
    assert card["recipe"]["loop"]["epochs"] == 2
    assert card["recipe"]["model"]["options"] == {"stem_kernel": 2, "widths": [8, 16]}


def test_training_with_json_says_what_the_card_says(cnn):
    answer = cnn("train", "digits", "--epochs", "1", "--run", "one", "--json", *SMALL)
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    card = json.loads(Path("one/card.json").read_text())
    data = result.pop("data")
    assert result == {"run": "one", "weights": "digits", "metrics": card["metrics"], "seconds": card["seconds"]}
    assert data == json.loads(Path("one/data.json").read_text()) and data["splits"]["test"] == 599
    assert {"accuracy", "top5", "macro_f1"} <= {*result["metrics"]}
    assert result["metrics"]["accuracy"]["n"] == 599


def test_training_reports_each_epoch_on_standard_error(cnn):
    answer = cnn("train", "digits", "--epochs", "2", "--run", "two", *SMALL)
    assert answer.code == 0
    lines = answer.err.strip().splitlines()
    assert lines[0].startswith("1,797 pictures in 10 classes: ")  # what was understood of the data comes first
    assert [line.split()[:2] for line in lines[-2:]] == [["epoch", "1/2"], ["epoch", "2/2"]] and len(lines) == 4
    assert "\033" not in answer.err  # no terminal, no control codes
    assert answer.out.splitlines()[-1] == "weights and card: two"


def test_a_run_folder_is_not_overwritten_and_settings_do_not_change_under_way(cnn, run):
    before = (run / "card.json").read_bytes()
    answer = cnn("train", "digits", "--epochs", "2", "--run", run, "--quiet", *SMALL)
    assert answer.code == 1
    assert "already holds a run; go on with --resume or choose another folder with --run" in answer.err
    answer = cnn("train", "digits", "--epochs", "3", "--run", run, "--quiet", "--resume", *SMALL)
    assert answer.code == 1
    assert "epochs was 2, now 3" in answer.err
    assert (run / "card.json").read_bytes() == before


def test_a_start_that_failed_does_not_block_the_folder(cnn):
    assert cnn("train", "digits", "--epochs", "1", "--run", "x", "--option", "widhts=8,", "--device", "cpu").code == 1
    answer = cnn(
        "train", "digits", "--epochs", "1", "--run", "x", "--quiet", "--option", "widths=8,", "--device", "cpu"
    )
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--run", "/dev/null/x"), "/dev/null/x: Not a directory"),
        (("--model", "lenett"), "unknown model 'lenett'; did you mean lenet"),
        (("--option", "depth=0"), "depth 0"),
        (("--option", "widths=abc"), "fastnet"),
        (("--option", "width=3"), "unknown option of fastnet 'width'; did you mean widths"),
        (("--data", "nowhere"), "'nowhere'"),
        (("--weights", "digitz"), "unknown weights 'digitz'"),
        (
            ("--name", "My Net"),
            "name: expected lower-case letters, digits, '.', '_' or '-'",
        ),
        (("--licence", " "), "licence: expected a text that is not empty"),
    ],
)
def test_training_that_cannot_start(cnn, words, sentence):
    answer = cnn("train", "digits", "--epochs", "1", "--json", *words)
    assert (answer.code, answer.out) == (1, "")
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("runs/digits/status.json").exists()  # nothing was learned


def test_eval_as_json_keeps_its_shape(cnn, run):
    answer = cnn("eval", run, "--json", "--device", "cpu")
    result = json.loads(answer.out)
    assert {*result} == {"weights", "data", "split", "n", "of", "metrics", "summary", "seconds"}
    assert (result["weights"], result["data"], result["split"], result["n"]) == (str(run), "digits", "test", 599)
    card = json.loads((run / "card.json").read_text())
    assert result["metrics"]["accuracy"] == pytest.approx(card["metrics"]["accuracy"]["mean"], abs=1e-6)
    plain = cnn("eval", run, "--device", "cpu").out
    assert f"accuracy {result['metrics']['accuracy']:.4f}" in plain


def test_predict_as_json_has_an_item_per_input_and_errors_inside(cnn, run, digit, tmp_path):
    (tmp_path / "empty.png").touch()
    answer = cnn("predict", run, digit, "empty.png", "missing.png", "--json", "--output", "answers")
    assert answer.code == 1
    result = json.loads(answer.out)
    assert result["weights"] == str(run)
    good, empty, missing = result["items"]
    assert good["input"] == str(digit)
    assert len(good["labels"]) == len(good["probabilities"]) == 5
    assert good["probabilities"] == sorted(good["probabilities"], reverse=True)
    assert {*empty} == {*missing} == {"input", "error"}
    assert json.loads((tmp_path / "answers/predictions.json").read_text()) == result
    with (tmp_path / "answers/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = ("", "2", "3", "4", "5")
    assert [*rows[0]] == ["input", *(f"{word}{n}" for n in numbers for word in ("label", "probability")), "error"]
    assert [rows[0][f"label{n}"] for n in numbers] == good["labels"]
    assert [float(rows[0][f"probability{n}"]) for n in numbers] == good["probabilities"]
    assert [row["error"] for row in rows] == ["", empty["error"], missing["error"]]
    assert rows[1]["label"] == ""
    assert "2 of 3 inputs could not be answered" in answer.err


def test_answers_that_could_not_be_written_are_not_computed(cnn, run, digit):
    answer = cnn("predict", run, digit, "--output", "/dev/null/answers")
    assert (answer.code, answer.out) == (1, "")
    assert "could not write /dev/null/answers" in answer.err


def test_predict_fails_when_nothing_could_be_answered(cnn, run):
    answer = cnn("predict", run, "missing.png")
    assert answer.code == 1
    assert answer.out == "missing.png: there is no such file\n"
    assert "1 of 1 inputs could not be answered" in answer.err


def test_explain_writes_a_picture_and_says_what_it_shows(cnn, run, digit, tmp_path):
    answer = cnn("explain", run, digit, "--output", "why.png", "--device", "cpu")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("why.png: ")
    with Image.open(tmp_path / "why.png") as picture:
        assert picture.format == "PNG"
    answer = cnn("explain", run, digit, "--output", "b.png", "--method", "grad-kam", "--device", "cpu")
    assert (answer.code, answer.out) == (1, "")
    assert "grad-cam" in answer.err
    assert not (tmp_path / "b.png").exists()
    assert cnn("explain", run, digit, "--output", "/dev/null/b.png", "--device", "cpu").code == 1


def test_anatomy_as_a_table_and_as_json(cnn):
    plain = cnn("anatomy", "lenet", "--classes", "10")
    assert plain.code == 0
    assert plain.out.splitlines()[-1].startswith("total")
    result = json.loads(cnn("anatomy", "lenet", "--classes", "10", "--json").out)
    assert {*result} == {"model", "input", "layers", "parameters", "multiply_adds"}
    assert result["input"] == [1, 32, 32]
    assert result["parameters"] == sum(layer["parameters"] for layer in result["layers"])
    assert result["layers"][-1]["output_shape"] == [10]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("rsnet18", "unknown model 'rsnet18'; did you mean resnet18"),
        ("lenet --input 3x", "expected channels x size"),
        ("lenet --classes 0", "must be at least 1"),
        ("vgg11 --input 3x4x4", "4"),
    ],
)
def test_anatomy_of_what_is_not_possible(cnn, line, sentence):
    answer = cnn("anatomy", *line.split())
    assert (answer.code, answer.out) == (1, "")
    assert sentence in answer.err


def test_anatomy_of_huge_inputs_takes_no_memory(cnn):
    started = time.perf_counter()
    answer = cnn("anatomy", "mlp", "--input", "3x100000x100000", "--json")  # its first layer alone would be 60 TB
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["parameters"] > 10**13
    assert time.perf_counter() - started < 20


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent to a single process on this system")
def test_ctrl_c_in_a_training_leaves_a_run_that_goes_on(cnn, tmp_path):
    words = ["train", "digits", "--epochs", "12", "--run", str(tmp_path / "run"), "--quiet", *SMALL]
    # A shell that starts something in the background lets it ignore Ctrl-C, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [sys.executable, "-m", "cnn_core.cli", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    deadline = time.monotonic() + 150
    while not (tmp_path / "run/last.pt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    done = len((tmp_path / "run/log.csv").read_text().splitlines()) - 1
    assert 1 <= done < 12
    answer = cnn(*words, "--resume")
    assert answer.code == 0, answer.err
    assert len((tmp_path / "run/log.csv").read_text().splitlines()) == 1 + 12
    assert (tmp_path / "run/card.json").exists()


def test_compare_trains_every_way_of_transfer(cnn, run):
    answer = cnn("compare", run, "--data", "digits", "--epochs", "1", "--device", "cpu", "--json")
    assert answer.code == 0, answer.err
    rows = json.loads(answer.out)["rows"]
    assert [row["mode"] for row in rows] == ["bottleneck", "freeze", "fine-tune", "scratch"]
    assert rows[0]["trained"] < rows[1]["trained"] < rows[2]["trained"] == rows[3]["trained"]
    assert Path("runs/compare-first/freeze/card.json").exists()
