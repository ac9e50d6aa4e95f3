import pytest

from loadtest.errors import ServiceDied, TargetError, UsageError
from loadtest.lab.services.load_generator import did_its_job, load_ended


@pytest.mark.parametrize(
    ("how", "tail", "elsewhere", "kind", "says"),
    [
        # it refused its input: its own line is enough
        ("ended with exit code 2", ("x", "load: too few columns"), False, UsageError, "too few columns"),
        ("ended with exit code 2", ("load: too few columns",), True, UsageError, "too few columns"),
        # it broke, and says what did
        (
            "ended with exit code 5",
            ("x", "load: no answer"),
            False,
            ServiceDied,
            "generator broke: no answer",
        ),
        # it does not: then its last line is all that is known
        ("ended with exit code 2", ("Usage: locust",), False, ServiceDied, "code 2 (Usage: locust); unless"),
        ("ended with exit code 1", ("OSError: no", " "), False, ServiceDied, "code 1 (OSError: no); unless"),
        ("ended with exit code 5", (), False, ServiceDied, "ended with exit code 5; unless the machine"),
        ("was killed by SIGKILL", (), False, ServiceDied, "was killed by SIGKILL; if nobody did that"),
        (
            "ended with exit code 137",
            ("x",),
            False,
            ServiceDied,
            "ended with exit code 137; if nobody did that",
        ),
        ("was killed: it needs more than its 512 MB", (), False, ServiceDied, "512 MB; take fewer workers"),
        # servers that are not ours do not answer: nothing of ours has died
        ("ended with exit code 5", ("load: no answer",), True, TargetError, "no answer"),
        ("ended with exit code 1", ("load: no answer",), True, ServiceDied, "code 1 (no answer); unless"),
    ],
)
def test_what_is_said_of_a_load_generator_that_ended(how, tail, elsewhere, kind, says):
    error = load_ended(how, tail, elsewhere=elsewhere)
    assert type(error) is kind
    assert says in str(error)


@pytest.mark.parametrize(
    ("code", "asked", "expected"),
    [
        (0, False, True),
        # invalid is a finding, not a breakdown
        (4, False, True),
        # it was interrupted, and only we may do that
        (130, True, True),
        (130, False, False),
        (5, True, False),
        # killed, or still running
        (-9, True, False),
        (None, True, False),
    ],
)
def test_what_counts_as_a_job_that_was_done(code, asked, expected):
    assert did_its_job(code, asked=asked) is expected
