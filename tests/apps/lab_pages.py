"""Opening pages of the lab as a browser would, through the entry, and running the code that they show."""

import warnings
from pathlib import Path

from driving import checked
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


def open_lab(name: str, **address: str) -> AppTest:
    """Open the page of an idea ("" is the index) at an address and check that it shows no defect."""
    lab = AppTest.from_file(str(ROOT / "apps" / "showcase.py"), default_timeout=120)
    for key, value in address.items():
        lab.query_params[key] = value
    lab.switch_page(f"views/lab{'_' if name else ''}{name.replace('-', '_')}.py")
    return checked(lab.run())


def run_shown_code(lab: AppTest, monkeypatch) -> dict[str, object]:
    """Run the snippet of the page from the repository's folder, without a warning, and return its names."""
    snippet = next(code.value for code in reversed(lab.code) if "import" in code.value)
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(snippet, "snippet.py", "exec"), names)
    return names
