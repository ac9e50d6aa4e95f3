"""The protocols of model servers: one file each, registered by being here. May import data; no I/O."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from loadtest.errors import ExperimentError
from loadtest.load.protocols.class_scores import ClassScores
from loadtest.load.protocols.codec import PROTOCOLS, Codec

__all__ = ["PROTOCOLS", "Codec", "codec_from", "protocol_named"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def protocol_named(name: str) -> type[Codec]:
    """The codec of a protocol that an experiment names.

    Raises:
        ExperimentError: there is no such protocol.
    """
    if name not in PROTOCOLS:
        raise ExperimentError(f"no protocol {name!r}; there are {', '.join(sorted(PROTOCOLS))}")
    return PROTOCOLS[name]


def codec_from(words: Mapping[str, Any]) -> Codec:
    """The codec that ``Codec.words`` describes."""
    arguments = _tuples(words)
    protocol = PROTOCOLS[str(arguments.pop("protocol"))]
    if arguments.get("scores") is not None:
        arguments["scores"] = ClassScores(**_tuples(arguments["scores"]))
    return protocol(**arguments)


def _tuples(words: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in words.items()}
