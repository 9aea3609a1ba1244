"""Training: the run folder, resuming, starting from weights, batches, reports, the bench's table."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from trips import sentences, write_table

from cnn_core.classification import Mistake
from cnn_core.data.memory import EpochContext
from cnn_core.errors import CnnError, ConfigError
from cnn_core.train.config import override
from text_classification import Predictor, bench, compare, domain, evaluate_weights, load, train
from text_classification.data import TextSet, load_data, load_sets
from text_classification.recipe import Recipe
from text_classification.report import evaluate, read_report
from text_classification.task import TextTask, batches_by_length

SMALL = {"vector_size": 8, "epochs": 2, "batch_size": 25, "learning_rate": 0.01, "min_count": 1}


def settings(table: Path, **more: object) -> dict[str, object]:
    return {**SMALL, "data": str(table), **more}


def test_every_text_is_in_one_batch_and_lengths_are_alike() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 2_003)
    cuts = list(batches_by_length(lengths, 50, torch.Generator().manual_seed(0)))
    assert np.sort(np.concatenate(cuts)).tolist() == list(range(2_003))
    assert sorted(map(len, cuts))[0] == 3 and set(map(len, cuts)) == {3, 50}
    assert np.mean([np.ptp(lengths[cut]) for cut in cuts]) < 4  # unsorted: nearly 59
    again = list(batches_by_length(lengths, 50, torch.Generator().manual_seed(0)))
    assert all((a == b).all() for a, b in zip(cuts, again, strict=True))
    other = list(batches_by_length(lengths, 50, torch.Generator().manual_seed(1)))
    assert cuts[0].tolist() != other[0].tolist()


def test_a_run_leaves_weights_and_a_report(run_folder: Path, predictor: Predictor) -> None:
    card = predictor.card
    assert card.metrics["accuracy"]["mean"] > 0.9 and card.metrics["accuracy"]["n"] == 60
    report = read_report(run_folder)
    assert report.n == 60 and sum(map(sum, report.confusion)) == 60
    right = sum(report.confusion[k][k] for k in range(2))
    assert right / 60 == pytest.approx(card.metrics["accuracy"]["mean"])
    assert len(report.mistakes) == 60 - right
    assert len(report.ngrams) == 300
    best = max(report.ngrams, key=lambda entry: entry.weight * entry.ngrams[0][1] if entry.ngrams else 0)
    words = {
        "sea": "boat wave harbour sail tide fish anchor deck",
        "hill": "slope peak forest trail goat stone hut summit",
    }
    assert set(best.ngrams[0][0].split()) & set(words[best.label].split())
    assert evaluate_weights(str(run_folder), device="cpu")["metrics"]["accuracy"] == card.metrics["accuracy"]["mean"]


def test_a_report_by_hand_has_the_surest_mistakes_first() -> None:
    answers = {"right": [0.2, 0.8], "unsure": [0.4, 0.6], "sure": [0.9, 0.1]}
    known = SimpleNamespace(labels=["x", "y"], scores=lambda texts: torch.tensor([answers[t] for t in texts]).log())
    report = evaluate(known, TextSet("set", "test", ("x", "y"), [*answers], torch.tensor([1, 0, 1])))
    assert report.confusion == [[0, 1], [1, 1]] and report.metrics["accuracy"] == pytest.approx(1 / 3)
    mistakes = [(m.index, m.input, m.truth, m.answer, round(m.probability, 6)) for m in report.mistakes]
    assert mistakes == [(2, "sure", "y", "x", 0.9), (1, "unsure", "x", "y", 0.6)]


def test_a_report_of_an_earlier_version_is_read(run_folder: Path, tmp_path: Path) -> None:
    values = json.loads((run_folder / "report.json").read_text())
    mistake = {"truth": "sea", "answer": "hill", "probability": 0.75}
    values["mistakes"] = [{"text": "a boat", **mistake}]
    (tmp_path / "report.json").write_text(json.dumps(values))
    report = read_report(tmp_path)
    assert report.mistakes == [Mistake(-1, "a boat", **mistake)]
    assert (report.n, report.ngrams) == (60, read_report(run_folder).ngrams)
    for left_out in (None, []):
        (tmp_path / "report.json").write_text(json.dumps({**values, "mistakes": left_out, "ngrams": None}))
        assert (read_report(tmp_path).mistakes, read_report(tmp_path).ngrams) == (left_out, None)


def test_the_reports_ngrams_fire_their_filter_as_said(run_folder: Path, predictor: Predictor) -> None:
    report = read_report(run_folder)
    entry = next(entry for entry in report.ngrams if entry.ngrams and "·" not in entry.ngrams[0][0])
    text, said = entry.ngrams[0]
    votes = {vote.filter: vote for vote in predictor.explain(text).votes}
    assert votes[entry.filter].activation >= said - 1e-3
    values = [value for _, value in entry.ngrams]
    assert values == sorted(values, reverse=True)


def test_stopped_and_resumed_is_the_same_as_at_a_stretch(table: Path, tmp_path: Path) -> None:
    whole = train("docstrings", folder=tmp_path / "a", settings=settings(table))
    train("docstrings", folder=tmp_path / "b", settings=settings(table), observe=lambda p: p.metrics is None)
    resumed = train("docstrings", folder=tmp_path / "b", settings=settings(table), resume=True)
    assert whole.card.sha256 == resumed.card.sha256


def test_an_own_table_starts_from_weights_with_new_words_and_new_classes(run_folder: Path, tmp_path: Path) -> None:
    rows = [("lake" if label == "sea" else "alp", f"{text} brandnew") for label, text in sentences(80, seed=3)]
    table = write_table(tmp_path / "other.tsv", rows)
    outcome = train("docstrings", folder=tmp_path / "run", settings=settings(table, weights=str(run_folder), epochs=1))
    tuned, base = load(tmp_path / "run", device="cpu"), load(run_folder, device="cpu")
    assert tuned.contract.vocabulary[: len(base.contract.vocabulary)] == base.contract.vocabulary
    assert "brandnew" in tuned.contract.vocabulary
    assert tuned.labels == ["alp", "lake"]
    assert outcome.card.metrics["accuracy"]["mean"] == 1.0  # its words are known already


def test_the_two_ways_side_by_side(run_folder: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "few.tsv", sentences(60, seed=9))
    rows = compare(str(run_folder), str(table), folder=tmp_path / "c", settings={"epochs": 1, "batch_size": 10})
    assert [row["mode"] for row in rows] == ["fine-tune", "scratch"]
    assert rows[0]["accuracy"] == 1.0
    contract = load(run_folder, device="cpu").contract
    tuned, scratch = (load(tmp_path / "c" / mode, device="cpu") for mode in ("fine-tune", "scratch"))
    assert tuned.card.arguments == scratch.card.arguments
    for way in (tuned, scratch):
        assert (way.contract.tokenizer, way.contract.length) == (contract.tokenizer, contract.length)


def test_both_ways_read_as_the_weights_do(table: Path, tmp_path: Path) -> None:
    options = {"base_channels": 8, "blocks": 2}
    changed = settings(table, model="dpcnn", options=options, length=24, tokenizer="kim", epochs=1)
    train("docstrings", folder=tmp_path / "base", settings=changed)
    few = write_table(tmp_path / "few.tsv", sentences(60, seed=9))
    compare(str(tmp_path / "base"), str(few), folder=tmp_path / "c", settings={"epochs": 1, "batch_size": 10})
    tuned, scratch = (load(tmp_path / "c" / mode, device="cpu") for mode in ("fine-tune", "scratch"))
    for way in (tuned, scratch):
        assert (way.contract.tokenizer, way.contract.length) == ("kim", 24)
    assert tuned.card.arguments == scratch.card.arguments
    assert scratch.card.arguments["options"] == {"vectors": "rand", "size": 8, **options}


def test_the_weights_own_data_are_known_by_any_spelling(
    run_folder: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    # Its column and its refusal of learned texts go with it.
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    card = json.loads((folder / "card.json").read_text())
    card["recipe"]["data"]["validation"] = False
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(CnnError, match="learned from the validation split too"):
        evaluate_weights(str(folder), data=table.name, split="val", device="cpu")
    card["recipe"]["data"]["fold"] = 3
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.MonkeyPatch.context() as patch:
        asked = {}
        patch.setattr(domain, "load_data", lambda data, how: asked.update(fold=how.fold) or load_data(data, how))
        (folder / "members.safetensors").unlink()  # as in runs of before they were kept
        evaluate_weights(str(folder), data=table.name, device="cpu")
    assert asked["fold"] == 3


def test_smoothed_labels_give_every_class_its_share() -> None:
    """Chances 1/2, 1/4, 1/4 and the first class: log 2 for it, and on average 5/3 log 2 for the share of 0.3."""
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    step = TextTask(override(Recipe(), {"label_smoothing": 0.3})).training_step(
        lambda x: logits, (torch.zeros(1), torch.tensor([0]))
    )
    assert float(step) == pytest.approx((0.7 + 0.3 * 5 / 3) * math.log(2))


def test_lower_case_can_be_learned_beside(tmp_path: Path) -> None:
    rows = [row for i in range(20) for row in (("x", f"Anna went {i}"), ("y", f"rain fell {i}"))]
    table = write_table(tmp_path / "a.tsv", rows)
    task = TextTask(override(Recipe(), settings(table, tokenizer="cased_english", lower_case_too=True)))
    task.build_data(torch.device("cpu"))
    assert {"Anna", "anna"} <= {*task.contract.vocabulary}
    assert len(task.sets["train"]) == 16 * 2 + 16 and len(task.sets["test"]) == 4
    assert task.targets["train"].bincount().tolist() == [32, 16]


def test_repeats_are_learned_from_once(tmp_path: Path) -> None:
    rows = [(label, f"{label} {k % 10}") for label in "xy" for k in range(30)]
    table = write_table(tmp_path / "a.tsv", rows)
    for once, expected in ((False, [24, 24]), (True, [8, 8])):
        task = TextTask(override(Recipe(), settings(table, once=once, tokenizer="whitespace")))
        task.build_data(torch.device("cpu"))
        assert task.targets["train"].bincount().tolist() == expected and len(task.sets["test"]) == 6


@pytest.mark.parametrize(("changes", "said"), [
    ({"vectors": "static"}, "needs a vector_file"),
    ({"vector_file": "x.txt"}, "not used with vectors 'rand'"),
    ({"word_dropout": 1.0}, "word_dropout: expected a number less than 1"),
    ({"fold": 10}, "fold: expected a number less than 10"),
    ({"length": 0}, "length: expected a number greater than or equal to 1"),
])  # fmt: skip
def test_impossible_settings_are_all_said(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(Recipe(), changes)


def test_weights_and_a_file_of_vectors_are_refused_together(table: Path, run_folder: Path) -> None:
    changed = settings(table, weights=str(run_folder), vectors="static", vector_file="glove.txt")
    with pytest.raises(ConfigError, match=r"expected weights or vector_file, got both \(.*trips and glove.txt\)"):
        TextTask(override(Recipe(), changed))


def test_settings_that_the_weights_decide_are_said(
    table: Path, run_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = settings(table, weights=str(run_folder), tokenizer="kim", length=9, vectors="one-hot")
    for more, said in ((changed, ["tokenizer 'kim'", "length 9", "vectors 'one-hot'"]), ({"length": None}, [])):
        caplog.clear()
        task = TextTask(override(Recipe(), {**settings(table, weights=str(run_folder)), **more}))
        task.build_data(torch.device("cpu"))
        lines = [record.message for record in caplog.records if record.name == "text_classification.task"]
        assert [line.partition(" is not used")[0] for line in lines] == said
        assert all(str(run_folder) in line for line in lines)


def test_half_a_surrogate_pair_can_be_learned_from_and_saved(tmp_path: Path) -> None:
    lines = [json.dumps({"label": label, "text": f"{text} \ud83d"}) for label, text in sentences(60)]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines))
    train("docstrings", folder=tmp_path / "run", settings=settings(file, epochs=1, tokenizer="whitespace"))
    vocabulary = load(tmp_path / "run", device="cpu").contract.vocabulary
    assert "?" in vocabulary and all(token.isascii() for token in vocabulary)


def test_vectors_from_a_file_are_used_and_a_bad_file_is_a_sentence(table: Path, tmp_path: Path) -> None:
    file = tmp_path / "glove.txt"
    file.write_text("3 4\nboat 1 2 3 4\npeak 5 6 7 8\nelsewhere 0 0 0 1\n")
    for vectors in ("static", "non-static", "multichannel"):
        task = TextTask(override(Recipe(), settings(table, vectors=vectors, vector_file=str(file))))
        task.build_data(torch.device("cpu"))
        net = task.build_model()
        place = task.contract.numbers["boat"]
        own = net.learned if vectors == "non-static" else net.fixed
        assert own[place].tolist() == [1, 2, 3, 4]
        x, y = next(iter(task.batches(EpochContext(0, torch.Generator().manual_seed(0)))))
        task.training_step(net, (x, y)).backward()
    for text, said in (
        ("boat 1 x\n", "line 1: expected a word followed by numbers"),
        ("", "no word vectors"),
        ("a 1 2\nboat 1 2 3\n", "line 2: expected 2 numbers, got 3"),
        ("boat nan 1\n", "not finite"),
    ):
        file.write_text(text)
        with pytest.raises(CnnError, match=said):
            TextTask(override(Recipe(), settings(table, vectors="static", vector_file=str(file)))).build_data("cpu")
    with pytest.raises(CnnError, match="download the vectors from http"):
        TextTask(override(Recipe(), settings(table, vectors="static", vector_file="glove.6B.300d"))).build_data("cpu")


@pytest.mark.parametrize("model", ["dpcnn", "resnet20"])
def test_a_deep_network_trains_and_is_explained(table: Path, tmp_path: Path, model: str) -> None:
    options = {"dpcnn": {"base_channels": 8, "blocks": 2}, "resnet20": {}}[model]
    changed = settings(table, model=model, options=options, length=24, epochs=1)
    train("docstrings", folder=tmp_path / "run", settings=changed)
    predictor = load(tmp_path / "run", device="cpu")
    assert predictor.predict("a boat " * 40)[0].note == "only the first 24 words were read"
    found = predictor.explain("a boat near the trail")
    assert found.method == "integrated-gradients" and len(found.weights) == 5
    assert read_report(tmp_path / "run").ngrams == []


def test_characters_train_too(table: Path, tmp_path: Path) -> None:
    options = {"base_channels": 4, "dense": 8}
    changed = settings(
        table, model="char_cnn", options=options, length=123, tokenizer="characters", vectors="one-hot", epochs=1
    )
    train("docstrings", folder=tmp_path / "run", settings=changed)
    assert load(tmp_path / "run", device="cpu").predict("a boat")[0].error is None
    # One-hot weights are started from with their own characters: "µ" has no channel.
    rows = [("lake" if label == "sea" else "alp", f"{text} µ") for label, text in sentences(40, seed=3)]
    other = write_table(tmp_path / "other.tsv", rows)
    train("docstrings", folder=tmp_path / "new", settings=settings(other, weights=str(tmp_path / "run"), epochs=1))
    tuned, base = load(tmp_path / "new", device="cpu"), load(tmp_path / "run", device="cpu")
    assert tuned.contract == base.contract and tuned.labels == ["alp", "lake"]


def test_the_bench_writes_its_table_and_does_not_train_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "text" / "trec"
    folder.mkdir(parents=True)
    for part, count in (("train", 60), ("test", 12)):
        rows = [
            (("HUM", "LOC", "NUM", "ABBR", "DESC", "ENTY")[i % 6], f"{text} w{i % 6}")
            for i, (_, text) in enumerate(sentences(count))
        ]
        write_table(folder / f"{part}.tsv", rows)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    lines: list[str] = []
    rows = bench.kim2014(tmp_path / "bench", columns=["trec"], seeds=[0, 1], report=lines.append)
    assert rows["trec"]["n"] == 2 and rows["trec"]["mean"] == pytest.approx(np.mean(rows["trec"]["values"]), abs=0.01)
    assert json.loads((tmp_path / "bench" / "table.json").read_text())["columns"] == rows
    table = (tmp_path / "bench" / "table.md").read_text()
    assert "| Kim 2014, CNN-rand | 91.2 |" in table and "2 seeds" in table
    first, second = (load(tmp_path / "bench" / "trec" / f"seed{i}", device="cpu") for i in (0, 1))
    texts = load_sets("trec", splits=("test",))["test"]
    probabilities = (first.scores(texts.texts).softmax(1) + second.scores(texts.texts).softmax(1)) / 2
    right = (probabilities.argmax(1) == texts.targets).double().mean().item()
    assert rows["trec"]["together"] == pytest.approx(100 * right, abs=0.01)
    before = (tmp_path / "bench" / "trec" / "seed0" / "card.json").stat().st_mtime_ns
    assert bench.kim2014(tmp_path / "bench", columns=["trec"], seeds=[0, 1]) == rows
    assert (tmp_path / "bench" / "trec" / "seed0" / "card.json").stat().st_mtime_ns == before
    with pytest.raises(CnnError, match="unknown column"):
        bench.kim2014(tmp_path, columns=["imdb"])


def test_the_bench_of_vectors_trains_each_way_and_says_what_the_paper_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path, dict]] = []

    def train_once(recipe: str, folder: Path, settings: dict) -> SimpleNamespace:
        asked.append((recipe, folder, settings))
        accuracy = {"static": 0.9, "non-static": 0.92, "multichannel": 0.91}[settings["vectors"]]
        return SimpleNamespace(metrics={"accuracy": {"mean": accuracy + 0.01 * settings["seed"]}}, seconds=2.0)

    monkeypatch.setattr(bench, "DOMAIN", SimpleNamespace(train_once=train_once))
    rows = bench.kim2014_glove(tmp_path, columns=["trec"], seeds=[0, 1])
    assert len(asked) == 6 and {recipe for recipe, _, _ in asked} == {"kim-trec"}
    assert len({folder for _, folder, _ in asked}) == 6 and all("vector_file" in each for _, _, each in asked)
    assert rows["trec"]["published"] == {"static": 92.8, "non-static": 93.6, "multichannel": 92.2}
    assert rows["trec"]["mean"] == {"static": 90.5, "non-static": 92.5, "multichannel": 91.5}
    table = (tmp_path / "table.md").read_text().splitlines()
    assert table[2:5] == [
        "| Kim 2014, CNN-static, word2vec 300 | 92.8 |", "| here, static, GloVe 100 | 90.5 ± 0.7 |",
        "| Kim 2014, CNN-non-static, word2vec 300 | 93.6 |",
    ]  # fmt: skip
    assert table[-1] == "| trainings | 2 seeds |"
