import os
import shutil
import subprocess

import pytest

from deploy.images.stamp import Stamp, read_stamp, web_address
from loadtest.errors import UsageError


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/me/loadproof.git", "https://github.com/me/loadproof"),
        ("git@github.com:me/loadproof.git", "https://github.com/me/loadproof"),
        ("ssh://git@git.example.org:2222/me/loadproof", "https://git.example.org/me/loadproof"),
        # credentials stay out of a label that everybody reads
        ("https://me:secret@gitlab.com/me/loadproof.git", "https://gitlab.com/me/loadproof"),
        # a folder of this machine, or none
        ("/srv/git/loadproof.git", ""),
        ("", ""),
    ],
)
def test_the_address_of_a_remote(remote, address):
    assert web_address(remote) == address


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    if not shutil.which("git"):
        pytest.skip("no git here")
    # neither the repository of a hook that runs these tests nor anybody's own settings
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("REVISION", raising=False)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    for command in (
        "init --quiet",
        "add --all",
        "-c user.name=me -c user.email=me@example.org commit -qm first",
        "remote add origin git@github.com:me/loadproof.git",
    ):
        subprocess.run(["git", "-C", tmp_path, *command.split()], check=True)
    return tmp_path


def test_a_checkout(checkout):
    stamp = read_stamp(checkout)
    assert (stamp.version, stamp.source) == ("1.2.3", "https://github.com/me/loadproof")
    version, commit = stamp.tags
    assert version == "1.2.3"
    assert stamp.revision.startswith(commit)
    assert len(commit) == 12


def test_changes_that_no_commit_has(checkout):
    # a new file reaches the images as well as a changed one
    (checkout / "new.py").touch()
    with pytest.raises(UsageError, match="commit first"):
        _ = read_stamp(checkout).tags


def test_no_checkout(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("REVISION", raising=False)
    assert read_stamp(tmp_path) == Stamp("1.2.3")
    with pytest.raises(UsageError, match="do not say from which commit"):
        _ = read_stamp(tmp_path).tags
    # a build system that knows it, without git
    monkeypatch.setenv("REVISION", "0123456789abcdef")
    assert read_stamp(tmp_path).tags == ("1.2.3", "0123456789ab")
