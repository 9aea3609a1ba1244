"""The loaders of users' files, each with what it reads: `LOADERS`, name -> Loader.

A loader is called with the damaged file in its place; what it returns must be whole, and what it raises a CnnError.
"""

import dataclasses
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import seeds
from seeds import Files, png

from cnn_core.domains import domain_folders, load_domain
from cnn_core.errors import CnnError

PACKAGES = Path(__file__).parents[2] / "packages"


@dataclasses.dataclass(frozen=True)
class Loader:
    """What is damaged, and what reads it.

    Args:
        seeds: makes the files of which one is damaged each time.
        calls: (folder, damaged file) -> anything; all are called.
        around: what else lies in the folder, besides the other seeds if `together`.
        together: all seeds lie in the folder, not the damaged one alone.
    """

    seeds: Callable[[], Files]
    calls: tuple[Callable[[Path, Path], object], ...]
    around: Callable[[], Files] = dict
    together: bool = False


def picture(_: Path, file: Path) -> None:
    from cnn_core.data.images import read_image

    for source in (file, file.read_bytes()):
        image = read_image(source, at_least=4)
        assert image.mode in ("L", "RGB") and min(image.size) >= 1
        image.load()


def sound(_: Path, file: Path) -> None:
    import numpy as np

    from audio_classification.reading import read_sound, resample, stated_rate

    stated_rate(file)
    for source in (file, file.read_bytes()):
        found = read_sound(source, longest=2.0)
        assert found.samples.dtype == np.float32 and np.isfinite(found.samples).all() and len(found.samples)
    assert np.isfinite(resample(found, 16_000)).all()


def scan(_: Path, file: Path) -> None:
    import numpy as np

    from medical_segmentation import read_scan

    found = read_scan(file)
    assert found.voxels.ndim == 3 and np.isfinite(found.voxels).all() and np.isfinite(found.affine).all()


def mask(_: Path, file: Path) -> None:
    from medical_segmentation import read_mask, read_scan

    found = read_scan(file)
    assert read_mask(file, found).shape == found.voxels.shape


def series(folder: Path, file: Path) -> None:
    from medical_segmentation import read_scan
    from medical_segmentation.scan import list_series

    for listed in list_series(folder):
        str(listed)
    for place in (folder, file):
        found = read_scan(place)
        assert found.voxels.ndim == 3


def labelled_table(_: Path, file: Path) -> None:
    from text_classification.tables import read_table

    table = read_table(file)
    assert len(table.texts) == len(table.labels) > 0


def plain_texts(_: Path, file: Path) -> None:
    from text_classification.tables import text_file

    found = text_file(file)
    assert all(isinstance(text, str) for text in found)


def sheet(folder: Path, file: Path) -> None:
    """Pack the parts of a spreadsheet, of which one is damaged, and read it."""
    target = folder.parent / "packed.xlsx"
    with zipfile.ZipFile(target, "w") as archive:
        for name in seeds.sheets():
            if (folder / name).is_file():
                archive.writestr(name, (folder / name).read_bytes())
    labelled_table(folder, target)


def archive(folder: Path, file: Path) -> None:
    from cnn_core.data.archives import extract

    shutil.rmtree(folder / "deep", ignore_errors=True)
    out = folder / "deep" / "er" / "out"  # so that a way out of it ends where it is noticed
    try:
        extract(file, out, max_bytes=10_000_000)
    finally:
        assert {path.name for path in folder.iterdir()} <= {file.name, "deep"}
        for place in (out.parent.parent, out.parent):
            assert not place.exists() or {path.name for path in place.iterdir()} <= {"er", "out"}
        assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))


def picture_folder(folder: Path, _: Path) -> None:
    from image_classification.data import load_data

    data = load_data(folder, splits=("train", "test"), size=8)
    assert all(len(part.labels) == len(data.sets["train"].labels) for part in data.sets.values())


def sound_folder(folder: Path, _: Path) -> None:
    from audio_classification.folder import load_own

    load_own(folder, [])


def captions(folder: Path, _: Path) -> None:
    from image_captioning.data import load_photos

    load_photos(folder, size=(8, 8))


def boxes(folder: Path, _: Path) -> None:
    from object_detection.folder import load_own

    assert load_own(folder, []).whole.labels


