import pytest

from loadtest.data.exposition import read_exposition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a 1.5e+08\n# HELP b what\n# TYPE b gauge\nb 2\n", {"a": 1.5e8, "b": 2.0}),
        # what is kept by label is no fact about the whole server
        ('a{worker="1"} 5\n', {}),
        ("<html>not metrics</html>", {}),
        ("", {}),
    ],
)
def test_metrics_without_labels(text, expected):
    assert read_exposition(text) == expected
