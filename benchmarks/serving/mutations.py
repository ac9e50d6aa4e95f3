"""Changes by chance to model files, each a function of bytes and a generator of random numbers."""

from __future__ import annotations

import io
import json
import re
import tokenize
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator
NUMBERS = (0, 1, -1, 2, -2, 255, 2**15, -(2**15), 2**31 - 1, -(2**31), 2**31, 2**63 - 1, 1e30, -1e30, 0.5)


def of_bytes(data: bytes, rng: Random) -> bytes:
    """Some bytes changed, cut out, doubled, or the end cut off."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(changed) or 1))
        length = int(2 ** rng.uniform(0, 7))
        match int(rng.integers(6)):
            case 0 | 1:
                changed[at : at + 1] = bytes([int(rng.integers(256))])
            case 2:
                changed[at : at + 4] = int(rng.integers(2**32)).to_bytes(4, "little")
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length]
            case 5:
                changed[at : at + 8] = np.float64(rng.choice(NUMBERS)).tobytes()
    return bytes(changed) if rng.random() < 0.95 else bytes(changed[: int(rng.integers(len(changed) or 1))])


def of_json(data: bytes, rng: Random) -> bytes:
    """Some values of a JSON document changed: numbers, texts, branches."""
    document = json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        _change(document, rng)
    return json.dumps(document).encode()


def of_text(data: bytes, rng: Random) -> bytes:
    """Some numbers or words of a text changed."""
    text = data.decode()
    tokens = list(re.finditer(r"-?\d[\d.e+-]*|[A-Za-z_]+", text))
    for _ in range(int(rng.integers(1, 4))):
        token = tokens[int(rng.integers(len(tokens)))]
        other = tokens[int(rng.integers(len(tokens)))].group()
        new = str(_number(rng)) if token.group()[-1].isdigit() and rng.random() < 0.8 else other
        if text[token.start() : token.end()] == token.group():
            text = text[: token.start()] + new.ljust(len(token.group())) + text[token.end() :]
            tokens = list(re.finditer(r"-?\d[\d.e+-]*|[A-Za-z_]+", text))
    return text.encode()


def of_skops(data: bytes, rng: Random) -> bytes:
    """The schema of a skops file, or an array beside it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(int(rng.integers(1, 4))):
        arrays = [name for name in files if name != "schema.json"]
        if not arrays or rng.random() < 0.5:
            files["schema.json"] = of_json(files["schema.json"], rng)
        else:
            name = arrays[int(rng.integers(len(arrays)))]
            files[name] = _array(files[name], rng)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


MUTATORS: dict[str, Callable[[bytes, Random], bytes]] = {
    "skops": of_skops,
    "onnx": of_bytes,
    "xgboost-json": of_json,
    "xgboost-ubj": of_bytes,
    "lightgbm": of_text,
    "catboost": of_bytes,
}
"""By the kind of file; see ``seed_models``."""


def _number(rng: Random) -> float:
    kind = rng.integers(3)
    return (
        rng.choice(NUMBERS).item()
        if kind == 0
        else float(rng.normal())
        if kind == 1
        else int(rng.integers(-9, 99))
    )


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            _places(value[key], found)


def _change(document: Any, rng: Random) -> None:
    found: list[tuple[Any, Any]] = []
    _places(document, found)
    if not found:
        return
    # most of the numbers, few of the branches, which refuse early
    leaves = [(owner, key) for owner, key in found if not isinstance(owner[key], dict | list)]
    pool = leaves if leaves and rng.random() < 0.8 else found
    owner, key = pool[int(rng.integers(len(pool)))]
    other_owner, other_key = pool[int(rng.integers(len(pool)))]
    value = owner[key]
    if isinstance(value, int | float) and rng.random() < 0.7:
        number = _number(rng)
        owner[key] = int(number) if isinstance(value, int) and abs(number) < 2**63 else number
    elif isinstance(value, str) and re.fullmatch(r"-?[\d.E+-]+", value) and rng.random() < 0.7:
        owner[key] = str(_number(rng))
    elif rng.random() < 0.2:
        del owner[key]
    else:
        owner[key] = json.loads(json.dumps(other_owner[other_key]))


def _array(data: bytes, rng: Random) -> bytes:
    """A cell, the shape or the datatype of an array; bytes where it is none."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, tokenize.TokenError):  # changed before
        return of_bytes(data, rng)
    array = array.copy()
    with np.errstate(all="ignore"):
        match int(rng.integers(8)):
            case 0 | 1 | 2 | 3 if array.size and array.dtype.names:
                name = array.dtype.names[int(rng.integers(len(array.dtype.names)))]
                array[name].reshape(-1)[int(rng.integers(array.size))] = np.float64(_number(rng)).astype(
                    array[name].dtype
                )
            case 0 | 1 | 2 | 3 if array.size and array.dtype.kind in "iuf":
                array.reshape(-1)[int(rng.integers(array.size))] = np.float64(_number(rng)).astype(
                    array.dtype
                )
            case 4:
                array = array[: int(rng.integers(len(array) + 1))] if array.ndim else array
            case 5:
                array = np.concatenate([array, array]) if array.ndim else array
            case 6 if not array.dtype.names:
                array = array.astype(rng.choice(["<i4", "<i8", "<f4", "<f8", "|u1"]), order="C")
            case 7:
                array = array.reshape(-1) if rng.random() < 0.5 else array.T
            case _:
                return of_bytes(data, rng)
    made = io.BytesIO()
    np.save(made, array, allow_pickle=False)
    return made.getvalue()
