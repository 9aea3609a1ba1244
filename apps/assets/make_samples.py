"""Make the samples of the pages: `CNN_DATA_DIR=... python apps/assets/make_samples.py`.

Digits and clothes are single pictures of the official test sets, plain ones and some that are hard to read; the scenes
are drawn here, shape by shape; photographs come with scikit-learn and with
scikit-image, which is to be installed for this alone.
Nodules are single cases of LIDC-IDRI (CC BY 3.0) from the test splits of the two sets that the networks learned from;
spoken digits are recordings of the official test set (CC BY-SA 4.0), each by another speaker than the one before;
the chest CT is a part of a test file of InnerEye-DeepLearning (Microsoft, MIT licence), given as an argument.
"""

import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_sample_image

from cnn_core.data.files import data_root
from image_classification.data import load_set

FOLDER = Path(__file__).parent / "samples"
EDGE = 128  # pixels of a scene
OVERSAMPLE = 4
DIGITS = (0, 3, 4, 32, 61, 8, 247, 321)  # of MNIST's test set: plain ones first, the last three are hard to read
CLOTHES = (0, 1, 2, 9, 11, 13, 18, 19)  # of Fashion-MNIST's test set: eight kinds
PHOTOS = {
    "chelsea": (75, 0, 375, 300),
    "astronaut": (0, 0, 512, 512),
    "coffee": (60, 0, 460, 400),
}  # of scikit-image, and the squares cut out of them
CUBES = ("50_nod1_ann0", "20_nod3_ann0")  # of LIDCNodule's test split
CUTOUTS = {
    "benign-1": "test/benign/53454c5ae4b05911cd6db4e5_0_8.png",
    "benign-2": "test/benign/53454a21e4b05911cd6db479_77353_4.png",
    "malignant-1": "test/malignant/53454985e4b05911cd6db461_13391_13.png",
    "malignant-2": "test/malignant/53454b91e4b05911cd6db4be_56600_5.png",
}  # of LIDCNoduleSlices
SPEAKERS = ("george", "lucas", "theo", "jackson", "nicolas", "yweweler", "lucas", "theo", "george", "nicolas")
CHEST = slice(7, 36)  # slices of the chest CT between liver and collar bones
THINNED = 3


class Scene:
    """A square to paint on in coordinates 0..128, four times as fine as it will be."""

    def __init__(self, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> None:
        edge = EDGE * OVERSAMPLE
        ramp = np.linspace(0, 1, edge)[:, None, None]
        pixels = (1 - ramp) * np.array(top) + ramp * np.array(bottom)
        self.image = Image.fromarray(np.broadcast_to(pixels, (edge, edge, 3)).astype(np.uint8))
        self.pen = ImageDraw.Draw(self.image)

    def polygon(self, color: str, *points: tuple[float, float]) -> None:
        self.pen.polygon([(x * OVERSAMPLE, y * OVERSAMPLE) for x, y in points], fill=color)

    def oval(self, color: str, x: float, y: float, rx: float, ry: float | None = None) -> None:
        ry = rx if ry is None else ry
        self.pen.ellipse([n * OVERSAMPLE for n in (x - rx, y - ry, x + rx, y + ry)], fill=color)

    def box(self, color: str, left: float, top: float, right: float, bottom: float, *, round_by: float = 0) -> None:
        corners = [n * OVERSAMPLE for n in (left, top, right, bottom)]
        self.pen.rounded_rectangle(corners, round_by * OVERSAMPLE, fill=color)

    def finish(self, seed: int) -> Image.Image:
        """Shrink, soften a little, and add the grain of a camera."""
        small = self.image.resize((EDGE, EDGE), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.6))
        grain = np.random.default_rng(seed).normal(0, 4, (EDGE, EDGE, 1))
        return Image.fromarray(np.clip(np.asarray(small) + grain, 0, 255).astype(np.uint8))


def ship() -> Scene:
    scene = Scene((158, 190, 220), (214, 226, 234))
    scene.box("#2f5877", 0, 82, 128, 128)
    for y, x in ((92, 10), (100, 70), (108, 30), (116, 84), (122, 14)):
        scene.box("#4a7796", x, y, x + 34, y + 1.6)
    scene.polygon("#7c2a25", (14, 74), (116, 68), (104, 92), (28, 92))
    scene.polygon("#22262c", (12, 66), (118, 60), (115, 74), (16, 80))
    scene.polygon("#f0efe9", (34, 65), (34, 48), (86, 45), (86, 62))
    scene.box("#f8f7f2", 44, 34, 74, 48)
    for x in range(38, 84, 7):
        scene.box("#41505c", x, 53, x + 3.5, 57)
    scene.polygon("#b9442b", (52, 34), (53, 18), (65, 18), (66, 34))
    scene.box("#22262c", 53, 18, 65, 22)
    scene.box("#5b5f63", 95, 36, 97, 62)
    return scene


