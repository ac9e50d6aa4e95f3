import hashlib

import pytest

from loadtest.errors import DatasetError
from loadtest.load.cluster.dataset_digest import digest, is_here


def test_the_same_bytes_are_the_same_set(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"x,label\n1,0\n")
    (tmp_path / "b.csv").write_bytes(b"x,label\n1,1\n")
    wanted = digest(tmp_path / "a.csv")
    assert wanted == hashlib.sha256(b"x,label\n1,0\n").hexdigest()
    assert is_here(tmp_path / "a.csv", wanted)
    # another version of the file, and none
    assert not is_here(tmp_path / "b.csv", wanted)
    assert not is_here(tmp_path / "c.csv", wanted)


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"c\.csv: not readable \(No such file"):
        digest(tmp_path / "c.csv")
