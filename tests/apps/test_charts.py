"""Charts: their points, their axes, and what is said of them to those who do not see them."""

from driving import Chart, charts, checked
from streamlit.testing.v1 import AppTest

from components.charts import MOST, LineChart, described


def drawn(*shown: LineChart, live: bool = False) -> list[Chart]:
    """The charts that a page of these alone sends."""

    def script(shown: tuple, live: bool) -> None:
        from components.charts import show_charts

        show_charts(shown, key="c", live=live)

    page = AppTest.from_function(script, default_timeout=60, kwargs={"shown": shown, "live": live})
    return charts(checked(page.run()))


def encoding(chart: Chart, axis: str) -> dict:
    return chart.spec["layer"][0]["encoding"][axis]


def test_the_points_are_sent_as_they_are_under_their_names():
    loss = {"a": [(0, 0.569), (2, 0.644)], "b": [(1, 0.6)]}
    first, second = drawn(
        LineChart("Loss", loss, "epochs", "loss"),
        LineChart("Accuracy", {"b": [(1, 0.5)]}, "epochs", "accuracy"),
    )
    assert (first.title, first.lines) == ("Loss", loss)
    assert (second.title, second.lines) == ("Accuracy", {"b": [(1, 0.5)]})
    # a name has the same colour in both
    assert [encoding(one, "color")["scale"]["domain"] for one in (first, second)] == [["a", "b"]] * 2


def test_an_axis_is_fitted_to_the_points_and_names_its_unit():
    (chart,) = drawn(LineChart("Loss", {"a": [(0, 0.569), (2, 0.644)]}, "epochs", "cross-entropy"))
    assert encoding(chart, "y")["scale"] == {"zero": False}
    assert (encoding(chart, "x")["title"], encoding(chart, "y")["title"]) == ("epochs", "cross-entropy")


def test_a_logarithmic_axis_has_a_tick_at_every_point():
    points = [(1, 0.5), (10, 0.75), (100, 0.875)]
    (chart,) = drawn(LineChart("Accuracy", {"a": points}, "labels", "accuracy", percent=True, log_x=True))
    assert encoding(chart, "x")["scale"]["type"] == "log"
    assert encoding(chart, "x")["axis"]["values"] == [1, 10, 100]
    assert encoding(chart, "y")["axis"]["format"].endswith("%")


def test_no_more_lines_are_drawn_than_can_be_told_apart():
    (chart,) = drawn(LineChart("Loss", {f"run {i}": [(0, i), (1, i)] for i in range(MOST + 2)}, "epochs", "loss"))
    assert list(chart.lines) == [f"run {i}" for i in range(MOST)]


def test_the_ends_of_the_lines_are_said():
    lines = {"a": [(0, 0.25), (2, 0.5)], "b": []}
    assert described(LineChart("Accuracy", lines, "epochs", "share", percent=True)) == (
        "Accuracy (share by epochs): a 50.0 % at 2"
    )
    assert described(LineChart("Loss", {"": []}, "epochs", "loss")) == "Loss (loss by epochs): nothing yet"


def test_new_points_of_a_training_leave_the_chart_as_it_is():
    """Vega keeps the drawing whose specification is the same, and moves its points; else it flickers every second."""
    specs = [
        drawn(LineChart("Loss", {"a": [(i, 1 / (1 + i)) for i in range(count)]}, "epochs", "loss"), live=True)[0].spec
        for count in (2, 5)
    ]
    assert specs[0] == specs[1]
