"""``make audit``: the pinned packages, checked against the published advisories by pip-audit.

Exit code 0: none is known; 1: there are some, listed; 2: the advisories cannot be reached.
"""

from __future__ import annotations

import json
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
        [*command, "--format=json", "--requirement", str(LISTS / "dev.txt"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return report(done.stdout, done.stderr)


def report(found: str, said: str) -> int:
    """Say what pip-audit found, and return the exit code.

    Args:
        found: its JSON; empty where it broke off.
        said: its standard error.
    """
    try:
        packages = json.loads(found)["dependencies"]
    except ValueError:
        lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
        print(f"audit cannot reach the published advisories: {lines[-1]}", file=sys.stderr)
        return 2
    for package in packages:
        for advisory in package.get("vulns", []):
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {advisory['id']}, fixed by {fixed}")
    # pip-audit itself lets these pass
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown:
        print(
            f"audit got no advisories for {len(unknown)} of {len(packages)} packages ({unknown[0]}, ...): "
            "it needs the Python Package Index itself, not a mirror",
            file=sys.stderr,
        )
    return 1 if any(package.get("vulns") for package in packages) else 2 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
