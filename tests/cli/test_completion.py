"""`cnn completion`: bash itself is asked what it would offer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_core.cli import main

ASK = """source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_shtab_cnn cnn "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("pre", {"predict"}),
        ("train digi", {"digits"}),
        ("predict mni", {"mnist"}),
        ("predict mnist photo", {"photo 1.png"}),
        ("explain mnist photo", {"photo 1.png"}),
        ("eval mnist --sp", {"--split"}),
        ("export mnist --to h", {"hub"}),
        ("bench mni", set()),  # a table's name, not weights'
    ],
)
def test_bash_offers(
    words: str, offered: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo 1.png").touch()
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "cnn"
    script.write_text(capsys.readouterr().out)
    command = ["bash", "-c", ASK, "bash", script, "cnn", *words.split()]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {*filter(None, answer.stdout.split("\n"))} == offered, answer.stderr


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_the_same_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "predict" in script and "--split" in script
    assert shell == "tcsh" or "flickr8k-plain" in script


def test_the_words_of_the_command_are_known_without_slow_imports() -> None:
    code = "import sys; from cnn_core.cli.parser import build_parser; build_parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "shtab", "torch", "numpy", "cnn_core.weights"} & {*done.stdout.split()}
