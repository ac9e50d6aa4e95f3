"""``make audit``: the pinned packages, held against the published advisories by pip-audit.

Exit code 0: none is known; 1: there are some, listed; 2: the advisories cannot be reached.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LISTS = Path(__file__).parents[1] / "requirements"


def main(arguments: list[str]) -> int:
    """Look every list up that an image or a load test is installed from.

    Args:
        arguments: more for pip-audit, such as ``--vulnerability-service=osv``.
    """
    # development's own list holds all the others
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner=off",
    ]
    done = subprocess.run(
        [*command, "--requirement", str(LISTS / "dev.txt"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    # pip-audit ends with 1 for what it found and for what went wrong alike: only findings are a table
    if done.returncode and not done.stdout.strip():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        print(
            f"audit needs the advisories of pypi.org, which cannot be had: {lines[-1].strip()}",
            file=sys.stderr,
        )
        return 2
    print(done.stdout.strip() or done.stderr.strip())
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
