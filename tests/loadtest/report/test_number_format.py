import pytest

from loadtest.report.number_format import quantity, signed, tick


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "ms", "–"),
        (2.345, "ms", "2.35 ms"),
        (17636.4, "", "17,636"),
        (28.23, "/s", "28.2/s"),
        (0.5, "%", "0.50%"),
        # a count is whole, however it was computed
        (0.0, "", "0"),
        (3, "", "3"),
        (-2.0, "", "-2"),
        # a loss is none
        (0.25, "", "0.250"),
        # nor is a whole number of something
        (2.0, "ms", "2.00 ms"),
    ],
)
def test_quantities(value, unit, text):
    assert quantity(value, unit) == text


def test_differences_have_a_sign():
    assert [signed(value, "pp") for value in (1.0, -1.0, 0.0)] == ["+1.00pp", "−1.00pp", "+0.00pp"]


def test_decades_on_an_axis():
    assert [tick(ms) for ms in (0.1, 10, 1000, 10_000)] == ["0.1 ms", "10 ms", "1 s", "10 s"]
