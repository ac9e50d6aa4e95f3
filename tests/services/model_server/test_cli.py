"""The command line: options, their environment variables, and exit code 2 with one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.model_server.cli import main


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ([], {}, "--model-dir"),
        (["--model-dir", "x", "--port", "0"], {}, "'0' is not a port"),
        (["--model-dir", "x"], {"PORT": "http"}, "'http' is not a port"),
        (["--model-dir", "x", "--threads", "0"], {}, "not a whole number above 0"),
        (["--model-dir", "x"], {"DRAIN": "-1"}, "not a number of seconds"),
        (["--model-dir", "x", "--reload"], {}, "unrecognized arguments"),
    ],
)
def test_wrong_options(
    arguments: list[str], environ: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments, environ)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environ", "folder"),
    [
        (["--model-dir", "none"], {}, "none"),
        ([], {"MODEL_DIR": "none"}, "none"),
        # a version is a folder below
        (["--version", "v2"], {"MODEL_DIR": "none"}, "none/v2"),
        ([], {"MODEL_DIR": "none", "VERSION": "v2"}, "none/v2"),
        # the command line wins
        (["--model-dir", "other"], {"MODEL_DIR": "none", "VERSION": "v2"}, "other/v2"),
    ],
)
def test_an_unusable_folder_is_one_line_and_exit_code_2(
    arguments: list[str], environ: dict[str, str], folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, environ) == 2
    assert capsys.readouterr().err == (
        f"model-server: {Path(folder)}: no such version folder; train a version into it or name another\n"
    )
