"""Environments of their own under build/, for peers that this project does not depend on."""

import site
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def peer_python(name: str, *packages: str, torch_too: bool = False) -> Path:
    """Return the Python of `build/NAME`; made and filled the first time, which needs a package registry.

    Args:
        name: of the folder.
        packages: to install.
        torch_too: the packages of this environment are seen there as well.
    """
    folder = ROOT / "build" / name
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        if torch_too:
            packages_folder = next((folder / "lib").glob("python*")) / "site-packages"
            lines = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
            (packages_folder / "also.pth").write_text("\n".join(lines))
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / ".installed").touch()
    return python
