"""What is told of a run holds no row, no answer, no id and of a URL only the host."""

import json

import pytest

from loadtest.errors import UsageError
from loadtest.publish.stored_verdict import document, read_verdict, redacted
from tests.loadtest.publish.conftest import made_verdict


def test_the_document(store):
    told = document(read_verdict(store(versions={"stable": "v1", "candidate": "v3"})))
    assert (told["schema"], told["verdict"], told["exit_code"]) == (1, "PASS", 0)
    assert (told["run"], told["stable"], told["candidate"]) == ("20260101T000000Z-compare", "v1", "v3")
    assert told["gates"][0]["gate"] == "p95 <= stable + 10%"
    assert told["gates"][0]["interval"] == [1.0, 3.0]
    assert told["gates"][1]["interval"] == [-0.9, None]


def test_each_rate_has_its_gates(store):
    told = document(read_verdict(store(rates=(20, 100.5))))
    assert [gate["at_rate"] for gate in told["gates"]] == [20, 20, 20, 100.5, 100.5, 100.5]


def test_rows_answers_and_ids_stay_here(store):
    reason = "500 of 600 answers of stable are no label: it answers 'rosebud', the labels read 'yes', 'no'"
    text = json.dumps(document(read_verdict(store(verdict=made_verdict(reason=reason)))))
    assert "500 of 600 answers" in text
    for secret in ("rosebud", "yes", "user-7"):
        assert secret not in text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://ann:pw@models.example:8443/v2/x?key=1 refuses", "https://models.example:8443 refuses"),
        ("(http://hooks.example/T0/B0/secret).", "(http://hooks.example)."),
        ("HTTP://A@b/c, and", "HTTP://b, and"),
        # a database's
        ("postgresql://u:p@db/mlflow failed", "postgresql://db failed"),
        ('it answers `a b`, not "c"', 'it answers `…`, not "…"'),
        # an apostrophe is no quote
        ("stable's answers and the candidate's", "stable's answers and the candidate's"),
    ],
)
def test_redacted(text, left):
    assert redacted(text) == left


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "holds no verdict"), ("{", "not readable"), ('{"schema": 1}', "not readable")],
)
def test_a_folder_without_a_verdict(tmp_path, content, says):
    if content is not None:
        (tmp_path / "verdict.json").write_text(content)
    with pytest.raises(UsageError, match=rf"{says}.*loadproof judge \S+ --write"):
        read_verdict(tmp_path)
