import pytest
from pydantic import ValidationError

from loadtest.errors import UsageError
from loadtest.experiment.target import Target

URLS = {"stable": "http://a", "candidate": "http://b"}


def test_two_servers():
    target = Target(**URLS, candidate_model="new")
    assert (target.url("stable"), target.url("candidate")) == ("http://a", "http://b")
    assert (target.model("stable", "m"), target.model("candidate", "m")) == ("m", "new")


def test_headers_and_tokens_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sesame")
    monkeypatch.setenv("LOADPROOF_CANDIDATE_TOKEN", "t0ken")
    target = Target(**URLS, headers=("X-Team: shop", "X-Api-Key: env:MY_KEY"))
    both = {"X-Team": "shop", "X-Api-Key": "sesame"}
    assert target.headers_of("stable") == both
    assert target.headers_of("candidate") == both | {"Authorization": "Bearer t0ken"}
    assert "sesame" not in target.model_dump_json()


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("no colon", "a header reads"),
        ("X-A: 1\r\nX-B: 2", "a header reads"),
        ("Authorization: Bearer sesame", "write 'Authorization: env:VARIABLE'"),
        ("x-api-key: sesame", "looks like a secret"),
        ("Content-Length: 3", "is set by the load generator"),
    ],
)
def test_headers_that_are_refused(header, says):
    with pytest.raises(ValidationError, match=says):
        Target(**URLS, headers=(header,))


@pytest.mark.parametrize("value", [None, "", "two\r\nlines"])
def test_a_variable_that_is_no_value(monkeypatch, value):
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(UsageError, match="MY_KEY"):
        Target(**URLS, headers=("X-Api-Key: env:MY_KEY",)).headers_of("stable")


def test_a_password_in_a_url_is_refused():
    with pytest.raises(ValidationError, match="would be stored with the run"):
        Target(stable="http://me:sesame@a", candidate="http://b")
