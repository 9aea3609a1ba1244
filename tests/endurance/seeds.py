"""Small valid files of every kind that users bring: the seeds of the fuzzing. Each function returns name -> bytes."""

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

Files = dict[str, bytes]


def written(write: Callable[[Path], object], name: str) -> Files:
    """What a function writes under that name."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return {name: (Path(folder) / name).read_bytes()}


def picture(edge: int = 12, seed: int = 0) -> Image.Image:
    pixels = np.random.RandomState(seed).randint(0, 255, (edge, edge + 3, 3), np.uint8)
    return Image.fromarray(pixels)


def png(edge: int = 12, seed: int = 0) -> bytes:
    stream = io.BytesIO()
    picture(edge, seed).save(stream, "png")
    return stream.getvalue()


def pictures() -> Files:
    colour, grey = picture(), picture().convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.arange(120, dtype=np.uint16).reshape(10, 12) * 500)
    real = Image.fromarray(np.linspace(0, 1, 120, dtype=np.float32).reshape(10, 12))
    transparent = colour.convert("RGBA")
    transparent.putalpha(grey)
    kinds = {
        "a.png": (colour, {}), "grey.png": (grey, {}), "deep.png": (deep, {}), "alpha.png": (transparent, {}),
        "palette.png": (colour.convert("P"), {"transparency": 3}), "bit.png": (grey.convert("1"), {}),
        "a.jpg": (colour, {"exif": exif}), "cmyk.jpg": (colour.convert("CMYK"), {}),
        "steps.jpg": (colour, {"progressive": True}), "a.webp": (colour, {}), "a.tif": (colour, {}),
        "alpha.webp": (transparent, {"lossless": True}), "lzw.tif": (colour, {"compression": "tiff_lzw"}),
        "deep.tif": (deep, {}), "real.tif": (real, {}),
        "deflate.tif": (grey, {"compression": "tiff_adobe_deflate"}), "a.gif": (colour, {}), "a.bmp": (colour, {}),
        "several.gif": (colour.convert("P"), {"save_all": True, "append_images": [grey.convert("P")]}),
        "a.jp2": (colour, {}), "a.ico": (colour, {}), "a.tga": (colour, {}), "a.pcx": (colour, {}),
        "a.ppm": (colour, {}), "a.avif": (colour, {}), "a.heic": (colour.resize((64, 64)), {}),
    }  # fmt: skip
    try:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    except ImportError:
        del kinds["a.heic"]
    files: Files = {}
    for name, (image, how) in kinds.items():
        files |= written(partial(image.save, **how), name)
    return files


def sounds() -> Files:
    import soundfile

    wave = 0.5 * np.sin(np.arange(1200) * 0.3).astype(np.float32)
    both = np.stack([wave, -wave], 1)
    kinds = {
        "a.wav": ("PCM_16", wave), "real.wav": ("FLOAT", both), "wide.wav": ("PCM_24", wave), "law.wav": ("ULAW", wave),
        "adpcm.wav": ("IMA_ADPCM", wave), "a.flac": ("PCM_16", both), "a.ogg": ("VORBIS", wave),
        "a.mp3": ("MPEG_LAYER_III", wave),
        "a.aiff": ("PCM_16", wave), "a.au": ("PCM_16", wave), "a.caf": ("PCM_16", wave), "a.w64": ("PCM_16", wave),
    }  # fmt: skip
    files: Files = {}
    for name, (kind, samples) in kinds.items():
        files |= written(lambda path, k=kind, s=samples: soundfile.write(path, s, 8000, subtype=k), name)
    return files


def nifti() -> Files:
    import nibabel as nib

    block = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    affine = np.diag([0.5, 0.7, 2.0, 1.0])
    files: Files = {}
    for name, image in {
        "a.nii": nib.Nifti1Image(block, affine), "real.nii": nib.Nifti1Image(block.astype(np.float32), affine),
        "two.nii": nib.Nifti2Image(block, affine), "time.nii": nib.Nifti1Image(np.stack([block, block], -1), affine),
        "a.nii.gz": nib.Nifti1Image(block.astype(np.uint8), affine),
    }.items():  # fmt: skip
        files |= written(lambda path, i=image: nib.save(i, path), name)
    return files


def itk() -> Files:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((0.5, 0.7, 2.0))
    files: Files = {}
    for name, packed in {"a.mha": False, "packed.mha": True, "a.nrrd": False, "packed.nrrd": True}.items():
        files |= written(lambda path, p=packed: SimpleITK.WriteImage(image, str(path), p), name)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("b.mhd", "b.nhdr"):
            SimpleITK.WriteImage(image, str(Path(folder) / name))
        files |= {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    return files


def dicom() -> Files:
    from made_scans import save_enhanced, save_slice, save_stack
    from pydicom.uid import ImplicitVRLittleEndian

    files: Files = {}
    with tempfile.TemporaryDirectory() as folder:
        save_stack(Path(folder), [30, 32, 34])
        files |= {f"{number}.dcm": path.read_bytes() for number, path in enumerate(sorted(Path(folder).iterdir()))}
    files |= written(partial(save_enhanced, heights=[30, 32, 34]), "frames.dcm")
    files |= written(partial(save_slice, syntax=ImplicitVRLittleEndian), "implicit.dcm")
    return files


WORDS = ("film", "sun", "rain", "book", "car", "dog", "cat", "tree")
ROWS = [
    ["text", "label", "id"],
    *([f'the {word}, of "{i}"', "good" if i % 2 else "bad", str(i)] for i, word in enumerate(WORDS)),
]


def tables() -> Files:
    import csv

    import pandas

    stream = io.StringIO()
    csv.writer(stream).writerows(ROWS)
    text = stream.getvalue().encode()
    objects = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]
    frame = pandas.DataFrame(objects)
    files = {
        "a.csv": text, "a.tsv": "\n".join("\t".join(row) for row in ROWS).encode(),
        "wide.csv": text.decode().encode("utf-16"),
        "semicolon.csv": "\n".join(";".join(row[:2]) for row in ROWS).encode(), "packed.csv.gz": gzip.compress(text),
        "a.jsonl": "\n".join(map(json.dumps, objects)).encode(), "a.json": json.dumps(objects).encode(),
        "columns.json": json.dumps({name: [o[name] for o in objects] for name in ROWS[0]}).encode(), "a.txt": text,
    }  # fmt: skip
    files |= written(frame.to_parquet, "a.parquet")
    return files | written(partial(frame.to_excel, index=False), "a.xlsx")


def sheets() -> Files:
    """The parts of a spreadsheet, to be damaged before they are packed."""
    whole = zipfile.ZipFile(io.BytesIO(tables()["a.xlsx"]))
    return {name: whole.read(name) for name in whole.namelist() if name.endswith((".xml", ".rels"))}


def archives() -> Files:
    members = {"cat/1.png": png(8), "dog/2.png": png(8, 1), "é.txt": b"text" * 40}
    packed, plain = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in members.items():
            archive.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a.txt", b"alpha")
    return {
        "a.zip": packed.getvalue(), "stored.zip": stored.getvalue(), "a.tar": plain.getvalue(),
        "a.tar.gz": gzip.compress(plain.getvalue()),
    }  # fmt: skip


VECTORS = "the 0.1 0.2 -0.3\nof 1 2 3\nnew york 0.5 0.5 0.5\nfilm 1e-3 2e5 -7\n"


def vectors() -> Files:
    text = VECTORS.encode()
    return {"a.txt": text, "headed.vec": b"4 3\n" + text, "a.txt.gz": gzip.compress(text)}
