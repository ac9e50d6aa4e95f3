from pathlib import Path

import pytest

from services.trainer.__main__ import main


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``all`` writes, trained once for all tests. Nothing may be changed in it."""
    out = tmp_path_factory.mktemp("trained") / "models"
    assert main(["all", "--out", str(out)]) == 0
    return out
