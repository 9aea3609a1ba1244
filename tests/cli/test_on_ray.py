"""`cnn predict --on ray`: shards, parts and files are those of one machine; what is lost is answered again, once."""

import csv
import json
import os
import shutil
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_core.cli import on_ray, shards
from cnn_core.cli.shards import FOLDER, Shard, Work, answer_shard, cut
from cnn_core.data.addresses import is_address
from cnn_core.domains import load_domain
from cnn_core.errors import CnnError
from cnn_core.predictor import Sharding
from cnn_core.weights import find_weights, load_card

ray = pytest.importorskip("ray", reason="the extra `scale` is not installed")
nibabel = pytest.importorskip("nibabel", reason="the extra `medical` is not installed")

DRAWN = np.random.default_rng(0)


def draw_photos(folder: Path, count: int, edge: int = 28) -> Path:
    """Noise, some of it in a folder of its own, and a file that is no picture."""
    (folder / "b").mkdir(parents=True)
    for number in range(count - 1):
        pixels = DRAWN.integers(0, 256, (edge, edge, 3), np.uint8)
        Image.fromarray(pixels).save(folder / ("b" if number % 3 else "") / f"{number:03d}.png")
    (folder / "torn.png").write_bytes(b"no picture")
    return folder


def write_reviews(folder: Path, count: int) -> Path:
    folder.mkdir()
    words = ["good", "bad", "film", "plot", "dull", "moving", "never", "a", "the", "not"]
    lines = [[str(n), " ".join(DRAWN.choice(words, n % 9))] for n in range(count)]  # every ninth is empty
    with (folder / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *lines])
    return folder / "reviews.csv"


