"""Every loader of users' files among damaged ones: a result, or a sentence, within seconds and a bounded memory.

FUZZ_SECONDS is how long each loader is tried, FUZZ_SEED where hypothesis begins. What shows a defect is kept in the
folder that the failure names.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loaders import LOADERS

SECONDS = float(os.environ.get("FUZZ_SECONDS", "10"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
MOST_ENDS = 5  # processes that hang or crash, before a loader is given up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240 + 10 * SECONDS),
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is bounded through Linux's /proc"),
]


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_files_end_in_a_result_or_a_sentence(name: str, tmp_path: Path, capsys) -> None:
    ended, cases, read, defects, number, most = [], 0, 0, {}, SEED, 0
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    until = time.monotonic() + SECONDS
    while (left := until - time.monotonic()) > 0 or not cases:
        folder = tmp_path / str(len(ended))
        (folder / "temporary").mkdir(parents=True)
        environment = {
            **os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
            "CNN_DATA_DIR": str(folder / "sets"), "TMPDIR": str(folder / "temporary"), "HOME": str(folder),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        }  # fmt: skip
        words = [sys.executable, str(Path(__file__).with_name("fuzzing.py")), name, str(folder)]
        with (folder / "said").open("w") as said:
            if not cases:
                left = SECONDS
            done = subprocess.run(
                [*words, str(max(1.0, left)), str(number)], cwd=folder, env=environment, stdout=said, stderr=said,
                timeout=200 + 3 * SECONDS,
            )  # fmt: skip
        text = (folder / "said").read_text(errors="replace")
        assert (folder / "found.json").exists(), text[-3000:]
        found = json.loads((folder / "found.json").read_text())
        cases, read, most = cases + found["cases"], read + found["read"], max(most, found["MiB"])
        defects |= {kind: str(folder / file) for kind, file in found["defects"].items()}
        if done.returncode == 0:
            break
        ended.append((folder / "now", done.returncode, text[-1500:]))
        number = found["seed"] + 1000
        if len(ended) == MOST_ENDS:
            break
    with capsys.disabled():
        print(f"\n{name}: {cases} cases, {read} read, up to {most} MiB; ", end="")
        print(f"{len(defects)} kinds of defects, {len(ended)} processes hung or crashed")
    assert not defects, "\n".join(f"{kind}  [{file}]" for kind, file in defects.items())
    assert not ended, ended
