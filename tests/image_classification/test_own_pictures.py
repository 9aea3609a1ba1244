"""Own pictures as people have them: tables of labels, archives of all kinds, copies, groups, and what is said of it."""

import io
import shutil
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

import image_classification
from cnn_core.data.classes.division import Items, SplitOptions, divide
from cnn_core.data.copies import nearly_same, same_pixels
from cnn_core.data.folders import natural
from cnn_core.errors import DataError
from cnn_core.train.config import override
from image_classification.domain import DOMAIN, train
from image_classification.folder import PICTURES, load_folder, load_whole
from image_classification.mirrored import mirrored_classes
from image_classification.preprocess import InputContract
from image_classification.task import ImageTask, Recipe

CONTRACT = InputContract(3, (8, 8))
ALL = ("train", "val", "test")


def draw(path: Path, seed: int) -> None:
    """A picture of noise, unlike every other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)


def fill(root: Path, **classes: int) -> Path:
    """A folder of class folders with as many pictures each."""
    for k, (label, count) in enumerate(classes.items()):
        for i in range(count):
            draw(root / label / f"{i}.png", 1000 * k + i)
    return root


def total(data: object) -> int:
    return sum(len(data.sets[split]) for split in ALL)


def test_a_zip_of_windows_and_a_tar_are_read_like_the_folder(tmp_path: Path) -> None:
    root = fill(tmp_path / "photos", cats=5, dogs=5)
    windows = tmp_path / "windows.zip"
    with zipfile.ZipFile(windows, "w") as archive:
        for file in sorted(root.rglob("*.png")):
            info = zipfile.ZipInfo("photos/x")
            info.filename = str(file.relative_to(tmp_path)).replace("/", "\\")
            archive.writestr(info, file.read_bytes())
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as archive:
        archive.add(root, "photos")
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(root, "photos")
    same = load_folder(root, CONTRACT)
    for name in ("windows.zip", "photos.tar.gz", "photos.tar"):
        data = load_folder(tmp_path / name, CONTRACT)
        for split in ALL:
            assert data.sets[split].files == same.sets[split].files, name
            assert torch.equal(data.sets[split].images, same.sets[split].images)


def test_what_systems_leave_behind_is_no_class_and_no_picture(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", cats=4, dogs=4)
    for place in ("@eaDir/a", "$RECYCLE.BIN", "System Volume Information", "__MACOSX/cats", "cats/@eaDir"):
        draw(root / place / "SYNOPHOTO_THUMB_M.png", 5)
    for name in ("thumbs.db", "Thumbs.db", "Desktop.ini", ".DS_Store", "cats/THUMBS.DB", "dogs/desktop.ini"):
        (root / name).write_bytes(b"x")
    data = load_folder(root, CONTRACT)
    assert (data.sets["test"].labels, total(data), data.skipped) == (("cats", "dogs"), 8, [])


def test_the_first_frames_of_animations_are_counted(tmp_path: Path) -> None:
    root = fill(tmp_path / "animals", cats=12, dogs=12)
    for label in ("cats", "dogs"):
        frames = [Image.new("RGB", (12, 12), (k, 90, len(label))) for k in (10, 200)]
        frames[0].save(root / label / "moves.gif", save_all=True, append_images=frames[1:])
    counted = "2 of the pictures are the first frames or pages of a file of several; the others in it are not read"
    assert counted in load_folder(root, CONTRACT).summary.read
    assert counted in load_whole(root, CONTRACT, labels=["cats", "dogs"])[1].read


def test_class_names_are_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", **{"10": 3, "2": 3, "1": 3, "b": 3, "A10": 3, "a9": 3})
    assert load_folder(root, CONTRACT).sets["test"].labels == ("1", "2", "10", "a9", "A10", "b")
    assert sorted(["x1y10", "x1y9", "x01y9"], key=natural)[-1] == "x1y10"


def test_two_members_of_one_name_are_counted(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", cats=3, dogs=3)
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for file in [*sorted(root.rglob("*.png")), root / "cats" / "0.png"]:
            archive.writestr(str(file.relative_to(root)), file.read_bytes())
    data = load_folder(path, CONTRACT)
    assert total(data) == 6 and data.skipped == [("cats/0.png", "files with the name of another one in the archive")]


TABLES = {
    "with suffix": ("labels.csv", "file,label\n{0}.png,{1}\n"),
    "without suffix": ("train.csv", "image_id,label\n{0},{1}\n"),
    "path and case": ("data.csv", "path,breed\n/kaggle/input/{0}.PNG,{1}\n"),
    "backslashes": ("labels.csv", "path;class\nimages\\{0}.png;{1}\n"),
    "more columns": ("meta.csv", "lesion_id,image_id,dx,dx_type,age,sex\nHAM{0},{0},{1},histo,{0},male\n"),
    "one column per class": ("truth.csv", "image,cat,dog\n{0},{2},{3}\n"),
}


@pytest.mark.parametrize("layout", TABLES)
def test_labels_in_a_table_are_read(tmp_path: Path, layout: str) -> None:
    name, text = TABLES[layout]
    root = tmp_path / "set"
    head, row = text.splitlines(keepends=True)
    rows = []
    for i in range(20):
        draw(root / "images" / f"{i}.png", i)
        rows.append(row.format(i, "dog" if i % 2 else "cat", float(i % 2 == 0), float(i % 2)))
    (root / name).write_text(head + "".join(rows))
    data = load_folder(root, CONTRACT)
    assert (data.sets["test"].labels, total(data), data.skipped) == (("cat", "dog"), 20, [])
    for split in ALL:
        for file, target in zip(data.sets[split].files, data.sets[split].targets, strict=True):
            assert int(Path(file).stem) % 2 == target
    assert any(f"The labels are read from {name}" in said for said in data.summary.sentences)


def test_what_a_table_and_the_pictures_do_not_share_is_counted(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for i in range(12):
        draw(root / f"{i}.jpg", i)
    rows = [f"{i},{'ab'[i % 2]}" for i in range(10)]
    (root / "labels.csv").write_text("\n".join(["id,label", *rows, "77,a", "3,b", "4,b", "9,", ""]))
    data = load_folder(root, CONTRACT)
    assert total(data) == 9  # 4 is a and b at once
    left = {entry.reason: entry.count for entry in data.summary.left_out}
    assert left == {
        "row of labels.csv whose picture is not there": 1, "row of labels.csv that repeats another one": 1,
        "row of labels.csv without a label": 1, "picture with several labels": 1,
        "pictures without a label in labels.csv": 2,
    }  # fmt: skip


def test_names_are_matched_in_any_form_of_unicode(tmp_path: Path) -> None:
    root = tmp_path / "set"
    names = [f"Bär {i}" for i in range(8)]
    for i, name in enumerate(names):
        draw(root / (unicodedata.normalize("NFD", name) + ".png"), i)
    (root / "labels.csv").write_text("\n".join(["file,label", *(f"{n},{'ab'[i % 2]}" for i, n in enumerate(names))]))
    assert total(load_folder(root, CONTRACT)) == 8


def test_a_table_beside_class_folders_is_not_taken_for_their_labels(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", cats=6, dogs=6)
    (root / "sizes.csv").write_text("file,width\ncats/0.png,12\ndogs/0.png,13\n")
    data = load_folder(root, CONTRACT)
    assert data.sets["test"].labels == ("cats", "dogs")
    assert data.skipped == [("sizes.csv", "files outside the class folders")]


def test_kaggle_s_train_and_test_tables_with_pictures_of_the_same_names(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for i in range(10):
        draw(root / "train" / f"{i}.png", i)
        draw(root / "test" / f"{i}.png", 100 + i)
    (root / "trainLabels.csv").write_text("\n".join(["id,label", *(f"{i},{'ab'[i % 2]}" for i in range(10))]))
    data = load_folder(root, CONTRACT)
    assert total(data) == 10 and all(f.startswith("train/") for split in ALL for f in data.sets[split].files)
    assert sum(entry.count for entry in data.summary.left_out) == 10


def test_columns_that_are_asked_for_are_used_or_refused_by_name(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for i in range(40):
        draw(root / f"{i}.png", i)
    rows = [f"{i},{'ab'[i % 2]},{'xy'[i % 4 // 2]},p{i // 4}" for i in range(40)]
    (root / "labels.csv").write_text("\n".join(["id,label,other,patient", *rows]))
    data = load_folder(root, CONTRACT, options=SplitOptions(label_column="other", group_column="patient"))
    assert data.sets["test"].labels == ("x", "y")
    sides = [{int(Path(file).stem) // 4 for file in data.sets[split].files} for split in ALL]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert "pictures of the 10 values of patient stay together" in data.summary.divided
    with pytest.raises(DataError, match=r"labels.csv has no column 'Patient ID' .*id, label, other, patient"):
        load_folder(root, CONTRACT, options=SplitOptions(group_column="Patient ID"))
    with pytest.raises(DataError, match="needs a table"):
        load_folder(fill(tmp_path / "bare", a=3, b=3), CONTRACT, options=SplitOptions(label_column="x"))


def pictures(targets: list[int], names: list[str], images: torch.Tensor, **changes: object) -> Items:
    fields = {"given": ["train"] * len(names), "groups": [None] * len(names), "labels": ["a", "b"], **changes}
    fields |= {"same": same_pixels(images), "near": nearly_same(images)}
    return Items(PICTURES, np.array(targets), names, **fields)


def noise(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_copies_stay_on_one_side_and_are_counted() -> None:
    """Ten pictures of each class, each there three times."""
    images = noise(20).repeat(3, 1, 1, 1)
    targets = [int(i % 20 >= 10) for i in range(60)]
    division = divide(pictures(targets, [f"{i}" for i in range(60)], images), SplitOptions())
    sides = [{int(i) % 20 for i in division.members[split]} for split in ALL]
    assert [len(side) for side in sides] == [14, 2, 4]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert sum(len(part) for part in division.members.values()) == 60
    assert division.read == (
        "40 exact copies among the pictures: a picture and its copies stay on one side of a split",
    )


def test_one_picture_in_two_classes_is_a_contradiction() -> None:
    images = noise(20)
    images[15] = images[3]
    names = [f"{'ab'[i // 10]}/{i}.png" for i in range(20)]
    division = divide(pictures([i // 10 for i in range(20)], names, images), SplitOptions())
    assert division.warnings == (
        "2 pictures contradict each other, the same picture in several classes: a/3.png and b/15.png",
    )


def test_copies_between_given_training_and_test_pictures_are_counted() -> None:
    images = noise(20)
    images[16:19] = images[0:3]
    given = ["train"] * 15 + ["test"] * 5
    division = divide(
        pictures([i % 2 for i in range(20)], [f"{i}" for i in range(20)], images, given=given), SplitOptions()
    )
    assert [len(division.members[split]) for split in ALL] == [13, 2, 5]
    assert (
        "3 of the 5 test pictures are copies of training pictures, which flatters the test figures" in division.warnings
    )


def test_a_class_of_copies_alone_is_named() -> None:
    images = noise(20)
    images[:10] = images[0]
    division = divide(pictures([i // 10 for i in range(20)], [f"{i}" for i in range(20)], images), SplitOptions())
    assert [len(division.members[split]) for split in ALL] == [14, 2, 4]
    assert division.warnings[0].startswith("the 10 pictures of 'a' are copies of 1, too few to divide")


@pytest.mark.parametrize(
    ("patients", "how", "together", "said"),
    [
        (8, "auto", True, "pictures of the 8 subfolders of the classes stay together (--groups none divides them)"),
        (2, "auto", False, "the 2 subfolders of the classes are too few to stay together"),
        (2, "folder", True, "pictures of the 2 subfolders of the classes stay together"),
        (8, "none", False, ""),
    ],
)
def test_subfolders_stay_together_where_there_are_enough(
    tmp_path: Path, patients: int, how: str, together: bool, said: str
) -> None:
    for k, label in enumerate(("ill", "well")):
        for i in range(48):
            draw(tmp_path / "set" / label / f"p{i % patients}" / f"{i}.png", 100 * k + i)
    data = load_folder(tmp_path / "set", CONTRACT, options=SplitOptions(groups=how))
    train_side, test_side = ({Path(f).parts[1] for f in data.sets[split].files} for split in ("train", "test"))
    assert bool(train_side & test_side) != together
    assert said in data.summary.divided and total(data) == 96


def test_how_many_or_which_pictures_are_for_the_test_can_be_said(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", cats=10, dogs=20)

    def tested(test: str) -> list[str]:
        data = load_folder(root, CONTRACT, options=SplitOptions(test=test))
        assert total(data) == (30 if "other" not in test else 36)
        return list(data.sets["test"].files)

    assert [sum(f.startswith(c) for f in tested("3")) for c in ("cats", "dogs")] == [3, 3]
    assert [sum(f.startswith(c) for f in tested("0.5")) for c in ("cats", "dogs")] == [5, 10]
    (tmp_path / "names.txt").write_text("cats/3.png\ndogs\\7.png\n")
    assert tested(str(tmp_path / "names.txt")) == ["cats/3.png", "dogs/7.png"]
    fill(tmp_path / "other", cats=3, dogs=3)
    assert len(tested(str(tmp_path / "other"))) == 6
    with pytest.raises(DataError, match="asks for 15 test pictures of each class, 'cats' has 10"):
        tested("15")
    with pytest.raises(DataError, match=r"--test nowhere: there is no such folder or file"):
        tested("nowhere")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_file_is_used_or_counted(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any tree of a few pictures, broken ones and other files: read with everything accounted for, or refused."""
    root = tmp_path_factory.mktemp("tree")
    kinds = data.draw(st.lists(
        st.tuples(
            st.sampled_from(["", "a", "b", "c/d", "train/a", "train/b", "test/a", "test/b", "a/p1", "a/p2", "images"]),
            st.sampled_from(["1", "2", "10", "x y", "ä"]),
            st.sampled_from([".png", ".PNG", ".txt", ".broken.png"]),
            st.integers(0, 6),
        ), min_size=1, max_size=25,
    ))  # fmt: skip
    files = set()
    for folder, stem, suffix, seed in kinds:
        path = root / folder / f"{stem}{suffix}"
        draw(path.with_suffix(".png"), seed) if suffix.lower() == ".png" else None
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".PNG":
            path.with_suffix(".png").rename(path)
        elif suffix != ".png":
            path.write_bytes(b"no picture")
    if data.draw(st.booleans()):
        labels = [f"{stem},{data.draw(st.sampled_from('xyz'))}" for _, stem, _, _ in kinds]
        (root / "labels.csv").write_text("\n".join(["id,label", *labels]))
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    try:
        read = load_folder(root, CONTRACT)
    except DataError as error:
        assert str(error)
        return
    used = [file for split in ALL for file in read.sets[split].files]
    assert len(used) == len({*used}) == sum(read.summary.splits.values())
    named = {name for name, _ in read.skipped}
    wrapped = {file for file in files if any(file.endswith(f"/{name}") or file == name for name in [*used, *named])}
    tables = {file for file in files if file.endswith("labels.csv")}
    assert wrapped | tables == files
    assert sum(entry.count for entry in read.summary.left_out) == len(read.skipped)


