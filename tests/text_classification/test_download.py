"""`cnn data get` of the published text sets against a server of our own: addresses, checks, and the tables written."""

import csv
import hashlib
import io
import json
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import torchtext.data
import torchtext.datasets
from safetensors.numpy import save
from trips import write_table

from cnn_core.cli import main
from cnn_core.errors import CnnError, DataError
from text_classification import DATA_SETS, download, minilm
from text_classification.data import load_sets
from text_classification.vectors import load_vectors

TREES = {
    "train": ["(3 (2 A) (4 Joy))", "(1 (2 (2 No) (2 -LRB-)) (0 fun\\/games))"],
    "dev": ["(2 (2 So) (2 so))", "(4 (4 Great) (2 .))"],
    "test": ["(0 Bad)", "(2 It)"],
}
NEWS = {
    "train": [("3", 'Oil, "up"', "Prices\trose"), ("1", '"Peace" in', "line one\nline two")],
    "test": [("2", "Match", "won"), ("4", "Chip", "made\\ here")],
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the server has."""
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def address(place: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=place)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def serve(file: Path, body: bytes, kind: str = "sha256") -> str:
    file.write_bytes(body)
    return hashlib.new(kind, body).hexdigest()


@pytest.fixture
def trec(place: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    train = "NUM:dist How far is it ?\nLOC:city Which sister\xf0city ?\nNUM:date When : at 5 ?\n"
    files = {"train_5500.label": train, "TREC_10.label": "LOC:city Where ?\nHUM:ind Who ?\n"}
    sums = [serve(place / name, text.encode("latin-1")) for name, text in files.items()]
    monkeypatch.setattr(torchtext.datasets.TREC, "urls", [address + name for name in files])
    monkeypatch.setattr(download, "TREC_SHA256", dict(zip(("train", "test"), sums, strict=True)))
    return train


def test_the_addresses_are_torchtexts() -> None:
    assert [url.rsplit("/", 1)[1] for url in torchtext.datasets.TREC.urls] == ["train_5500.label", "TREC_10.label"]
    assert [url.rsplit("/", 1)[1] for url in torchtext.datasets.SST.urls] == ["trainDevTestTrees_PTB.zip"]


def test_questions_come_with_both_kinds_of_classes(trec: str, tmp_path: Path) -> None:
    sentence = DATA_SETS["trec"].fetch(data_root=tmp_path)
    assert sentence == f"trec: 3 + 2 texts in {tmp_path / 'text' / 'trec'}"
    assert {file.name for file in (tmp_path / "text" / "trec").iterdir()} == {"train_5500.label", "TREC_10.label"}
    sets = load_sets("trec", splits=["train+val", "test"], data_root=tmp_path)
    assert sets["train+val"].texts == ["How far is it ?", "Which sisterðcity ?", "When : at 5 ?"]
    assert [sets["test"].labels[k] for k in sets["test"].targets] == ["LOC", "HUM"]
    DATA_SETS["trec_fine"].fetch(data_root=tmp_path)
    table = DATA_SETS["trec_fine"].read(tmp_path / "text" / "trec_fine", ["train"])["train"]
    assert (table.labels, table.texts) == (["NUM:dist", "LOC:city", "NUM:date"], sets["train+val"].texts)


@pytest.mark.parametrize("fine", [False, True])
def test_torchtext_reads_the_same_questions(trec: str, tmp_path: Path, fine: bool) -> None:
    """Except for the one letter that it replaces with a space."""
    name = "trec_fine" if fine else "trec"
    DATA_SETS[name].fetch(data_root=tmp_path)
    field, label = torchtext.data.RawField(), torchtext.data.RawField()
    theirs = torchtext.datasets.TREC(tmp_path / "text" / name / "train_5500.label", field, label, fine_grained=fine)
    ours = DATA_SETS[name].read(tmp_path / "text" / name, ["train"])["train"]
    assert [text.replace("ð", " ") for text in ours.texts] == [example.text for example in theirs.examples]
    assert ours.labels == [example.label for example in theirs.examples]


@pytest.fixture
def treebank(place: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for part, trees in TREES.items():
            file.writestr(f"trees/{part}.txt", "\n".join(trees) + "\n")
    name = "trainDevTestTrees_PTB.zip"
    monkeypatch.setattr(download, "TREEBANK_SHA256", serve(place / name, archive.getvalue()))
    monkeypatch.setattr(torchtext.datasets.SST, "urls", [address + name])


def test_trees_become_sentences_and_phrases(treebank: None, tmp_path: Path) -> None:
    assert "2 + 2 + 2 texts" in DATA_SETS["sst1"].fetch(data_root=tmp_path)
    folder = tmp_path / "text" / "sst1"
    assert sorted(file.name for file in folder.iterdir()) == [".lock", "trainDevTestTrees_PTB.zip", "trees"]
    test = DATA_SETS["sst1"].read(folder, ["test"])["test"]
    assert (test.labels, test.texts) == (["very_negative", "neutral"], ["bad", "it"])
    phrases = DATA_SETS["sst1"].read(folder, ["train_phrases"])["train_phrases"]
    assert list(zip(phrases.labels, phrases.texts, strict=True)) == [
        ("neutral", "a"), ("very_positive", "joy"), ("positive", "a joy"), ("neutral", "no"), ("neutral", "-lrb-"),
        ("neutral", "no -lrb-"), ("very_negative", "fun\\/games"), ("negative", "no -lrb- fun\\/games"),
    ]  # fmt: skip
    DATA_SETS["sst2"].fetch(data_root=tmp_path)
    sets = load_sets("sst2", splits=["train", "val", "test"], phrases=True, data_root=tmp_path)
    assert sets["train"].texts == ["joy", "a joy", "fun\\/games", "no -lrb- fun\\/games"]
    assert sets["train"].targets.tolist() == [1, 1, 0, 0]
    assert (sets["val"].texts, sets["test"].texts) == (["great ."], ["bad"])


def test_news_are_title_and_first_lines_in_one(
    place: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = {}
    for part, rows in NEWS.items():
        table = io.StringIO()
        csv.writer(table, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        sums[part] = serve(place / f"{part}.csv", table.getvalue().encode(), "md5")
    monkeypatch.setattr(download, "AG_NEWS_MD5", sums)
    monkeypatch.setattr(download, "AG_NEWS", address)
    assert "2 + 2 texts" in DATA_SETS["ag_news"].fetch(data_root=tmp_path)
    read = DATA_SETS["ag_news"].read(tmp_path / "text" / "ag_news", ["train", "test"])
    assert read["train"].texts == ['Oil, "up" . Prices rose', '"Peace" in . line one line two']
    assert read["test"].texts == ["Match . won", "Chip . made\\ here"]
    assert [*read["train"].labels, *read["test"].labels] == ["Business", "World", "Sports", "Sci_Tech"]


def test_reviews_are_a_file_per_class(
    place: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"neg": b"too long .\n\n", "pos": "caf\u00e9 \u2026 it\u2019s good ;\nnext\n".encode("cp1252")}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for ending, body in files.items():
            entry = tarfile.TarInfo(f"rt-polaritydata/rt-polarity.{ending}")
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    monkeypatch.setattr(download, "POLARITY", f"{address}rt-polaritydata.tar.gz")
    monkeypatch.setattr(download, "POLARITY_SHA256", serve(place / "rt-polaritydata.tar.gz", archive.getvalue()))
    assert "3 texts" in DATA_SETS["mr"].fetch(data_root=tmp_path)
    table = DATA_SETS["mr"].read(tmp_path / "text" / "mr", ["all"])["all"]
    assert table.labels == ["negative", "positive", "positive"]
    assert table.texts == ["too long .", "caf\u00e9 \u2026 it\u2019s good ;", "next"]
    (tmp_path / "text" / "mr" / "rt-polaritydata" / "rt-polarity.neg").unlink()  # damaged: it is unpacked again
    assert "3 texts" in DATA_SETS["mr"].fetch(data_root=tmp_path)


@pytest.mark.parametrize(("name", "file", "labels"), [
    ("subj", "subj.all", ["subjective", "objective"]), ("cr", "custrev.all", ["negative", "positive"]),
    ("mpqa", "mpqa.all", ["negative", "positive"]),
])  # fmt: skip
def test_sentences_stand_behind_their_class(
    name: str, file: str, labels: list[str], place: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SENTENCES", address)
    monkeypatch.setitem(
        download.SENTENCES_SHA256, file, serve(place / file, b"0 no \x93way\x94\n1 yes : 1\x85 a\n1 \n")
    )
    assert f"{name}: 2 texts" in DATA_SETS[name].fetch(data_root=tmp_path)
    table = DATA_SETS[name].read(tmp_path / "text" / name, ["all"])["all"]
    assert (table.labels, table.texts) == (labels, ["no \u201cway\u201d", "yes : 1\u2026 a"])
    (tmp_path / "text" / name / file).write_bytes(b"7 of another set\n")
    with pytest.raises(DataError, match=rf"does not hold {name} as published .*`cnn data get {name}` does"):
        load_sets(name, splits=["test"], data_root=tmp_path)


@pytest.mark.parametrize(("name", "file", "body"), [
    ("trec", "train_5500.label", "NUM:dist\n"),  # no question
    ("ag_news", "train.csv", '"0","Title","of no class"\n'),
    ("ag_news", "train.csv", '"1","two columns"\n'),
    ("sst2", "trees/train.txt", "(3 (2 A) (4 jo"),
    ("sst2", "trees/train.txt", "(4 good))"),
    ("mpqa", "mpqa.all", "-1 of no class\n"),
    ("mpqa", "mpqa.all", ""),
])  # fmt: skip
def test_a_damaged_file_is_a_sentence_and_nothing_is_guessed(name: str, file: str, body: str, tmp_path: Path) -> None:
    place = tmp_path / "text" / name / file
    place.parent.mkdir(parents=True)
    place.write_text(body)
    parts = ["all"] if name == "mpqa" else ["train"]
    with pytest.raises(DataError, match=rf"does not hold {name} as published .*; `cnn data get {name}` does"):
        DATA_SETS[name].read(tmp_path / "text" / name, parts)


def test_tables_of_our_own_come_first(trec: str, tmp_path: Path) -> None:
    DATA_SETS["trec"].fetch(data_root=tmp_path)
    write_table(tmp_path / "text" / "trec" / "test.tsv", [("ABBR", "Ours ?")])
    assert load_sets("trec", splits=["test"], data_root=tmp_path)["test"].texts == ["Ours ?"]


def test_the_command_gets_a_set_once(
    trec: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path))
    assert main(["data", "get", "trec", "--quiet"]) == 0
    monkeypatch.setitem(DATA_SETS, "trec", replace(DATA_SETS["trec"], official="3 + 2 texts"))
    for file in place.iterdir():
        file.unlink()
    capsys.readouterr()
    assert main(["data", "get", "trec", "--quiet"]) == 0
    assert "trec is there already: 3 + 2 texts" in capsys.readouterr().out


def test_another_file_than_the_published_one_is_refused(trec: str, place: Path, tmp_path: Path) -> None:
    (place / "TREC_10.label").write_bytes(b"LOC:city Elsewhere ?\n")
    with pytest.raises(DataError, match=r"TREC_10.label from .* has another hash"):
        DATA_SETS["trec"].fetch(data_root=tmp_path)
    assert not (tmp_path / "text" / "trec" / "TREC_10.label").exists()
    with pytest.raises(DataError, match="get it with `cnn data get trec`"):
        load_sets("trec", splits=["test"], data_root=tmp_path)


def test_without_torchtext_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchtext"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CnnError, match=r"torchtext.*install"):
        DATA_SETS["trec"].fetch(data_root=tmp_path)


def test_the_vectors_under_a_sentence_encoder_become_a_file(
    place: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["[PAD]", "[unused0]", "[", "!", "the", "of", "##ing", "boat"]
    table = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    order = np.random.default_rng(1).permutation(8)  # a vocabulary says its places; its order is not theirs
    vocabulary = {"model": {"vocab": {names[k]: int(k) for k in order}}}
    sums = {
        "model.safetensors": serve(place / "model.safetensors", save({minilm.TABLE: table, "other": table[:2]})),
        "tokenizer.json": serve(place / "tokenizer.json", json.dumps(vocabulary).encode()),
    }
    monkeypatch.setattr(minilm, "ADDRESS", address)
    monkeypatch.setattr(minilm, "SHA256", sums)
    monkeypatch.setattr(minilm, "SIZE", 3)
    monkeypatch.setenv("CNN_DATA_DIR", str(tmp_path / "data"))
    assert main(["data", "get", "minilm"]) == 0
    assert f"minilm: 6 words and pieces in {tmp_path / 'data' / 'minilm'}" in capsys.readouterr().out
    words = ["the", "of", "##ing", "boat", "[", "!"]
    read = load_vectors(Path("minilm/minilm.200d.txt"), words)
    rows = torch.from_numpy(table[[names.index(word) for word in words]]).double()
    u, s, _ = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    components = (u * s)[:, :3]
    components *= 0.4 / components.std(correction=0)
    signs = (components * read.table).sum(0).sign()  # an axis has no direction of its own
    torch.testing.assert_close(read.table.double(), components * signs, rtol=0, atol=1e-4)
    assert main(["data", "get", "minilm"]) == 0 and "is there already" in capsys.readouterr().out
    assert main(["list", "data"]) == 0
    assert "minilm  " in capsys.readouterr().out and "minilm" not in DATA_SETS


def test_the_direction_of_components_does_not_depend_on_the_machine() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4)) * [1, 5, 2, 3]
    found = minilm.reduce(rows, 2)
    assert found.std() == pytest.approx(0.4)
    for k, column in enumerate((1, 3)):  # the widest first; each along its axis and not against it
        assert np.corrcoef(found[:, k], rows[:, column])[0, 1] > 0.9