def airplane() -> Scene:
    scene = Scene((72, 128, 190), (176, 208, 234))
    for x, y, r in ((24, 104, 12), (40, 108, 14), (58, 106, 10), (106, 26, 9), (118, 28, 11)):
        scene.oval("#e9eff4", x, y, r, r * 0.55)
    scene.polygon("#8d99a6", (58, 62), (88, 28), (98, 28), (78, 66))
    scene.polygon("#dfe4e8", (14, 60), (24, 34), (34, 34), (36, 58))
    scene.box("#f4f5f6", 12, 56, 112, 72, round_by=8)
    scene.polygon("#f4f5f6", (98, 56), (122, 66), (98, 72))
    scene.polygon("#2c3f55", (104, 59), (113, 62.5), (104, 63))
    for x in range(34, 98, 6):
        scene.box("#2c3f55", x, 60.5, x + 2.6, 63.5)
    scene.polygon("#aab4bd", (50, 67), (82, 67), (48, 102), (36, 102))
    scene.polygon("#aab4bd", (14, 64), (30, 64), (18, 78), (10, 78))
    scene.oval("#5d6873", 60, 82, 8, 4)
    return scene


def automobile() -> Scene:
    scene = Scene((196, 208, 214), (222, 224, 220))
    scene.box("#6c7f5c", 0, 60, 128, 80)
    scene.box("#6b6a68", 0, 78, 128, 128)
    scene.oval("#3d3c3b", 64, 100, 52, 7)
    scene.polygon("#9c1f22", (10, 92), (12, 72), (34, 66), (48, 48), (86, 48), (104, 66), (118, 72), (119, 92))
    scene.polygon("#26333f", (40, 66), (51, 52), (66, 52), (66, 66))
    scene.polygon("#26333f", (70, 66), (70, 52), (84, 52), (96, 66))
    scene.polygon("#b8292c", (12, 76), (118, 76), (118, 80), (12, 80))
    scene.oval("#f4e9b8", 115, 77, 4, 3)
    scene.oval("#e26a4a", 13, 77, 3, 3)
    for x in (34, 96):
        scene.oval("#161616", x, 93, 12)
        scene.oval("#b9bcbe", x, 93, 6)
    return scene


def truck() -> Scene:
    scene = Scene((176, 202, 224), (220, 228, 232))
    scene.box("#77746f", 0, 92, 128, 128)
    scene.box("#e9e6df", 6, 30, 82, 88)
    scene.box("#c9c4ba", 6, 84, 82, 90)
    scene.box("#d8d3c9", 6, 30, 82, 34)
    scene.polygon("#1f5a99", (84, 88), (84, 46), (104, 46), (114, 64), (121, 68), (121, 88))
    scene.polygon("#24313d", (89, 64), (89, 50), (102, 50), (109, 64))
    scene.box("#23272b", 4, 88, 122, 95)
    scene.oval("#f4e9b8", 119, 80, 3.5)
    for x in (22, 44, 104):
        scene.oval("#161616", x, 97, 11)
        scene.oval("#a9acae", x, 97, 5)
    return scene


def main() -> None:
    """Write all samples; PNG for the small ones, JPEG for scenes and photographs."""
    FOLDER.mkdir(exist_ok=True)
    for name, indices in (("mnist", DIGITS), ("fashion_mnist", CLOTHES)):
        pictures = load_set(name, split="test")
        for index in indices:
            file = FOLDER / f"{name.replace('_', '-')}-{index}.png"
            Image.fromarray(pictures.images[index, 0].numpy()).save(file, optimize=True)
    for seed, paint in enumerate((ship, airplane, automobile, truck)):
        paint().finish(seed).save(FOLDER / f"drawn-{paint.__name__}.png", optimize=True)
    for name, box in (("flower", (130, 0, 557, 427)), ("china", (200, 0, 627, 427))):
        photo = Image.fromarray(load_sample_image(f"{name}.jpg")).crop(box)
        photo.resize((192, 192), Image.Resampling.LANCZOS).save(FOLDER / f"photo-{name}.jpg", quality=88)
    for name, box in PHOTOS.items():
        photo = Image.fromarray(getattr(skimage.data, name)()).convert("RGB").crop(box)
        photo.resize((320, 320), Image.Resampling.LANCZOS).save(FOLDER / f"photo-{name}.jpg", quality=85)
    recorded()


def recorded() -> None:
    """Copy the cubes and slices of nodules, and spoken digits."""
    for number, case in enumerate(CUBES, start=1):
        cube = data_root() / "LIDCNodule" / "imagesTr" / f"{case}.nii.gz"
        shutil.copyfile(cube, FOLDER / f"lidc-nodule-{number}.nii.gz")
    for name, file in CUTOUTS.items():
        shutil.copyfile(data_root() / "LIDCNoduleSlices" / file, FOLDER / f"lidc-{name}.png")
    for digit, speaker in enumerate(SPEAKERS):
        recording = data_root() / "fsdd" / "recordings" / f"{digit}_{speaker}_0.wav"
        shutil.copyfile(recording, FOLDER / f"spoken-{digit}-{speaker}.wav")


def chest(file: Path) -> None:
    """Keep the slices of a chest CT that show lungs, and make it the size of a grown-up's.

    The file was thinned out threefold for tests and its header was not: 1 x 1 x 3 mm would make lungs of 149 mL.
    """
    part = nib.Nifti1Image.from_filename(file).slicer[:, :, CHEST]
    affine = part.affine.copy()
    affine[:3] *= THINNED
    image = nib.Nifti1Image(np.asarray(part.dataobj), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, FOLDER / "chest-ct.nii.gz")


if __name__ == "__main__":
    main()
    chest(Path(sys.argv[1]))