def arrows(left: str, right: str, root: Path, *, count: int = 20) -> Path:
    """Arrows in two directions, somewhere, of some size."""
    rng = np.random.default_rng(0)
    for label, sign in ((left, -1), (right, 1)):
        (root / label).mkdir(parents=True)
        for i in range(count):
            picture = Image.new("RGB", (48, 48), (200, int(rng.integers(150, 255)), 180))
            x, y, r = *(24 + rng.uniform(-5, 5, 2)), rng.uniform(10, 17)
            shape = [(-1, -0.2), (0.1, -0.2), (0.1, -0.7), (1, 0), (0.1, 0.7), (0.1, 0.2), (-1, 0.2)]
            ImageDraw.Draw(picture).polygon([(x + sign * r * a, y + r * b) for a, b in shape], fill=(20, 20, 90))
            picture.save(root / label / f"{i}.png")
    return root


ALONE = {"weights": "none", "validation": False}  # the network learns from the pictures alone, from all but the test's


def built(root: Path, recipe: str = "photos", **changes: object) -> ImageTask:
    from cnn_core.domains import find_recipe
    from cnn_core.train.config import read_recipe

    settings = {**ALONE, "data": str(root), **changes}
    task = ImageTask(override(read_recipe(Recipe, find_recipe(recipe)[1]), settings))
    task.build_data(torch.device("cpu"))
    return task


