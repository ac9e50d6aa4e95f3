"""``python -m services.trainer {shop|digits} --out models/shop``, or ``all --out models`` for every demo."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import NoReturn

from services.trainer.publish import foreign, missing, seed_of, staging, write

DEMOS = {"shop": ("v1", "v2", "v2-skewed", "v2-unfair", "v2-slow"), "digits": ("v1", "v2")}
"""The demos and their versions; each is a module of this package with ``train(seed) -> Demo``."""


_told: list[int] = []
"""The signals that came: what one raises while a library is imported may be swallowed there."""


class TrainerError(Exception):
    """The person's input cannot be met: one line that names the thing and the remedy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is asked for.

    Returns:
        0 when every folder is whole; 2 when the input is unusable or a folder cannot be written.
    """
    options = _parser().parse_args(arguments)
    everything = options.demo == "all"
    try:
        for demo in DEMOS if everything else (options.demo,):
            out = options.out / demo if everything else options.out
            _ensure(demo, out.absolute(), options.seed, force=options.force)
    except TrainerError as error:
        sys.stderr.write(f"trainer: {error}\n")
        return 2
    return 0


def _ensure(demo: str, out: Path, seed: int, *, force: bool) -> None:
    try:
        if not force and _whole(demo, out, seed):
            print(f"{out}: complete, nothing to train", flush=True)
            return
        _guard(demo, out, seed, force=force)
        started = perf_counter()
        with staging(out) as folder:
            # imported late: scikit-learn takes a second that a complete folder need not wait for
            train = import_module(f"services.trainer.{demo}").train
            write(train(seed), demo, seed, folder)
            if _told:
                raise SystemExit(128 + _told[0])
        print(f"{out}: trained {', '.join(DEMOS[demo])} in {perf_counter() - started:.0f} s", flush=True)
    except OSError as error:
        raise TrainerError(
            f"{out}: cannot be written ({error.strerror or error}); make room or choose another --out"
        ) from error


def _whole(demo: str, out: Path, seed: int) -> bool:
    if missing(out, DEMOS[demo]):
        return False
    try:
        made_with = seed_of(out)
    except ValueError as error:
        raise TrainerError(f"{out}: {error}; choose another --out") from error
    if made_with != seed:
        raise TrainerError(f"{out}: was trained with seed {made_with}; --force replaces it by seed {seed}")
    return True


def _guard(demo: str, out: Path, seed: int, *, force: bool) -> None:
    """Never replace what the trainer did not make, and what it made only when told to or by the same."""
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise TrainerError(f"{place}: is not a folder; choose another --out")
    if not out.exists():
        return
    if others := foreign(out, DEMOS[demo]):
        raise TrainerError(f"{out}: also holds {', '.join(others)}; move that away or choose another --out")
    if not force and any(out.iterdir()) and not _only_lacks_versions(demo, out, seed):
        raise TrainerError(
            f"{out}: incomplete, lacks {', '.join(missing(out, DEMOS[demo]))}; --force trains it again"
        )


def _only_lacks_versions(demo: str, out: Path, seed: int) -> bool:
    """Made with this seed before there were as many versions: training again gives the same, and the rest."""
    there = [version for version in DEMOS[demo] if (out / version).exists()]
    return not missing(out, there) and seed_of(out) == seed


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"trainer: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="trainer", description="Train the demo versions and write their evaluation sets.")
    parser.add_argument("demo", choices=[*DEMOS, "all"], help="which demo; all: each in a folder of its name")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write, whole or not at all")
    parser.add_argument("--seed", type=_seed, default=1, help="same seed, same rows and answers (default: 1)")
    parser.add_argument("--force", action="store_true", help="train again and replace the folder")
    return parser


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def _stop(number: int, _: object) -> NoReturn:
    _told.append(number)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, _stop)  # unwinds, so that nothing half-written stays
    sys.exit(main())
