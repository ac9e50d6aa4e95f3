import shutil
from pathlib import Path

import pytest

from services.trainer.__main__ import main


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """What ``all`` writes beside a shop that is complete already. Nothing may be changed in it."""
    out = tmp_path_factory.mktemp("trained") / "models"
    shutil.copytree(shop, out / "shop")
    assert main(["all", "--out", str(out)]) == 0
    return out
