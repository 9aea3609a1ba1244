"""What every command promises: exit codes, one sentence, pure JSON. Nothing here needs torch."""

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_core.cli.looking import parse_shape, port_is_free
from cnn_core.cli.parser import build_parser, model_option
from cnn_core.cli.training import repeating
from cnn_core.errors import CnnError
from cnn_core.weights import find_weights

LIGHT = """
import sys
from cnn_core.cli import main
code = main(sys.argv[1:])
heavy = sorted({"torch", "torchvision", "numpy", "lightning_fabric", "streamlit"} & set(sys.modules))
print(f"heavy: {heavy}", file=sys.stderr)
sys.exit(code)
"""

# ---- usage: exit code 2, and what was expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "required: COMMAND"),
        ("frobnicate", "invalid choice: 'frobnicate'"),
        ("list nothing", "invalid choice: 'nothing'"),
        ("list --jsom", "unrecognized arguments: --jsom"),
        ("list --js", "unrecognized arguments: --js"),  # no guessing
        ("data", "required: action, NAME"),
        ("data put mnist", "invalid choice: 'put'"),
        ("anatomy", "required: MODEL"),
        ("anatomy lenet --classes many", "invalid int value: 'many'"),
        ("explain digits a.png", "required: --output"),
        ("export digits", "required: --output"),
        ("eval digits --split best", "invalid choice: 'best'"),
        ("predict digits", "required: INPUT"),
        ("demo --port 0", "expected a port from 1 to 65535, got '0'"),
        ("demo --port http", "expected a port from 1 to 65535, got 'http'"),
        ("train digits --seeds 1 x", "expected whole numbers from 0 to 4294967295, got 'x'"),
        ("train digits --seeds -1", "expected"),
        ("train digits --seeds 1 2 1", "expected different seeds, got 1 2 1"),
        ("train digits --option widths", "expected NAME=VALUE such as widths=64,128, got 'widths'"),
        ("train digits --run", "expected one argument"),
        ("compare digits", "required: --data"),
    ],
)
def test_wrong_usage(cnn, line, words):
    answer = cnn(*line.split())
    assert answer.code == 2
    assert answer.out == ""
    assert words in answer.err
    assert answer.err.startswith("usage: cnn")


@pytest.mark.parametrize("line", ["--help", "list --help", "predict -h", "demo --help"])
def test_help_is_no_error(cnn, line):
    answer = cnn(*line.split())
    assert answer.code == 0
    assert answer.out.startswith("usage: cnn")
    assert answer.err == ""


def test_training_without_a_recipe_shows_the_recipes(cnn):
    for line in ("train", "train --epochs 3 digits", "train --resume"):
        answer = cnn(*line.split())
        assert (answer.code, answer.out) == (2, "")
        assert "the recipe comes first" in answer.err
        assert "digits" in answer.err
    answer = cnn("train", "--help")
    assert answer.code == 0
    assert "mnist" in answer.out


# ---- names


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train digitz", "unknown recipe 'digitz'; did you mean digits?"),
        ("train nowhere.toml", "nowhere.toml: cannot be read (No such file or directory)"),
        ("eval digitz", "unknown weights 'digitz'"),
        ("predict ./nowhere a.png", "no such folder: nowhere"),
        ("explain digitz a.png --output b.png", "unknown weights 'digitz'"),
        ("export digitz --output onnx", "unknown weights 'digitz'"),
        ("compare digitz --data digits", "unknown weights 'digitz'"),
    ],
)
def test_unknown_names_are_answered_with_what_there_is(cnn, line, words):
    answer = cnn(*line.split())
    assert (answer.code, answer.out) == (1, "")
    assert words in answer.err
    assert answer.err.startswith("cnn: ")
    assert answer.err.count("\n") == 1


# ---- list


