"""A version's requirements.txt: what becomes of its lines, and which are refused."""

import pytest

from loadtest.errors import ModelError
from loadtest.lab.own_runtime import own_runtime

SERVER = "granian==2.8.7\nnumpy==2.4.6\n# a comment\nscikit-learn==1.9.1\n"


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / "server.in").write_text(SERVER)

    def read(text, encoding="utf-8"):
        (tmp_path / "requirements.txt").write_text(text, encoding=encoding)
        return own_runtime(tmp_path, tmp_path / "server.in")

    return read


def test_a_folder_without_the_file_has_no_runtime_of_its_own(tmp_path):
    assert own_runtime(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("scikit-learn==1.5.2\n", ("scikit-learn==1.5.2",)),
        # any spelling of a name is that package: ours is not asked for beside it
        ("Scikit_Learn==1.5.2\n", ("Scikit_Learn==1.5.2",)),
        # as pip freeze, pip-compile and MLflow write it
        ("# made by\n\nscikit-learn==1.5.2  # via x\n", ("scikit-learn==1.5.2",)),
        ("scikit-learn==1.5.2 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n", ("scikit-learn==1.5.2",)),
        # one line for each Python, as uv writes it: both stay
        (
            'scikit-learn==1.7.2 ; python_version < "3.11"\nscikit-learn==1.8 ; python_version >= "3.11"\n',
            ('scikit-learn==1.7.2; python_version < "3.11"', 'scikit-learn==1.8; python_version >= "3.11"'),
        ),
        # ranges, extras and markers
        ("scikit-learn[alldeps]<1.6,>=1.5 ; python_version >= '3.9'", ("scikit-learn",)),
    ],
)
def test_its_packages_come_first_and_ours_beside_them(runtime, text, own):
    found = runtime(text)
    assert [line.partition("[")[0] for line in found.own] == list(own)
    # what answers requests is pinned, what computes follows the version's packages
    assert found.packages[len(own) :] == ("granian==2.8.7", "numpy")


@pytest.mark.parametrize(
    ("text", "numpy"),
    [
        # its wheels were built against NumPy 1, and its metadata do not say so
        ("scikit-learn==1.2.2\n", "numpy<2"),
        ("scikit-learn==1.4.2\n", "numpy"),
        ("Pandas==2.1.4\nscikit-learn==1.5.2\n", "numpy<2"),
        # ranges that end before
        ("scikit-learn==1.2.*\n", "numpy<2"),
        ("scikit-learn~=1.3.0\n", "numpy<2"),
        ("scikit-learn>=1.2,<1.4\n", "numpy<2"),
        # and that do not: the installer chooses
        ("scikit-learn==1.5.*\n", "numpy"),
        ("scikit-learn~=1.3\n", "numpy"),
        ("scikit-learn>=1.2\n", "numpy"),
        ("scikit-learn>1.4.2,<1.6\n", "numpy"),
        ("scikit-learn\n", "numpy"),
        ("scikit-learn===mine\n", "numpy"),
    ],
)
def test_packages_from_before_numpy_2_get_numpy_1(runtime, text, numpy):
    assert [line for line in runtime(text).packages if line.startswith("numpy")] == [numpy]


def test_windows_notepad_writes_a_mark_before_the_text(runtime):
    assert runtime("scikit-learn==1.5.2\r\n", "utf-8-sig").own == ("scikit-learn==1.5.2",)


def test_the_digest_is_that_of_the_packages(runtime):
    one = runtime("numpy==2.3.5\nscikit-learn==1.5.2\n").digest
    assert runtime("# the same\nscikit-learn==1.5.2\nnumpy==2.3.5\n").digest == one
    assert runtime("numpy==2.3.4\nscikit-learn==1.5.2\n").digest != one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-r other.txt", "line 1: '-r other.txt' is an option of pip"),
        (
            "numpy==2.3.5\n--index-url https://example.com",
            "line 2: '--index-url https://example.com' is",
        ),
        ("-e .", "is an option of pip"),
        ("./mine.whl", "is no package"),
        ("numpy = 2", "is no package"),
        ("mine @ https://example.com/mine.whl", "names a URL"),
        ("mine @ file:///tmp/mine.whl", "names a URL"),
        ("x" * 100_001, "more than 100000 characters"),
    ],
)
def test_what_is_no_package_of_the_index_is_refused(runtime, text, said):
    with pytest.raises(ModelError) as caught:
        runtime(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_in_another_encoding_is_refused(runtime):
    with pytest.raises(ModelError, match="write it as UTF-8"):
        runtime("numpy==2.3.5\n", "utf-16")
