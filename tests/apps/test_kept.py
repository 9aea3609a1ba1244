"""What the session keeps: results until newer ones come, files until they are removed, choices of each page apart."""

import pytest
import streamlit as st
from driving import APPS, checked, html
from streamlit.testing.v1 import AppTest

from components import address
from components.bring import is_secure
from components.kept import remembered


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The state of a session, which is all that a lost connection leaves."""
    state: dict = {}
    monkeypatch.setattr(st, "session_state", state)
    return state


def test_a_result_is_computed_once_until_newer_ones_push_it_out(session: dict):
    made, alive = [], []

    @remembered(2)
    def double(number: int, *, _why: str) -> int:
        made.append(number)
        alive.append(len(next(iter(session.values()))))
        return 2 * number

    assert [double(n, _why=str(i)) for i, n in enumerate((1, 2, 1, 3, 1, 2))] == [2, 4, 2, 6, 2, 4]
    assert made == [1, 2, 3, 2]  # 3 pushed out 2, which had been asked for before 1
    assert max(alive) == 1  # the oldest goes before the next is made


def test_a_failure_is_not_kept(session: dict):
    @remembered(1)
    def fails(number: int) -> int:
        raise ValueError(number)

    for _ in range(2):
        with pytest.raises(ValueError, match="7"):
            fails(7)


def test_no_cache_ends_with_the_connection():
    """Streamlit empties those of a session when its connection drops; what is `remembered` stays."""
    assert [file for file in APPS.rglob("*.py") if 'scope="session"' in file.read_text("utf-8")] == []


def script() -> None:
    import streamlit as st

    from components.address import begin, keep
    from components.frame import page
    from components.kept import uploaded

    page(st.session_state.get("title", "one"), "")
    if st.session_state.get("title") != "empty":
        begin("choice", ["a", "b", "c"], "a")
        st.pills("Choice", ["a", "b", "c"], key="choice", required=True)
        keep("choice", "a")
        files = uploaded("Files", ["txt"], key="files", limit=1, many=True)
        st.text(" ".join(f"{file.name}={file.data.decode()}" for file in files))


def go(page: AppTest, title: str) -> AppTest:
    """Open another page, which clears the address, and come to rest there."""
    page.session_state["title"] = title
    page.query_params.clear()
    return checked(page.run())


def test_each_page_has_its_choice_and_its_files_again_when_it_is_opened_again():
    page = checked(AppTest.from_function(script).run())
    checked(page.pills(key="choice").set_value("b").run())
    page.file_uploader(key="files").set_value([("x.txt", b"1", "text/plain"), ("y.txt", b"2", "text/plain")])
    assert checked(page.run()).text[0].value == "x.txt=1 y.txt=2"
    go(page, "empty")
    go(page, "two")
    assert (page.pills(key="choice").value, page.text[0].value) == ("a", "")
    checked(page.pills(key="choice").set_value("c").run())
    go(page, "empty")
    go(page, "one")
    assert (page.pills(key="choice").value, page.text[0].value) == ("b", "x.txt=1 y.txt=2")
    assert page.query_params["choice"] in ("b", ["b"])
    assert "2 files uploaded before" in html(page)
    checked(page.file_uploader(key="files").set_value([("z.txt", b"3", "text/plain")]).run())
    assert page.text[0].value == "z.txt=3"
    go(page, "empty")
    go(page, "one")
    checked(page.button(key="files-remove").click().run())
    assert page.text[0].value == ""
    assert go(go(page, "empty"), "one").text[0].value == ""


def test_a_page_opened_right_after_another_does_not_take_its_choice():
    """A widget of the same key on the page before may still have its value."""
    page = checked(AppTest.from_function(script).run())
    checked(page.pills(key="choice").set_value("b").run())
    assert go(page, "two").pills(key="choice").value == "a"
    assert go(page, "one").pills(key="choice").value == "b"


def test_the_address_wins_when_the_browser_goes_back():
    page = checked(AppTest.from_function(script).run())
    for value in "bc":
        checked(page.pills(key="choice").set_value(value).run())
    page.query_params["choice"] = "b"
    assert checked(page.run()).pills(key="choice").value == "b"
    page.query_params.clear()
    assert checked(page.run()).pills(key="choice").value == "a"
    checked(page.pills(key="choice").set_value("c").run())
    page.query_params["choice"] = "nonsense"
    assert checked(page.run()).pills(key="choice").value == "a"


def test_a_choice_that_follows_quickly_does_not_undo_the_one_before():
    """The browser sends it with the address from before the first, as it does after going back."""
    page = checked(AppTest.from_function(script).run())
    checked(page.pills(key="choice").set_value("b").run())
    page.query_params.clear()
    page.session_state[address.BROWSERS] = False
    assert checked(page.run()).pills(key="choice").value == "b"
    page.query_params.clear()
    page.session_state[address.BROWSERS] = True
    assert checked(page.run()).pills(key="choice").value == "a"


@pytest.mark.parametrize(("ended", "known"), [(None, False), (9.9, False), (9.6, True)])
def test_the_address_is_the_browsers_once_a_run_has_ended_for_a_while(
    session: dict, monkeypatch: pytest.MonkeyPatch, ended: float | None, known: bool
):
    if ended:
        monkeypatch.setattr(address, "monotonic", lambda: ended)
        address.run_ends()
    monkeypatch.setattr(address, "monotonic", lambda: 10.0)
    address.run_begins()
    assert session[address.BROWSERS] is known
    address.run_begins()  # the run before was interrupted
    assert session[address.BROWSERS] is False


@pytest.mark.parametrize(("url", "secure"), [
    ("https://pages.example/image", True), ("http://localhost:8501/image", True), ("http://127.0.0.1:8501", True),
    ("http://[::1]:8501/", True), ("http://a.localhost/", True), ("", True),
    ("http://192.168.1.5:8501/image", False), ("http://pages.example/", False), ("http://127.0.0.1.example/", False),
    ("http://localhost.example/", False),
])  # fmt: skip
def test_the_camera_is_for_secure_pages(url: str, secure: bool):
    assert is_secure(url) is secure
