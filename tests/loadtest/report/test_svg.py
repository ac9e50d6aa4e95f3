import re

import numpy as np
import pytest

from loadtest.report.svg import HEIGHT, WIDTH, Axis, Chart


@pytest.mark.parametrize(
    ("axis", "ends", "texts"),
    [
        # steps of 1, 2 or 5, rounded outwards
        (Axis.linear(0, 1, ""), (0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Axis.linear(-3, 11, ""), (-5, 15), ["-5", "0", "5", "10", "15"]),
        # nothing between the ends: still an axis
        (Axis.linear(0, 0, ""), (0, 1), ["0", "1"]),
        # two decades have room for 2 and 5, three have not
        (Axis.log(3, 40, ""), (1, 100), ["1", "2", "5", "10", "20", "50", "100"]),
        (Axis.log(0.5, 400, ""), (0.1, 1000), ["0.1", "1", "10", "100", "1000"]),
        (Axis.log(10, 10, ""), (10, 100), ["10", "20", "50", "100"]),
        # every nine of the tail is as wide as the one before
        (Axis.tail(0.05, 0.99, ""), (0.05, 0.99), ["p10", "p50", "p75", "p90", "p95", "p99"]),
    ],
)
def test_axes(axis, ends, texts):
    assert (axis.low, axis.high) == pytest.approx(ends)
    assert [text for _, text in axis.ticks] == texts
    assert axis.place(ends) == pytest.approx([0, 1])


def test_the_tail_gives_each_nine_the_same_room():
    nine = Axis.tail(0.0, 0.999, "").place([0.9, 0.99, 0.999])
    assert np.diff(nine) == pytest.approx([1 / 3, 1 / 3])


def test_what_lies_beyond_the_axis_is_put_at_its_end():
    assert Axis.log(1, 100, "").place([1e-9, 1e9]) == pytest.approx([0, 1])


def chart() -> Chart:
    return Chart("a <b> label", Axis.linear(0, 10, "x"), Axis.linear(0, 10, "y & z"))


def test_texts_are_escaped():
    assert 'aria-label="a &lt;b&gt; label"' in chart().render()
    assert "y &amp; z" in chart().render()


def test_a_gap_breaks_a_line_and_a_lone_point_is_a_dot():
    drawn = chart()
    drawn.line([0, 1, 2, 3, 4], [1, 2, np.nan, 4, np.nan], "stable")
    html = drawn.render()
    assert [len(p.split()) for p in re.findall(r'<polyline class="stable" points="([^"]*)"', html)] == [2]
    assert html.count("<circle") == 1


def test_everything_lies_inside_the_picture():
    drawn = chart()
    drawn.line([0, 10], [0, 10], "stable")
    drawn.band([0, 10], [0, 0], [10, 10], "candidate")
    drawn.bars([0.5, 9.5], [3, 10], 1, "error")
    drawn.dots([10], [10], "candidate", ["there"])
    html = drawn.render()
    points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", html)
    assert len(points) == 2 + 4
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in points)
    for x, width in re.findall(r'<rect class="error" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', html):
        assert 0 <= float(x) <= float(x) + float(width) <= WIDTH


def test_bars_without_height_are_left_out():
    drawn = chart()
    drawn.bars([1, 2, 3], [0, 5, 0], 1, "error")
    assert drawn.render().count("<rect") == 1
