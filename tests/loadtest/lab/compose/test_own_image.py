import re
import subprocess
from pathlib import Path

import pytest

from loadtest.errors import ModelError, StartError
from loadtest.lab.compose.own_image import DOCKERFILE, _remedy, own_image
from loadtest.lab.own_runtime import OwnRuntime

OLD = OwnRuntime(("scikit-learn==1.2.2",), ("scikit-learn==1.2.2", "numpy<2"))
FAILED = 'ERROR: failed to build: failed to solve: process "/bin/sh -c pip" did not complete successfully'
PIP = """#9 1.1 ERROR: Ignored the following yanked versions: 2.4.0
#9 1.1 ERROR: Could not find a version that satisfies the requirement numpy<2 (from versions: 2.1.0)
#9 1.1 ERROR: No matching distribution found for numpy<2
#9 ERROR: process "/bin/sh -c pip" did not complete successfully: exit code: 1
------
"""


def built(docker):
    return own_image(docker.client, "loadproof/model-server:1", OLD, Path("models/m/v1"), [].append)


def test_what_cannot_be_installed_has_the_reason_that_pip_gives_and_a_remedy(fake_docker):
    with pytest.raises(ModelError) as caught:
        built(fake_docker({"--quiet": (1, FAILED), "build": (1, PIP + FAILED)}))
    assert str(caught.value).startswith(
        "models/m/v1/requirements.txt: cannot be installed on the image's Python 3.13: Could not find a "
        "version that satisfies the requirement numpy<2 (from versions: 2.1.0); name a release that has a "
        "wheel for it"
    )


@pytest.mark.parametrize("said", ["ERROR: failed to build: no space left on device", FAILED])
def test_docker_s_own_trouble_is_no_fault_of_the_list(fake_docker, said):
    with pytest.raises(StartError, match=r"cannot be built \(docker build: ERROR: failed") as caught:
        built(fake_docker({"build": (1, said)}))
    assert caught.value.log == (said,)


def test_the_local_backend_is_named_where_its_python_is_another():
    assert _remedy("3.13", (3, 11)).endswith(", or take --backend local, which has Python 3.11")
    assert "--backend" not in _remedy("3.13", (3, 13))


def test_equal_packages_share_an_image(fake_docker):
    assert built(fake_docker({})) == built(fake_docker({})) == f"loadproof/model-server-own:{OLD.digest}"


@pytest.mark.parametrize("copies", [["libgomp-e985bcbb.so.1.0.0"], []])
def test_lightgbm_finds_the_openmp_library_of_scikit_learn(tmp_path, copies):
    """The wheel wants ``libgomp.so.1`` of the system, which a slim image does not have."""
    said = DOCKERFILE.read_text("utf-8")
    libraries = tmp_path / "lib" / "python3.13" / "site-packages" / "scikit_learn.libs"
    libraries.mkdir(parents=True)
    for copy in copies:
        (libraries / copy).touch()
    (loop,) = re.findall(r"&& (for copy in .*?done)$", said, re.S | re.M)
    subprocess.run(["sh", "-euc", loop.replace("/opt/own", str(tmp_path))], check=True)
    assert [path.resolve().name for path in tmp_path.glob("lib/libgomp.so.1")] == copies
    assert "LD_LIBRARY_PATH=/opt/own/lib\n" in said