def test_list_recipes_by_name_and_as_json(cnn):
    answer = cnn("list", "recipes", "--json")
    rows = json.loads(answer.out)["recipes"]
    names = [row["name"] for row in rows]
    assert names == sorted(names)
    assert {"digits", "mnist", "cifar10"} <= {*names}
    assert {row["text"].split(": ")[0] for row in rows} >= {"image_classification", "text_classification"}
    plain = cnn("list", "recipes")
    assert [line.split()[0] for line in plain.out.splitlines()] == names


@pytest.mark.parametrize("kind", ["recipes", "weights"])
def test_listing_loads_nothing_heavy(cnn_process, kind):
    answer = cnn_process("list", kind, python=("-c", LIGHT))
    assert answer.code == 0, answer.err
    assert "heavy: []" in answer.err


# ---- a fifth domain


def test_a_domain_of_another_distribution_is_found_by_being_installed(cnn, fifth):
    rows = {row["name"]: row["text"] for row in json.loads(cnn("list", "recipes", "--json").out)["recipes"]}
    assert rows["scales"] == "fifth: do re mi"
    assert rows["digits"].startswith("image_classification: ")
    assert rows["broken"].startswith("fifth: cannot be used: ")
    assert "not a TOML file" in rows["broken"]


def test_it_trains_and_brings_its_data(cnn, fifth, tmp_path):
    answer = cnn("train", "scales", "--epochs", "3", "--quiet")
    assert answer.code == 0
    assert answer.out.splitlines()[1:] == [
        "test accuracy 0.5000 (n 4)",
        "weights and card: runs/scales",
    ]
    assert (tmp_path / "runs/scales/said.txt").read_text() == "cnn train scales --epochs 3|scales|3|[('tempo', 90)]"
    for spelling in ("tone_rows", "tone-rows"):
        assert cnn("data", "get", spelling).out == "fetched/tone_rows\n"


def test_a_domain_that_cannot_be_imported_does_not_take_the_others_along(cnn, install, write, tmp_path, caplog):
    write(tmp_path / "more", "seventh", recipes={}, code="import a_package_that_is_not_there\n")
    install(tmp_path / "more")
    answer = cnn("list", "data", "--json")
    assert answer.code == 0 and "digits" in [row["name"] for row in json.loads(answer.out)["data"]]
    assert "the domain seventh is left out: No module named 'a_package_that_is_not_there'" in caplog.text
    assert cnn("data", "get", "digits").code == 0


def test_a_domain_under_another_name_than_its_packages_is_refused_before_it_trains(cnn, install, write, tmp_path):
    write(tmp_path / "more", "seventh", recipes={"octaves": 'description = "do do"'}, entry="tones")
    install(tmp_path / "more")
    answer = cnn("train", "octaves")
    assert answer.code == 1 and "the entry point 'tones' leads to the package 'seventh'" in answer.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words", [("eval", "W"), ("explain", "W", "a.png", "--output", "b.png"), ("compare", "W", "--data", "tone_rows")]
)
def test_what_a_domain_does_not_offer_is_said(cnn, fifth, tmp_path, words):
    own = shutil.copytree(find_weights("digits"), tmp_path / "own")
    card = json.loads((own / "card.json").read_text())
    (own / "card.json").write_text(json.dumps({**card, "domain": "fifth"}))
    answer = cnn(*(str(own) if word == "W" else word for word in words))
    assert answer.code == 1 and f"fifth does not offer `cnn {words[0]}`" in answer.err


def test_two_domains_with_a_recipe_of_one_name(cnn, fifth, sixth, tmp_path):
    rows = {row["name"]: row["text"] for row in json.loads(cnn("list", "recipes", "--json").out)["recipes"]}
    assert "scales" not in rows
    assert rows["fifth/scales"] == "fifth: do re mi"
    assert rows["sixth/scales"] == "sixth: la ti do"
    answer = cnn("train", "scales")
    assert answer.code == 1
    assert "fifth/scales" in answer.err
    assert "sixth/scales" in answer.err
    assert cnn("train", "sixth/scales", "--quiet").code == 0
    assert (tmp_path / "runs/scales/said.txt").exists()


