"""``python -m deploy.swarm``: prints the stack file that is derived from compose.yaml and the environment.

::

    python -m deploy.swarm --workers 4 --publish gateway > stack.yaml
    docker stack deploy --compose-file stack.yaml loadproof
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from deploy.swarm.stack import COMPARE, StackError, to_stack

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Print it; 2 where it cannot be derived."""
    parser = argparse.ArgumentParser(prog="python -m deploy.swarm", allow_abbrev=False)
    parser.add_argument("--workers", type=int, default=2, help="Locust workers, on any node")
    parser.add_argument("--publish", action="append", default=[], metavar="SERVICE", help="may be repeated")
    parser.add_argument("--without", action="append", default=[], metavar="SERVICE", help="may be repeated")
    parser.add_argument("--compare", action="store_true", help="with the one-shot service of a comparison")
    options = parser.parse_args()
    profile = ["--profile", COMPARE] if options.compare else []
    try:
        done = subprocess.run(
            ["docker", "compose", "--file", str(ROOT / "compose.yaml"), *profile, "config", "--format=json"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        return _fail(f"no docker command can be run ({error.strerror})")
    if done.returncode:
        return _fail(done.stderr.strip().splitlines()[-1])
    try:
        stack = to_stack(
            json.loads(done.stdout),
            workers=options.workers,
            publish=options.publish,
            without=options.without,
        )
    except StackError as error:
        return _fail(str(error))
    print(json.dumps(stack, indent=1))  # JSON is YAML
    return 0


def _fail(problem: str) -> int:
    print(f"deploy.swarm: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
