"""Home and the navigation, and the rule that the entry brings no torch."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from driving import APPS, html, open_home

pytestmark = pytest.mark.usefixtures("in_workplace")


def test_home_says_what_this_is_and_leads_to_every_application():
    home = open_home()
    assert home.title[0].value == "Convolutional networks to use and understand"
    assert [link.page for link in home.page_link] == ["image", "text", "medical", "captions", "audio", "detection"]
    lead = html(home).split('<p class="lead">')[1].split("</p>")[0]
    assert "trained, most of them on real data" in lead  # phantom and scenes are drawn
    assert "mostly in under a second. Scans take longer" in lead


def test_the_tiles_answer_as_soon_as_torch_is_there():
    end = time.monotonic() + 60
    home = open_home()
    while html(home).count("Read just now") < 2:
        assert "being loaded" in html(home)
        assert time.monotonic() < end
        time.sleep(0.2)
        home.run()
    assert html(home).count('<p class="word">') == 4
    assert '<mark class="for"' in html(home)  # the words that decided


def test_a_row_of_the_table_carries_spread_number_and_command():
    from cnn_core.weights import WeightsCard
    from components.tables import _row

    card = WeightsCard(
        name="mnist", domain="image_classification", model="fastnet",
        arguments={"spatial_dims": 2, "in_channels": 1, "num_classes": 2, "input_size": None, "options": {}},
        input={}, labels=["a", "b"],
        metrics={"accuracy": {"mean": 0.9967, "std": 0.0002, "n": 10000, "seeds": [0, 1], "split": "test",
                              "values": [0.9969, 0.9965]}},
        recipe={}, command="cnn train mnist", machine="test", seconds=80.0, parameters=123456, sha256="0" * 64,
        bytes=1_500_000, dtype="float16", licence="MIT", limits=[], created="2025-01-31", version="0.1.0",
    )  # fmt: skip
    row = [getattr(cell, "html", cell) for cell in _row(card)]
    for text in (
        "99.67 ± 0.02 % accuracy, 2 seeds",
        "10,000",
        "123,456",
        "1.5 MB",
        "80 s",
        "<code>cnn train mnist</code>",
    ):
        assert text in row


def test_no_folder_is_called_pages():
    """Streamlit would run its files by themselves, without navigation, when the first address opened is one of them."""
    assert not (APPS / "pages").exists()


@pytest.mark.parametrize("page", ["showcase.py", "views/home.py", "views/image.py", "views/text.py"])
def test_reading_a_page_loads_no_torch(page: str):
    """The first picture of a page must not wait seconds for torch: it is loaded by the first answer."""
    code = (
        "import ast, importlib, sys\n"
        f"tree = ast.parse(open({str(APPS / page)!r}).read())\n"
        "for node in tree.body:\n"
        "    if isinstance(node, ast.Import):\n"
        "        [importlib.import_module(n.name) for n in node.names]\n"
        "    elif isinstance(node, ast.ImportFrom):\n"
        "        importlib.import_module(node.module)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=APPS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "torch was loaded"


def test_pages_hold_no_model_code_and_packages_no_streamlit():
    import ast

    def imports(file: Path) -> set[str]:
        nodes = ast.walk(ast.parse(file.read_text("utf-8")))
        found = [n.module or "" if isinstance(n, ast.ImportFrom) else n.names[0].name
                 for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]  # fmt: skip
        return {name.split(".")[0] for name in found}

    root = APPS.parent
    for file in [*(root / "shared").rglob("*.py"), *(root / "packages").rglob("*.py")]:
        assert not imports(file) & {"streamlit", "components", "views"}, file
    for file in APPS.rglob("*.py"):
        assert not imports(file) & {"torchvision", "captum", "lightning_fabric"}, file
