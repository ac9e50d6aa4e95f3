"""Which token an environment gives."""

import pytest

from contract.feedback_token import FILE_VARIABLE, VARIABLE, TokenError, feedback_token


@pytest.mark.parametrize(
    ("variable", "file", "token"),
    [
        # nobody may send feedback
        (None, None, ""),
        ("", None, ""),
        ("", "", ""),
        # one of the two
        ("secret", None, "secret"),
        (None, "kept\n", "kept"),
        ("", "kept\nmore", "kept"),
        # the variable goes first
        ("secret", "kept", "secret"),
    ],
)
def test_the_token(tmp_path, variable, file, token):
    environ = {} if variable is None else {VARIABLE: variable}
    environ[FILE_VARIABLE] = str(tmp_path / "token")
    if file is not None:
        (tmp_path / "token").write_text(file)
    assert feedback_token(environ) == token


@pytest.mark.parametrize("token", ["two words", "line\r\nx-shadow: copy", "gr\u00fcn", "\t"])
def test_what_cannot_stand_in_a_header_is_refused(token):
    with pytest.raises(TokenError, match=f"{VARIABLE}: a token is printable ASCII"):
        feedback_token({VARIABLE: token})


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(TokenError, match="cannot read"):
        feedback_token({FILE_VARIABLE: str(tmp_path)})
