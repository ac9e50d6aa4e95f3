"""Waiting for a condition on containers; the deadline only says that something hangs."""

import json
import time
import urllib.request

HUNG = 180.0
"""Seconds; nothing that is waited for takes a tenth of it on a quiet machine."""


def eventually(condition, within=HUNG, trouble=()):
    """What ``condition()`` returns once that is true.

    Args:
        condition: asked again and again.
        within: seconds until it hangs.
        trouble: exceptions that mean: not yet.
    """
    deadline = time.monotonic() + within
    result = problem = None
    while not result:
        assert time.monotonic() < deadline, f"not within {within:g} s: {problem or result!r}"
        try:
            result = condition()
        except trouble as error:
            problem = error
        if not result:
            time.sleep(0.1)
    return result


def get_json(url):
    with urllib.request.urlopen(url, timeout=HUNG) as answer:
        return json.load(answer)


def settled(prometheus):
    """Per (job, role) the health of each target of a Prometheus: once all are up, or when that hangs."""
    deadline = time.monotonic() + HUNG
    while True:
        targets = get_json(f"{prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
        health = {(t["labels"]["job"], t["labels"].get("role")): t["health"] for t in targets}
        if set(health.values()) == {"up"} or time.monotonic() > deadline:
            return health
        time.sleep(0.2)
