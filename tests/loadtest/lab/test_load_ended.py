import pytest

from loadtest.errors import ServiceDied, UsageError
from loadtest.lab.load_ended import load_ended


@pytest.mark.parametrize(
    ("how", "tail", "kind", "says"),
    [
        # it refused its input: its own line is enough
        ("ended with exit code 2", ("x", "load: too few columns"), UsageError, "too few columns"),
        # it broke, and the log has to be seen
        ("ended with exit code 5", ("load: no answer",), ServiceDied, "load ended with exit code 5"),
        ("ended with exit code 2", ("Usage: locust",), ServiceDied, "load ended with exit code 2"),
        ("was killed by SIGKILL", (), ServiceDied, "load was killed by SIGKILL"),
    ],
)
def test_what_is_said_of_a_load_generator_that_ended(how, tail, kind, says):
    error = load_ended(how, tail)
    assert type(error) is kind
    assert str(error) == says
