"""A clone has the same bytes on every machine, whatever Git is set to do with line ends."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tracked():
    """Per tracked file: its line ends in the index, in this checkout, and its attributes."""
    if not shutil.which("git") or git("rev-parse", "--show-prefix").stdout != "\n":
        pytest.skip("no git, or not a clone: what is tracked is not known")
    lines = git("ls-files", "--eol", "-z").stdout.split("\0")[:-1]
    found = [re.fullmatch(r"i/(\S*) +w/(\S*) +attr/(.*?) *\t(.*)", line).groups() for line in lines]
    return {path: (index, here, attributes) for index, here, attributes, path in found}


def test_every_file_is_text_that_ends_its_lines_with_lf_or_known_to_be_binary(tracked):
    text = {("lf", "text=auto eol=lf"), ("none", "text=auto eol=lf")}
    unknown = {
        path: (index, attributes)
        for path, (index, _, attributes) in tracked.items()
        if (index, attributes) not in {*text, ("-text", "-text")}
    }
    assert unknown == {}, "name the binary ones in .gitattributes; git add --renormalize mends the others"


def test_no_file_of_this_checkout_has_other_line_ends(tracked):
    # a file that was deleted here and not yet committed has none
    assert {path for path, (index, here, _) in tracked.items() if here not in (index, "")} == set()