def scan_folder(folder: Path, _: Path) -> None:
    from medical_segmentation.data import load_set

    load_set(folder)


def card(folder: Path, _: Path) -> None:
    from cnn_core.weights import load_card

    found = load_card(folder)
    load_domain(found.domain).load(str(folder), device="cpu")


def tensors(folder: Path, file: Path) -> None:
    """Let the card vouch for the damaged tensors."""
    from cnn_core.weights import load_model

    data = file.read_bytes()
    table = json.loads((folder / "card.json").read_text())
    table |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "card.json").write_text(json.dumps(table))
    file.rename(folder / f"model-{table['sha256'][:12]}.safetensors")
    load_model(folder)


def recipe(_: Path, file: Path) -> None:
    from cnn_core.train.config import read_recipe

    domain = load_domain(file.name.partition(".")[0]).DOMAIN
    read_recipe(domain.recipe, file)


def vectors(_: Path, file: Path) -> None:
    from text_classification.vectors import frequent_words, load_vectors

    frequent_words(file, 3)
    assert load_vectors(file, ["the", "film", "New-York", "of"]).table.shape[0] == 4


def bundle(folder: Path, _: Path) -> None:
    from medical_segmentation import load
    from medical_segmentation.bundles import fetch_bundle

    load(str(fetch_bundle(str(folder))), device="cpu")


def checkpoint(_: Path, file: Path) -> None:
    """The digest lets nothing damaged through: here it vouches for the damage."""
    from cnn_core.train.checkpoint import FORMAT, load_checkpoint

    body = file.read_bytes()
    file.write_bytes(FORMAT + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    load_checkpoint(file)


# ---- what they read


def tree(write: Callable[[Path], object], suffixes: tuple[str, ...]) -> tuple[Callable[[], Files], Callable[[], Files]]:
    """Return the files that a function writes below a folder: those to be damaged, and the others."""

    def files(wanted: bool) -> Files:
        import tempfile

        with tempfile.TemporaryDirectory() as name:
            write(Path(name))
            paths = [path for path in Path(name).rglob("*") if path.is_file()]
            return {
                path.relative_to(name).as_posix(): path.read_bytes()
                for path in paths
                if path.name.endswith(suffixes) == wanted
            }

    return partial(files, True), partial(files, False)


def in_tree(write: Callable[[Path], object], suffixes: tuple[str, ...], call: Callable[[Path, Path], object]) -> Loader:
    damaged, around = tree(write, suffixes)
    return Loader(damaged, (call,), around, together=True)


def write_classes(folder: Path) -> None:
    for i in range(12):
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / f"pictures/{i}.png").write_bytes(png(9, i))
    rows = [f"pictures/{i}.png,{'cat' if i % 2 else 'dog'},{'test' if i > 9 else 'train'}" for i in range(12)]
    (folder / "labels.csv").write_text("\n".join(["file,label,split", *rows]) + "\n")


def write_sounds(folder: Path) -> None:
    wave = seeds.sounds()["a.wav"]
    for i in range(6):
        place = folder / ("low" if i % 2 else "high")
        place.mkdir(exist_ok=True)
        (place / f"{i}.wav").write_bytes(wave[:44] + wave[44 + 2 * i :])


def write_captions(folder: Path, kind: str) -> None:
    for i in range(8):
        (folder / f"{i}.png").write_bytes(png(9, i))
    sentences = [(f"{i}.png", f"a {word} in the sun") for i, word in enumerate(["dog", "cat", "car", "sea"] * 2)]
    if kind == "csv":
        text = "image,caption\n" + "".join(f"{name},{words}\n" for name, words in sentences)
    elif kind == "token.txt":
        text = "".join(f"{name}#{k}\t{words}\n" for name, words in sentences for k in range(2))
    elif kind == "karpathy.json":
        splits = ["train"] * 5 + ["val"] + ["test"] * 2
        images = [
            {"filename": name, "split": split, "sentences": [{"raw": words, "tokens": words.split()}]}
            for (name, words), split in zip(sentences, splits, strict=True)
        ]
        text = json.dumps({"images": images, "dataset": "x"})
    else:
        images = [{"id": i, "file_name": name} for i, (name, _) in enumerate(sentences)]
        said = [{"id": i, "image_id": i, "caption": words} for i, (_, words) in enumerate(sentences)]
        text = json.dumps({"images": images, "annotations": said})
    (folder / f"captions.{kind}").write_text(text)