def write_scans(folder: Path) -> Path:
    """Six scans: two of one name, two in a zip (one of them of that name too), one that cannot be read."""
    for name in ("p1/ct.nii.gz", "p2/ct.nii.gz", "p3/mr.nii", "zip/ct.nii.gz", "zip/other.nii.gz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        voxels = DRAWN.integers(-1000, 400, (20, 18, 12)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([4.5, 4.5, 4.5, 1])), folder / name)
    (folder / "p2" / "broken.nii").write_bytes((folder / "p3/mr.nii").read_bytes()[:500])
    with zipfile.ZipFile(folder / "p4.zip", "w") as file:
        for name in ("ct.nii.gz", "other.nii.gz"):
            file.write(folder / "zip" / name, f"inner/{name}")
    shutil.rmtree(folder / "zip")
    return folder


def write_sounds(folder: Path) -> Path:
    folder.mkdir()
    for number in range(5):
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(DRAWN.integers(-9000, 9000, 16000).astype("<i2").tobytes())
    (folder / "torn.wav").write_bytes(b"RIFF")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture
def alone(monkeypatch):
    """Answers the shards in this process instead of on a cluster: the last first, and each twice, as after a loss."""
    seen = []

    def answered(work: Work, observe) -> list[str]:
        found = [row["shard"].item() for row in on_ray.list_shards({}, work)]
        worker = on_ray.Answerer(work)
        for shard in found[::-1] * 2:
            row = worker({"shard": shard})
            assert row["count"] == len(shard.entries)
            seen.append((shard.number, row["name"]))
        observe(sum(len(shard.entries) for shard in found))
        return sorted({name for _, name in seen})

    monkeypatch.setattr(on_ray, "_answered", answered)
    return seen


def shard_size(monkeypatch, domain: str, **sizes: int) -> None:
    """Make the shards of a domain small, so that few inputs are several."""
    predictor = sys.modules[f"{domain}.predict"].Predictor
    suffixes = predictor.sharding.suffixes
    monkeypatch.setattr(predictor, "sharding", Sharding(**sizes, suffixes=suffixes))


# ---- the files of one machine


@pytest.mark.parametrize(
    ("weights", "domain", "size", "make", "count"),
    [
        ("mnist", "image_classification", 64, lambda f: draw_photos(f, 150), 2),
        ("streets", "object_detection", 8, lambda f: draw_photos(f, 19, 96), 2),
        ("scenes", "image_captioning", 32, lambda f: draw_photos(f, 66, 64), 2),
        ("sst2", "text_classification", 2048, lambda f: write_reviews(f, 5000), 2),
        ("phantom", "medical_segmentation", 1, write_scans, 5),
        ("drawn-sounds", "audio_classification", 2, write_sounds, 3),
    ],
)
def test_shards_become_the_files_of_one_machine(cnn, alone, monkeypatch, tmp_path, weights, domain, size, make, count):
    load_domain(domain).DOMAIN.load(weights, device="cpu")
    inputs = make(tmp_path / "inputs").relative_to(tmp_path)
    plain = cnn("predict", weights, inputs, "--output", "answers")
    expected = contents(tmp_path / "answers")
    shutil.move("answers", "plain")
    shard_size(monkeypatch, domain, entries=size)
    shared = cnn("predict", weights, inputs, "--output", "answers", "--on", "ray")
    assert len({number for number, _ in alone}) == count
    assert contents(tmp_path / "answers") == expected
    assert plain.code == shared.code == 1  # each set holds something that cannot be answered
    assert shared.err == plain.err and "could not be answered" in plain.err and shared.out == ""


def test_a_predictor_that_opens_nothing_gets_its_inputs(cnn, alone, fifth, fifth_site, tmp_path):
    shutil.copytree(find_weights("digits"), tmp_path / "tones")
    card = json.loads((tmp_path / "tones/card.json").read_text())
    (tmp_path / "tones/card.json").write_text(json.dumps({**card, "domain": "fifth"}))
    words = ("predict", "./tones", "first", "broken", "third")
    plain = json.loads(cnn(*words, "--json").out)
    shared = json.loads(cnn(*words, "--output", "answers", "--on", "ray", "--json").out)
    # alone, each is the first of its shard: this domain's answers depend on the place, as no domain's of ours do
    assert [item["input"] for item in shared["items"]] == [item["input"] for item in plain["items"]]
    assert shared["summary"] == plain["summary"]


def test_cutting():
    assert [*cut([], 2)] == []
    assert [*cut("a", 2)] == [["a"]]
    assert [*cut("abcd", 2)] == [["a", "b"], ["c", "d"]]
    assert [*cut("abcde", 2)] == [["a", "b"], ["c", "d", "e"]]


# ---- addresses


def test_addresses_are_read_and_written(cnn, alone, monkeypatch, tmp_path):
    draw_photos(tmp_path / "photos", 70)
    (tmp_path / "photos/.hidden.png").write_bytes(b"")
    (tmp_path / "photos/notes.md").write_text("left out")
    load_domain("image_classification").DOMAIN.load("mnist", device="cpu")
    shard_size(monkeypatch, "image_classification", files=32)
    cnn("predict", "mnist", tmp_path / "photos", "--output", "plain")
    answer = cnn("predict", "mnist", f"file://{tmp_path}/photos", "--output", f"file://{tmp_path}/out", "--on", "ray")
    assert answer.code == 1 and "1 of 70 inputs could not be answered" in answer.err
    assert [*contents(tmp_path / "out")] == ["predictions.csv", "predictions.json"]
    names = (tmp_path / "plain/predictions.csv").read_text().replace(f"{tmp_path}/photos", f"file://{tmp_path}/photos")
    assert (tmp_path / "out/predictions.csv").read_text() == names
    again = cnn("predict", "mnist", "x.png", "--output", f"file://{tmp_path}/out", "--on", "ray", "--resume")
    assert again.code == 0 and "holds all answers" in again.err


def test_the_files_of_scans_go_to_an_address(cnn, alone, tmp_path):
    write_scans(tmp_path / "scans")
    (tmp_path / "scans/p2/broken.nii").unlink()
    cnn("predict", "phantom", "scans", "--output", "plain")
    answer = cnn("predict", "phantom", f"file://{tmp_path}/scans", "--output", f"file://{tmp_path}/out", "--on", "ray")
    assert answer.code == 0, answer.err
    plain, there = contents(tmp_path / "plain"), contents(tmp_path / "out")
    assert plain.keys() == there.keys() and len(plain) == 17  # three of each scan, and two tables
    assert all(plain[name] == there[name] for name in plain if not name.startswith("predictions"))
    items = json.loads(there["predictions.json"])["items"]
    assert items[0]["input"] == f"file://{tmp_path}/scans/p1/ct.nii.gz"
    assert items[3]["input"] == f"file://{tmp_path}/scans/p4.zip/inner/ct.nii.gz"
    assert [item["mask"].removeprefix(f"file://{tmp_path}/out/") for item in items] == [
        "ct_mask.nii.gz", "ct-2_mask.nii.gz", "mr_mask.nii.gz", "ct-3_mask.nii.gz", "other_mask.nii.gz",
    ]  # fmt: skip


def test_a_table_at_an_address_is_one_shard(cnn, alone, tmp_path):
    write_reviews(tmp_path / "a", 30)
    write_reviews(tmp_path / "a" / "b", 30)
    answer = cnn("predict", "sst2", f"file://{tmp_path}/a", "--output", "out", "--on", "ray", "--json")
    assert len({number for number, _ in alone}) == 2
    assert len(json.loads(answer.out)["items"]) == 60


def test_an_address_with_nothing_to_answer_is_said(cnn, alone, tmp_path):
    (tmp_path / "notes.md").write_text("x")
    answer = cnn("predict", "mnist", f"file://{tmp_path}", "--output", "out", "--on", "ray")
    assert answer.code == 1 and "found none, and 3 others" in answer.err  # two files of answers that are being written
    answer = cnn("predict", "mnist", f"file://{tmp_path}/nowhere", "--output", "out", "--on", "ray")
    assert answer.code == 1 and "nowhere: cannot be read" in answer.err
    answer = cnn("predict", "mnist", "nothing://a/b", "--output", "out", "--on", "ray")
    assert answer.code == 1 and "expected an address that pyarrow or fsspec knows" in answer.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [("s3://b/k", True), ("file:///a", True), ("http://a/b.png", False), ("C:/a", False), ("see s3://b", False)],
)
def test_what_an_address_is(text, expected):
    assert is_address(text) is expected


