"""The folder of a lab that is kept running."""

import pytest

from loadtest.errors import LabError, UsageError
from loadtest.lab.registry import claim


def test_a_folder_has_one_lab_at_a_time(tmp_path):
    with (
        claim(tmp_path / "lab"),
        pytest.raises(LabError, match="a lab runs there already"),
        claim(tmp_path / "lab"),
    ):
        pass


def test_what_is_no_folder_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match=r"cannot be the folder of a lab .*; name another --lab"),
        claim(tmp_path / "file"),
    ):
        pass
