"""From results.json to the table of docs/any-server.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.servers.servers import ROOT, SERVERS, Server, Trial

RESULTS = Path(__file__).parent / "results.json"
DOCS = ROOT / "docs" / "any-server.md"
BEGIN, END = "<!-- servers: python -m benchmarks.servers -->", "<!-- end of servers -->"


def stored() -> dict[str, Any]:
    """The results of the last whole run."""
    results: dict[str, Any] = json.loads(RESULTS.read_text())
    return results


def table(results: dict[str, Any]) -> str:
    """Markdown of one row per server and way to ask it."""
    lines = [
        "| server | version | protocol | rows | against itself | broken copy |",
        "|---|---|---|---|---|---|",
    ]
    for server in SERVERS:
        if reason := results["skipped"].get(server.name):
            lines.append(f"| {server.title} | {server.version} | – | – | not installed: {reason} | – |")
            continue
        for trial in server.trials:
            said = found(results, server, trial)
            itself, broken = (_cell(said[key], trial) for key in ("itself", "broken"))
            how = f"`{trial.protocol}` | {trial.rows}"
            lines.append(f"| {server.title} | {said['version']} | {how} | {itself} | {broken} |")
    return "\n".join(lines)


def found(results: dict[str, Any], server: Server, trial: Trial) -> dict[str, Any]:
    """What is stored of a trial.

    Raises:
        LookupError: nothing.
    """
    wanted = (server.name, trial.protocol, trial.rows)
    for said in results["trials"]:
        if (said["server"], said["protocol"], said["rows"]) == wanted:
            return dict(said)
    raise LookupError(f"no result of {wanted}")


def _cell(said: dict[str, Any], trial: Trial) -> str:
    stable, candidate = said["quality"]
    how = f"{stable:.2f} to {candidate:.2f}" if trial.is_scored else f"{stable:.0f}% to {candidate:.0f}%"
    return f"{said['verdict']} ({how})"


def filled(page: str, made: str) -> str:
    """The page with the table in its place, between its two comments."""
    before, _, rest = page.partition(f"{BEGIN}\n")
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def write() -> None:
    """Put the table into its place in the docs."""
    DOCS.write_text(filled(DOCS.read_text(), table(stored())))
