"""What a version's server has to say of its model is shown before the load, whatever server it is."""

from contextlib import nullcontext
from json import dumps
from types import SimpleNamespace

import pytest

from loadtest.experiment.role import ROLES
from loadtest.experiment.target import Target
from loadtest.lab.interface import Endpoints
from loadtest.workflows.deployment import notes_of, opened


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


@pytest.mark.parametrize(
    ("candidate", "models", "lines"),
    [
        ("http://a:2", {}, 1),
        ("http://a:1", {}, 2),
        # two models of one server
        ("http://a:1", {"stable_model": "v1", "candidate_model": "v2"}, 1),
    ],
)
def test_a_server_that_is_compared_with_itself_is_shown(candidate, models, lines):
    said: list[str] = []
    endpoints = Endpoints("http://a:0", "http://a:1", candidate)
    target = Target(stable="http://a:1", candidate=candidate, **models)
    experiment = SimpleNamespace(target=target, roles=ROLES)
    ready = SimpleNamespace(
        experiment=experiment,
        versions=None,
        open_lab=lambda _: nullcontext(SimpleNamespace(endpoints=endpoints)),
    )
    with opened(ready, SimpleNamespace(step=said.append)):
        assert len(said) == lines
    assert ("compared with itself" in "".join(said)) == (lines == 2)
