"""A table that gives a recording several labels, at different times or at once, is called what it is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_classification.folder import load_own
from cnn_core.data.classes.division import SplitOptions
from cnn_core.errors import DataError

RATE = 8000


def listed(folder: Path, rows: list[str], *, count: int = 6) -> Path:
    (folder / "audio").mkdir(parents=True)
    for i in range(count):
        wave = np.random.default_rng(i).uniform(-0.3, 0.3, 4000)
        soundfile.write(folder / "audio" / f"r{i}.wav", wave, RATE)
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("options", [None, SplitOptions(label_column="label")])
def test_stretches_of_time_with_several_labels_are_named(tmp_path: Path, options: SplitOptions | None) -> None:
    rows = ["filename,start,end,label"]
    for i in range(6):
        rows += [f"r{i}.wav,0.0,0.2,dog", f"r{i}.wav,0.3,0.5,cat"]
    said = (
        r"labels\.csv is a table of stretches of time \('start' and 'end'\), which gives 6 of 6 sounds several labels; "
        r"sounds with several labels cannot be learned: cut every stretch out as a file of its own"
    )
    with pytest.raises(DataError, match=said):
        load_own(listed(tmp_path / "set", rows), [], options=options)


def test_one_label_that_is_left_is_no_reason_to_speak_of_a_single_class(tmp_path: Path) -> None:
    rows = ["filename,label", "r0.wav,dog", "r1.wav,dog"]
    for i in range(2, 6):
        rows += [f"r{i}.wav,dog", f"r{i}.wav,cat"]
    said = r"a table that gives 4 of 6 sounds several labels; .* cannot be learned: leave one label for each sound"
    with pytest.raises(DataError, match=said):
        load_own(listed(tmp_path / "set", rows), [])


def test_recordings_with_one_label_are_taken_whole_and_others_counted(tmp_path: Path) -> None:
    rows = ["filename,onset,offset,label", "r0.wav,0.0,0.2,dog", "r0.wav,0.3,0.5,cat"]
    rows += [f"r{i}.wav,0.1,0.4,{('dog', 'cat')[i % 2]}" for i in range(1, 9)]
    own = load_own(listed(tmp_path / "set", rows, count=9), [])
    assert len(own.whole) == 8
    assert "the times in 'onset' and 'offset' of labels.csv are not used: each of the sounds is taken whole" in (
        own.summary.read
    )
    (left,) = own.summary.left_out
    assert (left.count, left.reason) == (1, "sound with several labels")
