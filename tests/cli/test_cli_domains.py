"""The command with domains that others install, and the settings of their recipes as flags."""

import json
import shutil

import pytest

from cnn_core.cli.parser import build_parser, model_option
from cnn_core.cli.training import repeating
from cnn_core.weights import find_weights

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
    for words in ("epochs: expected a number", "learning_rate: expected a finite number", "device: expected auto"):
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
        assert not flags & {*setting_homes(load_domain(domain).DOMAIN.recipe)} - {"data"}


def flags_of(command: str) -> list[str]:
    usage = build_parser().parse_args([command, *(["x", "--data", "y"] if command == "compare" else ["x"])]).parser
    return [word for action in usage._actions for word in action.option_strings]


def test_the_command_of_a_card_repeats_the_training():
    given = ["train", "mnist", "--run", "here", "--epochs", "3", "--json", "--name=x", "--option", "a=1, 2", "--resume"]
    assert repeating(given) == "cnn train mnist --epochs 3 --option 'a=1, 2'"
