"""What a Prometheus scrapes."""

import json
import time
import urllib.request


def settled(prometheus, seconds=20):
    """Per (job, role) the health of each target, as soon as all are up; after ``seconds``, as it is."""
    deadline = time.monotonic() + seconds
    while True:
        with urllib.request.urlopen(f"{prometheus}/api/v1/targets?state=active", timeout=10) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        health = {(t["labels"]["job"], t["labels"].get("role")): t["health"] for t in targets}
        if set(health.values()) == {"up"} or time.monotonic() > deadline:
            return health
        time.sleep(0.2)
