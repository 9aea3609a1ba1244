"""What to run when a package is missing: from a checkout, from a wheel, for each extra."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_core import errors
from cnn_core.errors import missing_package

REQUIREMENTS = [
    "numpy>=2.0",
    "scikit-learn>=1.6",
    "monai>=1.5.1; extra == 'demo'",
    "nibabel>=5.3; extra == 'demo'",
    "streamlit>=1.67; extra == 'demo'",
    "monai>=1.5.1; extra == 'medical'",
    'nibabel>=5.3; extra == "medical"',
    "torchtext==0.6.0; extra == 'text'",
]


@pytest.fixture(autouse=True)
def requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", {"cnn-showcase": REQUIREMENTS}.get)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(errors, "CHECKOUT", tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    return tmp_path


@pytest.mark.parametrize(
    ("package", "target"),
    [("nibabel", ".[medical]"), ("monai.losses", ".[medical]"), ("torchtext", ".[text]"), ("streamlit", ".[demo]"),
     ("numpy", ".")],
)  # fmt: skip
def test_a_checkout_installs_the_smallest_extra_with_the_package(checkout, package, target):
    message = str(missing_package(package))
    top = package.split(".")[0]
    assert message.startswith(f"this needs the package {top!r}, which is not installed; run in the folder of cnn-s")
    quoted = target if target == "." else f"'{target}'"
    assert message.endswith(f": .venv/bin/python -m pip install --editable {quoted}")


def test_a_python_that_lies_elsewhere_is_named_in_full(checkout, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    assert ": '/opt/my python/bin/python' -m pip install --editable '.[text]'" in str(missing_package("torchtext"))


def test_a_wheel_asks_for_the_requirements_themselves(tmp_path, monkeypatch):
    monkeypatch.setattr(errors, "CHECKOUT", tmp_path)
    monkeypatch.setattr(sys, "executable", "/v/bin/python")
    assert str(missing_package("nibabel")).endswith("; run: /v/bin/python -m pip install 'monai>=1.5.1' 'nibabel>=5.3'")


def test_a_package_that_is_no_requirement_gets_no_command(checkout):
    message = str(missing_package("sound_of_music"))
    assert message == "this needs the package 'sound_of_music', which is not installed; install what provides it"


def test_the_command_asks_for_the_medical_extra_where_nibabel_is_missing():
    # None is how Python itself marks a package that must not be imported
    code = "import sys; sys.modules['nibabel'] = None; import cnn_core.cli; sys.exit(cnn_core.cli.main())"
    command = [sys.executable, "-c", code, "predict", "lung-ct", "scan.nii.gz"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("cnn: this needs the package 'nibabel'")
    assert ended.stderr.endswith("'.[medical]'\n") or "'nibabel>=" in ended.stderr  # of a checkout or a wheel
