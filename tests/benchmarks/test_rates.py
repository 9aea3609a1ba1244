"""How much one machine answers in a second, from files to answers in files: what the sums for many machines start from.

The scan is a drawn thorax of 256 x 256 x 96 voxels, the photos are drawn noise of 640 x 480 pixels as JPEG, the
sentences have 18 words.
"""

from pathlib import Path
from time import perf_counter

import nibabel
import numpy as np
import pytest
from PIL import Image
from record import rate

import image_classification
import medical_segmentation
import text_classification

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
PHOTOS, SENTENCES, SHAPE = 200, 100_000, (256, 256, 96)


def test_scans(tmp_path: Path) -> None:
    predictor = medical_segmentation.load("lung-ct", device="cpu")
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    plane = np.where(x**2 + (1.4 * y) ** 2 < 0.8, 40, -1000)
    for side in (-0.35, 0.35):
        plane = np.where(((x - side) / 0.25) ** 2 + (y / 0.4) ** 2 < 1, -850, plane)
    volume = np.repeat(plane.T[..., None], SHAPE[2], 2).astype(np.int16)
    file = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([-1.4, -1.4, 2.5, 1])), file)
    predictor.predict(file)
    begun = perf_counter()
    result = predictor.predict(file)
    seconds = perf_counter() - begun
    assert result.mask.any()
    rate("rate-scans", "CT, lungs (lung-ct), from NIfTI", volume.size / seconds, unit="voxels", n=1,
         job="1 TB of CT, 16 bits a voxel", items=5e11)  # fmt: skip


def test_photos(tmp_path: Path) -> None:
    predictor = image_classification.load("imagenet", device="cpu")
    chance = np.random.RandomState(0)
    for i in range(PHOTOS):
        small = Image.fromarray(chance.randint(0, 256, (48, 64, 3)).astype(np.uint8))
        small.resize((640, 480)).save(tmp_path / f"{i}.jpg")
    files = sorted(tmp_path.glob("*.jpg"))
    list(predictor.stream(files[:20]))
    begun = perf_counter()
    answers = list(predictor.stream(files))
    seconds = perf_counter() - begun
    assert len(answers) == PHOTOS and not any(answer.error for answer in answers)
    rate("rate-photos", "photos of 640 x 480 (imagenet), from JPEG", PHOTOS / seconds, unit="photos", n=PHOTOS,
         job="100 million photos", items=1e8)  # fmt: skip


def test_sentences(tmp_path: Path) -> None:
    predictor = text_classification.load("sst2", device="cpu")
    words = np.array(["the", "film", "is", "a", "quiet", "and", "funny", "story", "about", "people"])
    drawn = words[np.random.RandomState(0).randint(0, len(words), (SENTENCES, 18))]
    table = tmp_path / "texts.csv"
    table.write_text("\n".join(["text", *(" ".join(row) for row in drawn)]))
    begun = perf_counter()
    count = sum(answer.error is None for answer in predictor.stream_inputs([str(table)]))
    seconds = perf_counter() - begun
    assert count == SENTENCES
    rate("rate-sentences", "sentences of 18 words (sst2), from CSV", SENTENCES / seconds, unit="sentences",
         n=SENTENCES, job="1 billion sentences", items=1e9)  # fmt: skip
