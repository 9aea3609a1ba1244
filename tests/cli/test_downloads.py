"""What `cnn data get` shows of a download that it is told of."""

import io
import sys

from cnn_core.cli import downloads
from cnn_core.cli.downloads import shown_downloads

MB = 10**6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_the_beginning_now_and_then_and_at_the_end(capsys, monkeypatch):
    for every, drawn in ((0, ["0.00B", "4.00MB", "6.00MB", "8.00MB"]), (1e9, ["0.00B", "8.00MB"])):
        monkeypatch.setattr(downloads, "EVERY", every)
        with shown_downloads() as show:
            for done in (0, 4 * MB, 6 * MB, 8 * MB):
                show("a.tar", done, 8 * MB)
        texts = capsys.readouterr().err.splitlines()
        assert list(dict.fromkeys(text.split()[1] for text in texts)) == drawn
        assert all(text.startswith("a.tar  ") and "of 8.00MB" in text and text.endswith(" left") for text in texts)


def test_time_left_is_what_is_missing_divided_by_the_rate(capsys, monkeypatch):
    monkeypatch.setattr(downloads, "EVERY", 0)
    seconds = 0
    monkeypatch.setattr("tqdm.std.time", lambda: seconds)
    with shown_downloads() as show:
        for seconds in (2, 4, 6, 8):
            show("a.tar", seconds * MB, 128 * MB)
    assert "8.00MB of 128MB  1.00MB/s  02:00 left" in capsys.readouterr().err


def test_a_terminal_gets_a_bar_and_every_file_its_own(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with shown_downloads() as show:
        show("a.tar", 0, 8 * MB)
        show("a.tar", 8 * MB, 8 * MB)
        show("b.tar", 0, 2 * MB)
        show("b.tar", MB, 2 * MB)  # the connection breaks: the command goes on in a line of its own
    text = sys.stderr.getvalue()
    first, second, end = text.split("\n")
    assert "\ra.tar ━" in first and "8.00MB of 8.00MB" in first
    assert "\rb.tar ━" in second and "─ 1.00MB of 2.00MB" in second and end == ""


def test_what_goes_on_and_what_begins_anew_count_from_where_they_are(capsys):
    with shown_downloads() as show:
        show("a.tar", 6 * MB, 8 * MB)
        show("a.tar", 7 * MB, None)
        show("a.tar", MB, None)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "a.tar  6.00MB of 8.00MB  ?B/s  ? left"
    assert last == "a.tar  1.00MB of ?B  ?B/s  ? left"


def test_quiet_shows_nothing(capsys):
    with shown_downloads(quiet=True) as show:
        assert show is None
    assert capsys.readouterr().err == ""
