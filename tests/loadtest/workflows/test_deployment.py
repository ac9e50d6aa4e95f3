"""What a version's server has to say of its model is shown before the load, whatever server it is."""

from json import dumps

import pytest

from loadtest.workflows.deployment import notes_of


@pytest.mark.parametrize(
    ("metadata", "notes"),
    [
        (dumps({"name": "m", "parameters": {"notes": ["saved by x 1"]}}), ["saved by x 1"]),
        # a server of somebody else's
        (dumps({"name": "m", "parameters": {"notes": "no list"}}), []),
        (dumps({"name": "m"}), []),
        ("[1]", []),
        ("<html>", []),
        (None, []),
        # no more, no longer, and in one line
        (dumps({"parameters": {"notes": ["a\nb", "x" * 900, *range(9)]}}), ["a b", "x" * 500, *"0123456"]),
    ],
    ids=["ours", "text", "none", "list", "html", "silent", "much"],
)  # fmt: skip
def test_notes_of(metadata, notes):
    assert notes_of(metadata) == notes