def test_a_recipe_file_says_whose_it_is(cnn, fifth, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[loop]\nepochs = 7\n")
    answer = cnn("train", file, "--quiet")
    assert answer.code == 1
    assert "expected a first line such as domain = " in answer.err
    file.write_text("domain = 'fifht'\n")
    assert "unknown domain 'fifht'; did you mean fifth?" in cnn("train", file).err
    file.write_text("domain = 'fifth'\n[loop]\nepochs = 7\n")
    assert cnn("train", file, "--quiet", "--run", "here").code == 0
    assert (tmp_path / "here/said.txt").read_text() == f"cnn train {file}|mine|7|[]"


def test_a_damaged_recipe_is_a_sentence(cnn, fifth):
    answer = cnn("train", "broken")
    assert answer.code == 1
    assert "not a TOML file" in answer.err
    assert answer.err.count("\n") == 1


# ---- settings as flags


def test_options_of_the_model_change_one_by_one_and_go_with_another_model(cnn, fifth, tmp_path):
    said = tmp_path / "runs/scales/said.txt"
    cnn("train", "scales", "--quiet", "--option", "key=c-sharp", "--option", "widths=8,16")
    assert said.read_text().endswith("|[('key', 'c-sharp'), ('tempo', 90), ('widths', [8, 16])]")
    cnn("train", "scales", "--quiet", "--model", "lenet", "--option", "rate=0.5")
    assert said.read_text().endswith("|[('rate', 0.5)]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("depth=3", ("depth", 3)),
        ("drop-out=2e-1", ("drop_out", 0.2)),
        ("on=true", ("on", True)),
        ("act=gelu", ("act", "gelu")),
        ("widths=8,", ("widths", [8])),
        ("widths=8,16", ("widths", [8, 16])),
        ("widths=[8, 16]", ("widths", [8, 16])),
        ("text='1,2'", ("text", "1,2")),
        ("a=1\nb = 2", ("a", "1\nb = 2")),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_values_of_options(text, expected):
    assert model_option(text) == expected


def test_impossible_settings_are_named_together(cnn, fifth):
    answer = cnn("train", "scales", "--epochs", "0", "--learning-rate", "nan", "--device", "gpu")
    assert answer.code == 1
    for words in ("epochs: expected at least 1", "learning_rate: expected a number, got nan", "device: expected auto"):
        assert words in answer.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--epochz 3", "--epochs"),
        ("--epochs three", "three"),
        ("--epochs", "--epochs"),
        ("--schedule cosin", "cosine"),
        ("surplus", "surplus"),
    ],
)
def test_wrong_flags_of_a_recipe_are_wrong_usage(cnn, fifth, flags, words):
    answer = cnn("train", "scales", *flags.split())
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err


def test_help_of_a_recipe_shows_every_setting_with_its_value(cnn, fifth):
    answer = cnn("train", "scales", "--help")
    assert answer.code == 0
    for flag in ("--run", "--resume", "--seeds", "--option", "--epochs", "--learning-rate", "--device"):
        assert flag in answer.out


def test_no_setting_has_the_name_of_a_flag_of_the_command(fifth):
    from cnn_core.domains import domain_folders, load_domain
    from cnn_core.train.config import setting_homes

    flags = {word.strip("-") for name in ("train", "compare") for word in flags_of(name)}
    for domain in domain_folders():
        assert not flags & {*setting_homes(load_domain(domain).RECIPE)} - {"data"}


def flags_of(command: str) -> list[str]:
    usage = build_parser().parse_args([command, *(["x", "--data", "y"] if command == "compare" else ["x"])]).parser
    return [word for action in usage._actions for word in action.option_strings]


def test_the_command_of_a_card_repeats_the_training():
    given = ["train", "mnist", "--run", "here", "--epochs", "3", "--json", "--name=x", "--option", "a=1, 2", "--resume"]
    assert repeating(given) == "cnn train mnist --epochs 3 --option 'a=1, 2'"


# ---- failures


