import pytest

from loadtest.judge.verdict import SliceSearch
from loadtest.report.number_format import accuracy_row, quantity, signed, tick


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


def test_of_ranked_lists_the_share_of_right_answers_is_about_the_first_items(verdict):
    names = {metric: SliceSearch(metric=metric, skipped="no columns") for metric in ("accuracy", "ndcg@10")}
    found = [accuracy_row(verdict.model_copy(update={"worse_slices": s})) for s in (None, *names.values())]
    assert found == ["accuracy", "accuracy", "accuracy of the first item"]
