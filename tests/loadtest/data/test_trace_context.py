"""The ids of a request, and the header that carries them."""

import hashlib
import re

import pytest

from loadtest.data.trace_context import TraceContext

RUN = "1f6a20c1b7d4"
REQUEST = (2, 17, 12.3456789, 1)


def test_the_ids_are_what_the_documentation_says():
    digest = hashlib.blake2b(b"2 17 12345679", digest_size=23, key=RUN.encode()).hexdigest()
    ids = TraceContext(RUN).ids(*REQUEST)
    assert ids == (digest[:32], digest[32:] + "01")


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        # the warm-up is before time zero
        (0, 0, -4.99, 0),
    ],
)
def test_the_header_is_one_of_the_specification_and_carries_the_ids(request_):
    ids = TraceContext(RUN).ids(*request_)
    found = re.fullmatch(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-01", TraceContext(RUN).traceparent(*request_))
    assert found.groups() == (ids.trace_id.encode(), ids.span_id.encode())
    assert set(ids.trace_id) != {"0"} != set(ids.span_id)


@pytest.mark.parametrize(
    ("run", "other", "same"),
    [
        # the request to the other version, of the same arrival: one trace, another span
        (RUN, (2, 17, 12.3456789, 0), "trace"),
        (RUN, (1, 17, 12.3456789, 1), None),
        (RUN, (2, 18, 12.3456789, 1), None),
        (RUN, (2, 17, 12.3456799, 1), None),
        # the same seed gives another run the same arrivals
        ("1f6a20c1b7d5", REQUEST, None),
        # what was added to a time and taken away again leaves the last digits of a float64
        (RUN, (2, 17, 12.3456789 + 1e-13, 1), "both"),
    ],
)
def test_what_tells_requests_apart(run, other, same):
    one, two = TraceContext(RUN).ids(*REQUEST), TraceContext(run).ids(*other)
    assert (one.trace_id == two.trace_id) == (same in ("trace", "both"))
    assert (one.span_id == two.span_id) == (same == "both")
