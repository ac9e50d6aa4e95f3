"""The command line of the model server; every option can also come from the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.feedback_token import TokenError, feedback_token
from services.model_server.errors import AddressError, VersionError
from services.model_server.runtimes import model_file
from services.model_server.serving import check_address, serve
from services.model_server.trial import in_child, libraries_of, try_model
from services.model_server.version import load_version


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Load the version and serve it until SIGTERM.

    Returns:
        0 after a stop that was asked for, 1 when the worker died, 2 when the person's input is unusable.
    """
    options = _parser(environ).parse_args(arguments)
    folder = Path(options.model_dir) / options.version if options.version else Path(options.model_dir)
    allowed = [name for value in options.allow_pickle for name in value.replace(",", " ").split()]
    try:
        check_address(options.host, options.port)
        _try_in_child(folder, allowed)
        version = load_version(folder, allowed, compilation=options.compile)
        faults = version.name in options.allow_faults.replace(",", " ").split()
        address = {"host": options.host, "port": options.port}
        return serve(
            version,
            **address,
            threads=options.threads,
            drain=options.drain,
            faults=faults,
            feedback_token=feedback_token(environ),
        )
    except (AddressError, VersionError, TokenError) as error:
        sys.stderr.write(f"model-server: {error}\n")
        return 2


def _try_in_child(folder: Path, allowed: Collection[str]) -> None:
    """Refuse a file that would end this process, before it is loaded in it.

    Raises:
        VersionError: it is refused, or ended the child.
    """
    try:
        kind, path = model_file(folder)
    except VersionError:
        # loading it says what is missing, in its own order
        return

    def attempt() -> None:
        try_model(load_version(folder, allowed, compilation=False))

    if libraries_of(path, kind):
        in_child(path, kind, attempt)


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model-server", description="Serve one version of a model: Open Inference Protocol v2."
    )

    def option(name: str, default: str | None, text: str, **more: Any) -> None:
        variable = name.lstrip("-").replace("-", "_").upper()
        given = environ.get(variable, default)
        if more.get("action") == "append":
            given = [given]  # type: ignore[assignment]
        parser.add_argument(name, default=given, required=given is None, help=f"{text} [{variable}]", **more)

    option("--model-dir", None, "the version folder")
    option("--version", "", "name of a folder below --model-dir that is the version folder")
    option("--host", "127.0.0.1", "address")
    option("--port", "8000", "port", type=_port)
    text = "load a file of this model that runs code, such as model.joblib; may be repeated"
    option("--allow-pickle", "", text, action="append", metavar="NAME")
    text = "let PUT /faults make this model slow, wrong or failing, to try a canary out"
    option("--allow-faults", "", text, metavar="NAME")
    text = "serve a scikit-learn model by ONNX Runtime where its answers stay the same"
    option("--compile", "on", text, type=_switch, metavar="on|off")
    text = "threads that answer requests: a number, or auto, one for each connection that needs it"
    option("--threads", "auto", text, type=_threads)
    text = "seconds between not being ready any more and not accepting any more, on SIGTERM"
    option("--drain", "0.5", text, type=_seconds)
    return parser


def _port(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to 65535")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"


def _threads(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0, or auto")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 60")
    return value
