import json

import pytest

from deploy.audit import report

CLEAN = {"name": "flask", "version": "3.1.3", "vulns": []}
BAD = {
    "name": "jinja2",
    "version": "3.1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"], "aliases": []}],
}
SKIPPED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI and could not be audited: numpy"}


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([CLEAN], 0, ""),
        ([CLEAN, BAD], 1, "jinja2 3.1.0: PYSEC-1, fixed by 3.1.6\n"),
        # a mirror without advisories is no clean bill
        ([CLEAN, SKIPPED], 2, "no advisories for 1 of 2 packages (numpy, ...)"),
        # ... and hides nothing that was found
        ([BAD, SKIPPED], 1, "PYSEC-1"),
    ],
)
def test_what_was_found(capsys, packages, code, says):
    assert report(json.dumps({"dependencies": packages, "fixes": []}), "") == code
    assert says in "".join(capsys.readouterr())


def test_no_network(capsys):
    assert report("", "WARNING: x\nERROR: Max retries exceeded\n") == 2
    assert (
        capsys.readouterr().err
        == "audit cannot reach the published advisories: ERROR: Max retries exceeded\n"
    )
