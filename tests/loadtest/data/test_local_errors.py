"""What the load generator says of trouble of its own."""

import pytest

from loadtest.data.local_errors import overfull


@pytest.mark.parametrize(
    ("files", "said", "unsaid"),
    [
        # the machine's limit is small, however fast the target is
        (90, "with at most 90 open files: raise `ulimit -n`", "too slow"),
        (None, "the target is too slow for this rate", "ulimit"),
    ],
)
def test_the_limit_that_was_reached_is_named(files, said, unsaid):
    text = overfull(0, files)
    assert said in text
    assert unsaid not in text
