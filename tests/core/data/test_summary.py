import json

import pytest

from cnn_core.data.summary import (
    DataSummary,
    LeftOut,
    Omissions,
    class_counts,
    class_warnings,
    counted,
    more_classes,
    several_in_one,
)

SUMMARY = DataSummary(
    "pets", "pictures", {"train": 7, "val": 1, "test": 2},
    {"cats": {"train": 4, "val": 1, "test": 1}, "dogs": {"train": 3, "val": 0, "test": 1}},
    "a fifth of every class is test", ("Pictures are read from labels.csv",),
    (LeftOut("files that are no pictures", 4, ("a.txt", "b.txt", "c.txt")),), ("dogs have no validation item",),
)  # fmt: skip


def test_the_sentences_hold_every_count_and_reason() -> None:
    assert SUMMARY.sentences == [
        "10 pictures in 2 classes: cats 6, dogs 4.",
        "7 training, 1 validation, 2 test: a fifth of every class is test.",
        "Pictures are read from labels.csv.",
        "Left out: 4 files that are no pictures (a.txt, b.txt, c.txt, ...).",
        "Dogs have no validation item.",
    ]
    assert str(SUMMARY).splitlines() == SUMMARY.sentences


def test_the_dots_of_a_list_that_is_cut_short_stay() -> None:
    said = DataSummary("pets", "pictures", {"all": 9}, read=("read from a.csv.",), warnings=("alike: a, b, ...",))
    assert said.sentences == ["9 pictures.", "Read from a.csv.", "Alike: a, b, ..."]


def test_it_goes_through_json() -> None:
    values = json.loads(json.dumps(SUMMARY.to_json()))
    assert values["sentences"] == SUMMARY.sentences
    assert DataSummary.from_json(values) == SUMMARY


def test_omissions_count_by_reason_and_keep_a_few_examples() -> None:
    omissions = Omissions()
    for number in range(5):
        omissions.add("empty rows", f"line {number}")
    omissions.add("rows without a label", count=7)
    omissions.add("nothing", count=0)
    assert [str(entry) for entry in omissions.all] == [
        "5 empty rows (line 0, line 1, line 2, ...)",
        "7 rows without a label",
    ]


def test_classes_are_counted_by_split() -> None:
    counts = class_counts(["a", "b"], {"train": [0, 0, 1], "test": [0]})
    assert counts == {"a": {"train": 2, "test": 1}, "b": {"train": 1, "test": 0}}


def test_what_is_wrong_with_classes_is_said() -> None:
    def said(**classes: tuple[int, int]) -> str:
        named = {name.replace("_", " "): {"train": a, "test": b} for name, (a, b) in classes.items()}
        return "; ".join(class_warnings(named))

    assert said(a=(40, 10), b=(40, 10)) == ""
    assert "no test item, so nothing is measured of it: b" in said(a=(40, 10), b=(50, 0))
    assert "fewer than 10 items, too few to rely on: b (4)" in said(a=(30, 1), b=(2, 2))
    assert "'a' has 200 items, 'b' 12" in said(a=(190, 10), b=(10, 2))
    assert "'Spam', 'spam' differ in case, spaces or zeros alone" in said(Spam=(40, 10), spam=(40, 10))
    assert "'no entry', 'no  entry' differ" in said(no_entry=(40, 10), no__entry=(40, 10))
    assert "'1', '1.0' differ" in said(**{"1": (40, 10), "1.0": (40, 10), "2": (40, 10)})
    assert said(**{"1234567": (40, 10), "1234568": (40, 10)}) == ""
    composed, taken_apart = "caf\u00e9", "cafe\u0301"
    assert f"'{composed}', '{taken_apart}' differ" in said(**{composed: (40, 10), taken_apart: (40, 10)})
    assert r"'spam', 'spam\u200b' differ" in said(**{"spam": (40, 10), "spam\u200b": (40, 10)})
    assert "the label 'NA' of 50 items is learned as a class, but" in said(NA=(40, 10), b=(40, 10))