def test_classes_that_are_mirror_images_switch_flips_off(tmp_path: Path) -> None:
    task = built(arrows("left", "right", tmp_path / "signs"), size=32)
    assert task._batches.augment.flip == "none" and task.contract.tta == "none"
    assert task.recipe.augment.flip == "random" and task.recipe.data.tta == "flip"
    assert any("pictures are not flipped: left and right" in said for said in task.summary.sentences)
    alike = built(fill(tmp_path / "noise", a=20, b=20), size=32)
    assert alike._batches.augment.flip == "random" and alike.contract.tta == "flip"


def test_real_classes_are_no_mirror_images() -> None:
    """Of 0, 1 and 8, as people write them, none looks like another's mirror image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images * 15).to(torch.uint8)[:, None]
    few = np.isin(bunch.target, [0, 1, 8])
    assert mirrored_classes(images[few], bunch.target[few]) == []


def test_a_few_pictures_are_learned_from_in_enough_steps(tmp_path: Path) -> None:
    task = built(fill(tmp_path / "set", a=10, b=10), size=32)
    assert task.steps_per_epoch() == 10  # 16 pictures are one batch
    assert "An epoch goes through the 16 training pictures 10 times, in 10 steps." in task.summary.sentences
    digits = ImageTask(override(Recipe(), {"batch_size": 500}))
    digits.build_data(torch.device("cpu"))
    assert digits.steps_per_epoch() == 2  # a named set is as its recipe has it


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of arrows and a short training on it."""
    place = tmp_path_factory.mktemp("own")
    root = arrows("left", "right", place / "signs")
    shutil.copytree(root, place / "before")
    train("photos", folder=place / "run", settings={
        **ALONE, "data": str(root), "size": 16, "epochs": 1, "device": "cpu", "model": "lenet", "options": {},
    })  # fmt: skip
    return root, place / "run"


