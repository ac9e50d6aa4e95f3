import pytest

from loadtest.cli.init import init
from loadtest.errors import UsageError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "init takes the model's folder, or --url of a service"),
        ({"folder": "models", "url": ["http://a"]}, "one of them"),
        ({"url": ["http://a"]}, "--url needs --data"),
        ({"folder": "models", "path": "/score"}, "they go with --url"),
    ],
)
def test_which_options_go_together(given, message):
    with pytest.raises(UsageError, match=message):
        init(**given)