def write_scans(folder: Path) -> None:
    from made_sets import write_set

    write_set(folder, 6)


def shipped(*names: str, only: str) -> tuple[Callable[[], Files], Callable[[], Files]]:
    """Return the files of shipped weights: those that end in `only`, and the others."""

    def files(wanted: bool) -> Files:
        paths = [path for name in names for path in (PACKAGES / name).iterdir() if path.is_file()]
        return {path.name: path.read_bytes() for path in paths if path.name.endswith(only) == wanted}

    return partial(files, True), partial(files, False)


def of_weights(name: str, only: str, call: Callable[[Path, Path], object]) -> Loader:
    damaged, around = shipped(name, only=only)
    return Loader(damaged, (call,), around, together=True)


def recipes() -> Files:
    return {
        f"{domain}.{file.name}": file.read_bytes()
        for domain in domain_folders()
        for file in (PACKAGES / domain / "recipes").glob("*.toml")
    }


def write_bundle(folder: Path) -> None:
    import torch
    from made_bundle import INFERENCE, METADATA, write_bundle
    from monai.networks.nets import SegResNet

    torch.manual_seed(0)
    blocks = {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}
    network = SegResNet(spatial_dims=3, in_channels=1, out_channels=3, **blocks)
    write_bundle(folder, network, INFERENCE, METADATA)


def checkpoints() -> Files:
    import torch

    stream = io.BytesIO()
    torch.save({"data": "x", "weights": torch.arange(6.0), "state": {"epoch": 1, "history": [{"loss": 0.5}]}}, stream)
    return {"last.pt": stream.getvalue()}


def _boxes(kind: str, suffixes: tuple[str, ...]) -> Loader:
    import made_boxes

    write = getattr(made_boxes, f"as_{kind}")
    return in_tree(lambda folder: write(folder, made_boxes.squares(6)), suffixes, boxes)


LOADERS: dict[str, Loader] = {
    "pictures": Loader(seeds.pictures, (picture,)),
    "sounds": Loader(seeds.sounds, (sound,)),
    "nifti": Loader(seeds.nifti, (scan, mask)),
    "nrrd-metaimage": Loader(seeds.itk, (scan,), together=True),
    "dicom": Loader(seeds.dicom, (series,), together=True),
    "tables": Loader(seeds.tables, (labelled_table, plain_texts)),
    "sheets": Loader(seeds.sheets, (sheet,), together=True),
    "archives": Loader(seeds.archives, (archive,)),
    "picture-labels": in_tree(write_classes, (".csv",), picture_folder),
    "sound-folders": in_tree(write_sounds, ("0.wav", "1.wav"), sound_folder),
    **{
        f"captions-{kind}": in_tree(partial(write_captions, kind=kind), (kind,), captions)
        for kind in ("csv", "token.txt", "karpathy.json", "coco.json")
    },
    "boxes-voc": _boxes("voc", (".xml",)),
    "boxes-coco": _boxes("coco", (".json",)),
    "boxes-yolo": _boxes("yolo", (".txt", ".yaml")),
    "boxes-csv": _boxes("csv", (".csv",)),
    "decathlon": in_tree(write_scans, (".json",), scan_folder),
    **{
        f"card-{name.split('/')[-1]}": of_weights(name, "card.json", card)
        for name in (
            "image_classification/weights/digits", "medical_segmentation/weights/phantom",
            "image_captioning/weights/scenes", "audio_classification/weights/drawn-sounds",
            "object_detection/weights/streets", "text_classification/weights/trec",
        )
    },
    "safetensors": of_weights("image_classification/weights/digits", ".safetensors", tensors),
    "checkpoint": Loader(checkpoints, (checkpoint,)),
    "recipes": Loader(recipes, (recipe,)),
    "vectors": Loader(seeds.vectors, (vectors,)),
    "bundle": in_tree(write_bundle, (".json",), bundle),
}  # fmt: skip
EXPECTED = CnnError