def test_more_labels_than_classes_can_be_is_said_with_the_flag_that_helps() -> None:
    scores = {str(k): {"train": 1} for k in range(199)}
    assert class_warnings(scores, label_flag="--label-column") == [
        "199 different labels in 199 items: these may be scores, names or lists instead of classes; --label-column "
        "chooses another column"
    ]
    assert "label-column" not in "; ".join(class_warnings(scores))  # class folders are meant


@pytest.mark.parametrize(
    ("labels", "several"),
    [
        (["a|b", "a", "b", "b|a"], ["a|b", "b|a"]),
        (["Atelectasis|Effusion", "Atelectasis", "Cardiomegaly", "Cardiomegaly|Edema|Mass", "No Finding"],
         ["Atelectasis|Effusion", "Cardiomegaly|Edema|Mass"]),  # ChestX-ray14
        (["scab", "scab frog_eye_leaf_spot", "frog_eye_leaf_spot", "healthy"], ["scab frog_eye_leaf_spot"]),
        (["0", "16 0", "16", "7"], ["16 0"]),  # Human Protein Atlas
        (["27", "2", "2,10", "2,7,10"], ["2,7,10"]),  # GoEmotions; 2,10 might be a number
        (["Bark,Dog", "Meow,Cat", "Meow,Dog", "Bark,Cat", "Bark,Meow"],
         ["Bark,Cat", "Bark,Dog", "Bark,Meow", "Meow,Cat", "Meow,Dog"]),
        (['["a", "b"]', '["a"]', '["b"]'], ['["a", "b"]']),
        (["['New York' 'Rome']", "['Rome']"], ["['New York' 'Rome']"]),  # as NumPy prints them
        (["happy + sad", "happy", "sad"], ["happy + sad"]),
        (["pos", "neg"], []), (["Sci/Tech", "World"], []), (["black_jeans", "black_shirt", "blue_jeans", "jeans"], []),
        (["tench, Tinca tinca", "goldfish, Carassius auratus", "maillot", "maillot, tank suit", "crane"], []),
        (["Paris, France", "Lyon, France", "Nice, France", "Bonn, Germany", "Ulm, Germany"], []),
        (["1", "1,5", "2", "2,5", "5"], []), (["New York", "York", "Rome"], []), (["a, b and c", "d"], []),
        (["type 1", "type 2", "none"], []), (["rock & pop", "jazz", "rock"], []), (["[positive]", "[negative]"], []),
    ],
)  # fmt: skip
def test_several_labels_in_a_cell_are_told_from_names_with_commas(labels: list[str], several: list[str]) -> None:
    assert several_in_one(labels) == several
    named = [warning for warning in class_warnings({label: {"train": 40} for label in labels}) if "one cell" in warning]
    assert len(named) == bool(several)


def test_labels_that_are_whole_texts_are_cut_short() -> None:
    long = {"x" * 500: {"train": 4, "test": 0}, "y" * 500: {"train": 90, "test": 1}}
    said = [*class_warnings(long), *DataSummary("a", "texts", {"all": 95}, long).sentences]
    assert max(map(len, said)) < 350 and f"{'x' * 60}... (4)" in " ".join(said)


def test_one_thing_is_no_things() -> None:
    assert [counted(n, "rows without text") for n in (0, 1, 2000)] == [
        "0 rows without text", "1 row without text", "2,000 rows without text",
    ]  # fmt: skip
    assert counted(1, "copies") == "1 copy" and counted(1, "class") == "1 class"
    assert DataSummary("x", "scans", {"all": 1}).sentences == ["1 scan."]


@pytest.mark.parametrize(
    ("count", "things", "said"),
    [
        (1, "rows without a text", "1 row without a text"), (3, "rows without a text", "3 rows without a text"),
        (1, "is not a picture", "1 is not a picture"), (2, "is not a picture", "2 are not a picture"),
        (1, "has no samples", "1 has no samples"), (1_000, "has no samples", "1,000 have no samples"),
        (1, "classes", "1 class"), (1, "copies", "1 copy"),
    ],
)  # fmt: skip
def test_a_count_agrees_with_its_word(count: int, things: str, said: str) -> None:
    assert counted(count, things) == said


def test_one_class_more_and_several() -> None:
    assert (more_classes(1), more_classes(1_200)) == ("1 more class", "1,200 more classes")
