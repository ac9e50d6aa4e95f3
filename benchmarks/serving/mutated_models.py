"""``python -m benchmarks.serving.mutated_models``: changed model files, loaded as a server loads them.

Honest models are saved in each kind that is loaded without ``ALLOW_PICKLE``. Then something in a file is
changed by chance, where the kind has a structure (a number, a name or a branch of its JSON, a cell of an
array, a token of a text), else bytes. A process with bounded memory does what a server does: it tries the
file of a booster in a child, then loads it itself and asks for answers to its examples and to rows of
extremes. Each change follows from its number and can be made again: ``--kind skops --first 4711 --files 1``.

A file may be refused, end the child that tries it, answer (even differently), or fail with an exception; it
must not end the process that stands for the server.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.serving.mutations import MUTATORS
from benchmarks.serving.seed_models import save_seeds
from contract.model_toml import MODEL_TOML
from contract.version_folder import EXAMPLES
from services.model_server.errors import RequestError, VersionError
from services.model_server.runtimes import model_file
from services.model_server.trial import HarmfulFileError, Limits, in_child, libraries_of, try_model
from services.model_server.version import load_version

RESULTS = Path(__file__).parent / "mutated_models.json"
MEMORY, SECONDS = 8 << 30, 60.0
"""Bytes of address space that a child may have, and seconds for one file."""
_TRIAL = Limits(memory=4 << 30, cpu=20, wall=50.0)
_HARMLESS = ("refused", "ended its trial", "answers", "fails")
_FRESH = 400
"""Files until a child is replaced, so that what one file did to its memory shows."""


def main(arguments: list[str]) -> int:
    """Try files; exit 1 when one ended its process, or held it up."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.mutated_models", description=__doc__)
    parser.add_argument(
        "--files", type=int, default=100_000, help="changed files of each kind (default 100,000)"
    )
    parser.add_argument("--minutes", type=float, default=600, help="stop after so many, shared by the kinds")
    parser.add_argument("--first", type=int, default=0, help="the number of the first change")
    parser.add_argument("--kind", choices=MUTATORS, action="append", help="these kinds")
    parser.add_argument("--dry", action="store_true", help="write no results")
    options = parser.parse_args(arguments)
    kinds = options.kind or list(MUTATORS)
    results, bad = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: threads that trained a model would not live on in a forked child
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seeds = pool.apply(save_seeds, (Path(folder),))
        for kind in kinds:
            ends = time.monotonic() + options.minutes * 60 / len(kinds)
            outcomes, found = _try(
                kind, seeds[kind], range(options.first, options.first + options.files), ends
            )
            results[kind] = dict(outcomes)
            bad += len(found)
            print(f"{kind}: {sum(outcomes.values()):,} files, {dict(outcomes)}", flush=True)
            for number, what in found:
                print(f"  --kind {kind} --first {number} --files 1: {what}", flush=True)
    if not options.dry:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return int(bad > 0)


def _try(
    kind: str, seeds: list[Path], numbers: range, ends: float
) -> tuple[Counter[str], list[tuple[int, str]]]:
    outcomes: Counter[str] = Counter()
    found: list[tuple[int, str]] = []
    context = multiprocessing.get_context("fork")
    place = iter(numbers)
    number = next(place, None)
    while number is not None and time.monotonic() < ends:
        ours, theirs = context.Pipe()
        child = context.Process(target=_child, args=(kind, seeds, theirs))
        child.start()
        theirs.close()
        for _ in range(_FRESH):
            if number is None or time.monotonic() >= ends:
                break
            ours.send(number)
            outcome = _answer(ours, child)
            outcomes[outcome] += 1
            if outcome not in _HARMLESS:
                found.append((number, outcome))
            number = next(place, None)
            if outcome.startswith(("ended", "held")):
                break
        ours.close()
        child.join(10)
        if child.is_alive():
            child.kill()
            child.join()
    return outcomes, found


def _answer(pipe: Connection, child: multiprocessing.process.BaseProcess) -> str:
    try:
        if pipe.poll(SECONDS):
            return str(pipe.recv())
    except (EOFError, ConnectionResetError):
        child.join()
        return f"ended by {child.exitcode}"
    child.kill()
    child.join()
    return "held up"


def _child(kind: str, seeds: list[Path], pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    with tempfile.TemporaryDirectory() as folder:
        while True:
            try:
                number = pipe.recv()
            except EOFError:
                return
            pipe.send(_load(kind, seeds, number, Path(folder)))


def _load(kind: str, seeds: list[Path], number: int, folder: Path) -> str:
    rng = np.random.default_rng([number, *kind.encode()])
    seed = seeds[number % len(seeds)]
    for old in folder.iterdir():
        old.unlink()
    for name in (MODEL_TOML, EXAMPLES):
        if (seed / name).exists():
            (folder / name).write_bytes((seed / name).read_bytes())
    (file,) = (path for path in seed.iterdir() if path.name not in (MODEL_TOML, EXAMPLES))
    (folder / file.name).write_bytes(MUTATORS[kind](file.read_bytes(), rng))
    try:
        format_of_it, path = model_file(folder)
        if libraries_of(path, format_of_it):
            in_child(path, format_of_it, lambda: try_model(load_version(folder, compilation=False)), _TRIAL)
        try_model(load_version(folder, compilation=number % 2 == 0))
    except HarmfulFileError:
        return "ended its trial"
    except (VersionError, RequestError):
        return "refused"
    except MemoryError:
        return "fails"
    except Exception:  # whatever it is, the process lives
        return "fails"
    return "answers"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
