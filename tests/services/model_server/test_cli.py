"""The command line: options, their environment variables, and exit code 2 with one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.model_server.cli import main


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ([], {}, "--model-dir"),
        (["--model-dir", "x", "--port", "0"], {}, "'0' is not a port"),
        (["--model-dir", "x"], {"PORT": "http"}, "'http' is not a port"),
        (["--model-dir", "x", "--threads", "0"], {}, "not a whole number above 0, or auto"),
        (["--model-dir", "x", "--compile", "maybe"], {}, "'maybe' is neither on nor off"),
        (["--model-dir", "x"], {"COMPILE": ""}, "'' is neither on nor off"),
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


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_port_in_use_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["--model-dir", "none", "--port", str(port)], {}) == 2
    assert capsys.readouterr().err == (
        f"model-server: cannot listen on 127.0.0.1:{port} (Address already in use); "
        "choose another --host or --port\n"
    )


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
    arguments: list[str],
    environ: dict[str, str],
    folder: str,
    free_port: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--port", str(free_port), *arguments], environ) == 2
    assert capsys.readouterr().err == (
        f"model-server: {Path(folder)}: no such version folder; train a version into it or name another\n"
    )