def measured(run: Path, data: Path) -> dict:
    return image_classification.evaluate_weights(str(run), data=str(data), device="cpu")


def test_the_training_data_are_known_again_wherever_they_are(run: tuple[Path, Path], tmp_path: Path) -> None:
    root, folder = run
    own = measured(folder, root)
    assert (own["split"], own["n"], own["of"]) == ("test", 8, 40)
    moved = tmp_path / "elsewhere"
    for i, file in enumerate(sorted(root.rglob("*.png"))):
        (moved / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, moved / file.parent.name / f"renamed{99 - i}.png")
    again = measured(folder, moved)
    assert (again["split"], again["n"], again["metrics"]) == ("test", 8, own["metrics"])
    for i in range(5):
        draw(moved / "left" / f"new{i}.png", i)
    grown = measured(folder, moved)
    assert (grown["n"], grown["of"], grown["metrics"]) == (8, 45, own["metrics"])
    assert "5 pictures were not there in training" in " ".join(grown["summary"]["sentences"])


def test_other_data_are_measured_whole(run: tuple[Path, Path], tmp_path: Path) -> None:
    """A folder with test/ alone, one class of two, and copies of what was learned."""
    root, folder = run
    for i in range(6):
        draw(tmp_path / "a" / "test" / "left" / f"{i}.png", i)
        draw(tmp_path / "a" / "test" / "RIGHT" / f"{i}.png", 10 + i)
        draw(tmp_path / "b" / "right" / f"{i}.png", 20 + i)
        draw(tmp_path / "b" / "up" / f"{i}.png", 30 + i)
        draw(tmp_path / "c" / "up" / f"{i}.png", 30 + i)
    assert [measured(folder, tmp_path / name)[key] for name in "ab" for key in ("split", "n")] == ["all", 12, "all", 6]
    assert "6 pictures of 'up', a class that the network does not know" in " ".join(
        measured(folder, tmp_path / "b")["summary"]["sentences"]
    )
    with pytest.raises(DataError, match=r"the network knows the classes left, right, but .* has up"):
        measured(folder, tmp_path / "c")
    task = built(root, size=16)
    for file in task.sets["train+val"].files[:3]:
        (tmp_path / "a" / "test" / Path(file).parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(root / file, tmp_path / "a" / "test" / Path(file).parent / f"copy{Path(file).name}")
    flattered = measured(folder, tmp_path / "a")
    assert flattered["n"] == 15 and "accuracy" in flattered["unseen"]
    assert "3 of 15 pictures are copies of what these weights learned from" in " ".join(
        flattered["summary"]["warnings"]
    )


def test_library_command_and_page_say_the_same(run: tuple[Path, Path]) -> None:
    import json

    root, folder = run
    written = json.loads((folder / "data.json").read_text("utf-8"))["sentences"]
    assert DOMAIN.summarise("photos", {**ALONE, "data": str(root), "size": 16}).sentences == written
    assert written[0] == "40 pictures in 2 classes: left 20, right 20."


def test_classes_without_test_pictures_and_unequal_ones_are_named(tmp_path: Path) -> None:
    said = " ".join(load_folder(fill(tmp_path / "set", yields=40, stop=3, closed=1), CONTRACT).summary.sentences)
    assert "no test item, so nothing is measured of it: closed" in said
    assert "'yields' has 40 items" in said and "closed (1), stop (3)" in said


def test_the_whole_of_a_folder_is_read_for_a_network(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", cats=4, dogs=3)
    whole, summary, skipped = load_whole(root, CONTRACT, labels=("dogs", "cats", "owls"))
    assert whole.labels == ("dogs", "cats", "owls") and whole.targets.tolist() == [1] * 4 + [0] * 3 and not skipped
    assert "Of the network's 3 classes these have no picture here: owls." in summary.sentences


def test_heic_is_read_where_its_package_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    from cnn_core.data.images import read_image

    data = io.BytesIO()
    heif.from_pillow(Image.new("RGB", (32, 24), (200, 30, 30))).save(data)
    picture = read_image(data.getvalue())
    assert picture.size == (32, 24) and picture.getpixel((9, 9))[0] > 150


def test_each_way_of_transfer_has_a_rate_and_steps_of_its_own() -> None:
    from cnn_core.weights import find_weights, load_card

    ways = DOMAIN.ways(load_card(find_weights("digits")), "digits")
    rates = {mode: recipe.optimizer.learning_rate for mode, (recipe, _) in ways.items()}
    assert rates == {"bottleneck": 3e-3, "freeze": 1e-3, "fine-tune": 5e-4, "scratch": 3e-3}
    assert all((recipe.loop.epochs, recipe.loop.batch_size) == (15, 16) for recipe, _ in ways.values())
    assert [fixed for _, fixed in ways.values()] == [{"transfer": mode} for mode in rates]  # flags may change the rest