# ---- going on


def test_what_is_answered_is_kept(cnn, alone, monkeypatch, tmp_path):
    draw_photos(tmp_path / "photos", 12)
    load_domain("image_classification").DOMAIN.load("mnist", device="cpu")
    shard_size(monkeypatch, "image_classification", entries=4)
    words = ("predict", "mnist", "photos", "--output", "out", "--on", "ray")
    answer_one, computed = shards._answers, []

    def fails_at_the_first(predictor, shard: Shard, *more):
        computed.append(shard.number)
        if shard.number == 0:
            raise CnnError("the disk of this machine is broken")
        return answer_one(predictor, shard, *more)

    monkeypatch.setattr(shards, "_answers", fails_at_the_first)
    answer = cnn(*words)
    assert answer.code == 1 and "the disk of this machine is broken" in answer.err and computed == [2, 1, 0]
    assert sorted(file.suffix for file in (tmp_path / "out" / FOLDER).iterdir())[-2:] == [".jsonl"] * 2
    monkeypatch.setattr(
        shards, "_answers", lambda p, shard, *more: computed.append(shard.number) or answer_one(p, shard, *more)
    )
    answer = cnn(*words, "--resume")
    assert computed == [2, 1, 0, 0]  # the other two were there
    assert answer.code == 1 and "11 answered" in answer.err
    assert [*contents(tmp_path / "out")] == ["predictions.csv", "predictions.json"]
    cnn(*words)
    assert len(computed) == 7  # without --resume all of them again


def test_other_inputs_are_other_parts(alone, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    predictor = load_domain("text_classification").DOMAIN.load("sst2", device="cpu")
    work = Work(
        domain="text_classification", weights="sst2", sha256=predictor.card.sha256, device="cpu", inputs=("a",),
        flags={"texts": True}, output=str(tmp_path), cpus=1,
    )  # fmt: skip
    names = [answer_shard(predictor, Shard(0, [text]), work) for text in ("good", "bad", "good")]
    assert names[0] == names[2] != names[1]
    assert len([*(tmp_path / FOLDER).glob("*.jsonl")]) == 2


def test_a_shard_that_ends_its_workers_is_named(alone, monkeypatch, tmp_path):
    predictor = load_domain("text_classification").DOMAIN.load("sst2", device="cpu")
    work = Work(
        domain="text_classification", weights="sst2", sha256=predictor.card.sha256, device="cpu", inputs=("a",),
        flags={"texts": True}, output=str(tmp_path), cpus=1,
    )  # fmt: skip

    def dies(*_):
        raise SystemExit

    monkeypatch.setattr(shards, "_answers", dies)
    for _ in range(3):
        with pytest.raises(SystemExit):
            answer_shard(predictor, Shard(0, ["first", "last"]), work)
    with pytest.raises(CnnError, match="3 workers ended amid the inputs from first to last"):
        answer_shard(predictor, Shard(0, ["first", "last"]), work)


def test_a_machine_without_the_folders_or_with_other_weights_refuses(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    sha256 = load_card(find_weights("mnist")).sha256
    how = {"domain": "image_classification", "weights": "mnist", "device": "cpu", "flags": {}, "cpus": 1}
    with pytest.raises(CnnError, match=r"does not see .* and photos and out"):
        Work(**how, sha256=sha256, inputs=("photos",), output="out").load("cpu")
    with pytest.raises(CnnError, match="has other weights of the name mnist"):
        Work(**how, sha256="1" * 64, inputs=("s3://b/k",), output="s3://b/out").load("cpu")
    assert Work(**how, sha256=sha256, inputs=("s3://b/k",), output="s3://b/out", folder="/nowhere").load("cpu").labels


# ---- how it is asked for


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("a.png", "--on", "ray"), "name it with --output DIR", 2),
        (("-", "--on", "ray", "--output", "o"), "does not read standard input", 2),
        (("a.png", "--on", "ray", "--output", "o", "--worker-cpus", "0"), "expected a whole number from 1 on", 2),
        (("s3://bucket/photos",), "s3://bucket/photos is an address; add --on ray", 1),
        (("a.png", "--output", "s3://bucket/out"), "s3://bucket/out is an address; add --on ray", 1),
    ],
)
def test_what_does_not_go_together_is_said(cnn, words, said, code):
    answer = cnn("predict", "mnist", *words)
    assert answer.code == code and said in answer.err


