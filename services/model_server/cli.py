"""The command line of the model server; every option can also come from the environment."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.model_server.errors import AddressError, VersionError
from services.model_server.serving import check_address, serve
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
        version = load_version(folder, allowed, compilation=options.compile)
        faults = version.name in options.allow_faults.replace(",", " ").split()
        return serve(
            version,
            host=options.host,
            port=options.port,
            threads=options.threads,
            drain=options.drain,
            faults=faults,
        )
    except (AddressError, VersionError) as error:
        sys.stderr.write(f"model-server: {error}\n")
        return 2


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model-server", description="Serve one version of a model: Open Inference Protocol v2."
    )
    folder = environ.get("MODEL_DIR")
    parser.add_argument(
        "--model-dir", default=folder, required=folder is None, help="the version folder [MODEL_DIR]"
    )
    parser.add_argument(
        "--version",
        default=environ.get("VERSION", ""),
        help="name of a folder below --model-dir that is the version folder [VERSION]",
    )
    parser.add_argument("--host", default=environ.get("HOST", "127.0.0.1"), help="address [HOST]")
    parser.add_argument("--port", default=environ.get("PORT", "8000"), type=_port, help="port [PORT]")
    parser.add_argument(
        "--allow-pickle",
        default=[environ.get("ALLOW_PICKLE", "")],
        action="append",
        metavar="NAME",
        help="load model.joblib of this model, although that runs code; may be repeated [ALLOW_PICKLE]",
    )
    parser.add_argument(
        "--allow-faults",
        default=environ.get("ALLOW_FAULTS", ""),
        metavar="NAME",
        help="let PUT /faults make this model slow, wrong or failing, to try a canary out [ALLOW_FAULTS]",
    )
    parser.add_argument(
        "--compile",
        default=environ.get("COMPILE", "on"),
        type=_switch,
        metavar="on|off",
        help="serve a scikit-learn model by ONNX Runtime where its answers stay the same [COMPILE]",
    )
    parser.add_argument(
        "--threads",
        default=environ.get("THREADS", "auto"),
        type=_threads,
        help="threads that answer requests: a number, or auto, by what the model costs [THREADS]",
    )
    parser.add_argument(
        "--drain",
        default=environ.get("DRAIN", "0.5"),
        type=_seconds,
        help="seconds between not being ready any more and not accepting any more, on SIGTERM [DRAIN]",
    )
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