def test_json_is_one_object_whatever_a_library_prints(cnn, fifth):
    answer = cnn("train", "scales", "--json")
    assert answer.code == 0
    assert answer.out.count("\n") == 1
    result = json.loads(answer.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (result["run"], result["weights"], result["seconds"]) == ("runs/scales", "scales", 1.5)
    assert result["metrics"]["accuracy"]["values"] == [None]
    assert "a library that talks" in answer.err


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("memory", "cnn: there is not enough memory for this; a smaller --batch-size"),
        ("python-memory", "cnn: there is not enough memory for this"),
        ("disk", "cnn: /dev/null/here: Not a directory"),
        ("package", "cnn: this needs the package 'a_package_that_nobody_has', which is not installed"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(cnn, fifth, fails, words):
    answer = cnn("train", "scales", "--json", "--option", f"fails={fails}")
    assert (answer.code, answer.out) == (1, "")
    assert words in answer.err
    assert "Traceback" not in answer.err


def test_ctrl_c_is_130(cnn, fifth):
    answer = cnn("train", "scales", "--json", "--option", "fails=interrupt")
    assert (answer.code, answer.out) == (130, "")
    assert "interrupted" in answer.err


@pytest.mark.parametrize(("fails", "kind"), [("defect", KeyError), ("runtime", RuntimeError)])
def test_a_defect_of_ours_reaches_programs_as_it_is(cnn, fifth, fails, kind):
    with pytest.raises(kind):
        cnn("train", "scales", "--option", f"fails={fails}")


def test_a_defect_of_ours_is_a_sentence_for_users_and_a_traceback_for_debug(cnn_process):
    answer = cnn_process("train", "scales", "--option", "fails=runtime", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "this is a defect of cnn, not of your input (RuntimeError: mat1 and mat2" in answer.err
    assert "--debug" in answer.err
    assert "Traceback" not in answer.err
    answer = cnn_process("train", "scales", "--debug", "--option", "fails=runtime")
    assert answer.code == 1
    assert "Traceback" in answer.err


def test_debug_shows_the_traceback_of_a_users_mistake_too(cnn):
    with pytest.raises(CnnError, match="digitz"):
        cnn("train", "digitz", "--debug")


# ---- the process around it


def test_a_reader_that_goes_away_is_no_error(fifth_site):
    script = f"{sys.executable} -m cnn_core.cli list recipes | true; echo ${{PIPESTATUS[0]}}"
    for _ in range(2):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=100)
        assert done.stdout.strip() in ("141", "0")  # 0: all was written before the reader went
        assert done.stderr == ""


def test_output_that_cannot_be_written_is_a_sentence():
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cnn_core.cli", "list", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_that_a_terminal_cannot_show_do_not_break_the_output(cnn_process, tmp_path):
    answer = cnn_process("train", "schön\udcff.toml", environment={"PYTHONIOENCODING": "ascii"})
    assert answer.code == 1
    assert "cannot be read" in answer.err
    assert "Traceback" not in answer.err


def test_the_installed_command_is_this_one():
    from importlib.metadata import entry_points

    (point,) = [p for p in entry_points(group="console_scripts") if p.name == "cnn"]
    assert point.value == "cnn_core.cli:main"


# ---- shapes and ports


@pytest.mark.parametrize("text", ["3x224x224", "1x5", "4X8x8x8"])
def test_shapes(text):
    assert parse_shape(text) == tuple(int(n) for n in text.lower().split("x"))


@pytest.mark.parametrize(
    "text", ["", "3", "3x", "x3", "3x0", "3x-1", "3x2.5", "axb", "1x2x3x4x5", "3x99999999999", "3x٣", "3 x 3"]
)
def test_bad_shapes(text):
    with pytest.raises(CnnError, match="expected channels x size"):
        parse_shape(text)


def test_a_port_in_use_is_said_before_anything_starts(cnn):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free(port)
        answer = cnn("demo", "--port", str(port))
        assert answer.code == 1
        assert f"port {port} is in use" in answer.err
        assert "--port" in answer.err
    assert port_is_free(port)