def test_a_text_may_look_like_an_address(cnn):
    assert cnn("predict", "sst2", "--text", "s3://good").code == 0


def test_a_missing_package_is_said_before_the_work(cnn, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    answer = cnn("predict", "mnist", "a.png", "--output", "o", "--on", "ray")
    assert answer.code == 1 and "this needs the package 'ray', which is not installed" in answer.err
    assert not Path("o").exists()


def test_a_new_cluster_reports_nothing_and_has_no_dashboard(cnn, monkeypatch, tmp_path):
    asked = {}

    def init(**settings):
        asked.update(settings, usage=os.environ["RAY_USAGE_STATS_ENABLED"])
        raise RuntimeError("no room")

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", init)
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/ray_current_cluster").write_text("127.0.0.1:1")  # of a cluster that was killed
    answer = cnn("predict", "mnist", "a.png", "--output", "o", "--on", "ray")
    assert answer.code == 1 and "Ray cannot be started (no room)" in answer.err
    assert (asked["usage"], asked["include_dashboard"], asked["address"]) == ("0", False, "local")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    answer = cnn("predict", "mnist", "a.png", "--output", "o", "--on", "ray")
    assert answer.code == 1 and "RAY_ADDRESS is 127.0.0.1:1, but no cluster answers there" in answer.err


# ---- clusters on this machine


@pytest.fixture
def quick(monkeypatch):
    """Lets Ray's processes compete as others do; Ray makes its workers so nice that a busy machine starves them."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")


@pytest.mark.slow
def test_a_cluster_of_its_own_answers(cnn, quick, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "local")  # no other one is looked for
    write_reviews(tmp_path / "reviews", 20_000)
    plain = cnn("predict", "sst2", "reviews/reviews.csv", "--output", "answers")
    expected = contents(tmp_path / "answers")
    shutil.move("answers", "plain")
    words = ("reviews/reviews.csv", "--output", "answers", "--on", "ray", "--quiet")
    shared = cnn("predict", "sst2", *words)
    assert (plain.code, shared.code) == (1, 1), shared.err
    assert contents(tmp_path / "answers") == expected
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_node_that_is_killed_loses_nothing_and_doubles_nothing(cnn, quick, monkeypatch, tmp_path):
    """The only node with a CPU is killed amid its work, and another one comes."""
    from ray.cluster_utils import Cluster

    write_scans(tmp_path / "scans")
    plain = cnn("predict", "phantom", "scans", "--output", "answers")
    expected = contents(tmp_path / "answers")
    shutil.move("answers", "plain")
    size = {"object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "num_cpus": 0})
    victim, done, seen, answered = cluster.add_node(**size, num_cpus=1), [], [], on_ray._answered

    def kill_after_the_first(work: Work, observe) -> list[str]:
        def count(number: int) -> None:
            observe(number)
            seen.append(number)
            if len(seen) == 1:
                cluster.remove_node(victim, allow_graceful=False)
                done.extend(Path("answers", FOLDER).glob("*.jsonl"))
                cluster.add_node(**size, num_cpus=1)

        return answered(work, count)

    monkeypatch.setattr(on_ray, "_answered", kill_after_the_first)
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        shared = cnn("predict", "phantom", "scans", "--output", "answers", "--on", "ray")
        assert sorted(node["Alive"] for node in ray.nodes()) == [False, True, True]
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert seen == [1] * 5 and 1 <= len(done) < 5
    assert contents(tmp_path / "answers") == expected
    assert (plain.code, shared.code) == (1, 1)
