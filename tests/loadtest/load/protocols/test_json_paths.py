import pytest

from loadtest.errors import ExperimentError
from loadtest.load.protocols.json_paths import compiled_path, selector_of

ANSWERS = (
    {"a": [{"b": 1}, {"b": None}], "0": "name", "c d": True},
    [[1, 2], [3]],
    [],
    {},
    "text",
    7,
    None,
    {"a": "text"},
    {"a": {"b": {"0": 5}}},
)


@pytest.mark.parametrize(
    "path",
    [
        "$",
        "$.a",
        "$.a.b",
        "$['c d']",
        # of an array no name, of an object no place, though it is named 0
        "$[0]",
        "$['0']",
        "$.a[0].b",
        "$.a[1].b",
        # from the end, and past either
        "$.a[-1].b",
        "$[0][-2]",
        "$[2]",
        "$[-3]",
        # what the library walks
        "$.*",
        "$.a[*].b",
        "$..b",
        "$[0:1]",
        "$.a[0, 1]",
        "$.a[?@.b == 1].b",
    ],
)
def test_a_path_selects_what_the_library_does(path):
    compiled, select = compiled_path(path), selector_of(path)
    for answer in ANSWERS:
        assert select(answer) == compiled.findall(answer), answer


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a", r"\[target\] scores 'a' is not a JSONPath of RFC 9535"),
        ("", r"\[target\] scores '' is not a JSONPath"),
        ("$.a[", "is not a JSONPath"),
        # beyond the RFC: a name without quotes, a union and an intersection of paths
        ("$[a]", "is not a JSONPath"),
        ("$.a | $.b", r"scores '\$\.a \| \$\.b' "),
        ("$.a & $.b", r"scores '\$\.a & \$\.b' "),
    ],
)
def test_what_is_no_path_is_named_with_its_key(path, message):
    with pytest.raises(ExperimentError, match=message) as error:
        compiled_path(path, "scores")
    assert "\n" not in str(error.value)
