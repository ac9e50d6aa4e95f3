"""What stands before a gate's operator, beside the metric: its arguments and its slice."""

from __future__ import annotations

import re

from loadtest.errors import GateError
from loadtest.experiment.metrics import Metric

_DECIMAL = re.compile(r"\d+(?:\.\d+)?")
_QUOTED = r'"((?:[^"]|"")*)"'
_ARGUMENT = re.compile(r"^\[([^\[\]\"]+)\](?=\s*(?:\[|$))")
_ARGUMENT_AT_END = re.compile(rf"\]\s*{_ARGUMENT.pattern[1:]}$")
_SLICE = re.compile(rf"\[\s*(?:{_QUOTED}|([^=\"][^=]*?))\s*=\s*(?:{_QUOTED}|(.*?))\s*\]", re.DOTALL)


def metric_name(name: str, rank: str | None) -> tuple[str, str | None]:
    """The metric's name, ``precision@recall`` of ``precision@recall=90%``, and its argument: ``=0.9``."""
    if rank is None or "=" not in rank:
        return name.lower(), rank
    other, _, number = rank.partition("=")
    share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    return f"{name}{other.strip()}".lower(), f"={share:.12g}"


def arguments_and_slice(
    entry: Metric, rank: str | None, brackets: str
) -> tuple[tuple[tuple[str, str], ...], tuple[str | None, str | None]]:
    """The arguments of a metric's name, and the column and value of its slice."""
    found: dict[str, str] = {}
    if rank:
        found[rank[0]] = rank[1:]
    column = value = None
    rest = _without_arguments(brackets.strip(), entry, found)
    if rest:
        match = _SLICE.fullmatch(rest)
        if match is None:
            raise GateError(f'{rest} is no slice; write [column=value], or ["column"="value"]')
        in_quotes, plain, value_in_quotes, value_plain = match.groups()
        column = plain if in_quotes is None else in_quotes.replace('""', '"')
        value = value_plain if value_in_quotes is None else value_in_quotes.replace('""', '"')
        if value_in_quotes is None and (more := re.search(r"\]\s*\[", value)):
            raise GateError(
                f"{value[more.end() - 1 :]}] is one too many; a gate has one slice, and a value with ][ in "
                "it is written in double quotes"
            )
    for key, text in found.items():
        if key not in entry.takes:
            shown = f"@{text}" if key == "@" else f"={text}" if key == "=" else f"[{text}]"
            raise GateError(f"{entry.name} takes no {shown}; a slice reads [column=value]")
    if "[]" in found and not _DECIMAL.fullmatch(found["[]"]):
        raise GateError(f"[{found['[]']}] is not a number; write for example {entry.name}[0.9]")
    if entry.name.endswith("@k") and int(found["@"]) == 0:
        raise GateError(f"the first 0 items say nothing; write for example {entry.name[:-2]}@10")
    if "scores" in found and not _DECIMAL.fullmatch(found["scores"]):
        raise GateError(
            f"[scores={found['scores']}] is no number; write for example {entry.name}[scores=0.01]"
        )
    low, high = entry.between
    for key, example in (("[]", "[0.9]"), ("=", "=0.9")):
        if key in found and not low < float(found[key]) < high:
            written = example.replace("0.9", found[key])
            raise GateError(
                f"{written} does not lie between {low:g} and {high:g}; write {entry.name}{example}"
            )
    for key, example in (("@", "@10"), ("[]", "[0.9]"), ("=", "=0.9")):
        if key in entry.takes and key not in found:
            raise GateError(f"{entry.name} lacks its number; write for example {entry.name}{example}")
    for key in ("lower", "upper"):
        if key in entry.takes and key not in found:
            raise GateError(
                f"{entry.name} lacks its {key} output; write for example {entry.name}[lower=q05,upper=q95]"
            )
    if "lower" in found and found["lower"] == found["upper"]:
        raise GateError(f"{found['lower']} is both ends of the interval; name the other one")
    return tuple(found.items()), (column, value)


def _without_arguments(brackets: str, entry: Metric, found: dict[str, str]) -> str:
    """Take the metric's own arguments off both ends; returns the slice."""
    for pattern in (_ARGUMENT, _ARGUMENT_AT_END):
        at_end = pattern is _ARGUMENT_AT_END
        while (match := pattern.search(brackets)) and (arguments := _arguments(match[1], entry)):
            # what a slice's value ends with may look like an argument
            if any(key not in entry.takes and (key != "[]" or at_end) for key, _ in arguments):
                break
            for key, text in arguments:
                if key in found:
                    raise GateError(f"[{match[1].strip()}] is one too many")
                found[key] = text
            brackets = (brackets[: match.start() + 1] if at_end else brackets[match.end() :]).strip()
    return brackets


def _arguments(content: str, entry: Metric) -> list[tuple[str, str]]:
    """Keys and texts of the arguments in one pair of brackets, by commas; none: they hold something else."""
    parts = [part.partition("=") for part in content.split(",")]
    plain = [key.strip() for key, sign, _ in parts if not sign]
    others = [key.strip() for key, sign, _ in parts if sign and key.strip() not in entry.takes]
    if others and len(parts) > 1 and parts[0][1] and parts[0][0].strip() in entry.takes:
        raise GateError(
            f"[{content.strip()}]: {entry.name} takes no {others[0]}; a slice stands in brackets of its own: "
            f"[{parts[0][0].strip()}=...][{others[0]}=...]"
        )
    # what is no number is part of a name with a comma
    if others or len(plain) > ("[]" in entry.takes) or not all(map(_DECIMAL.fullmatch, plain)):
        parts = [content.partition("=")]
    found = [(key.strip(), text.strip()) if sign else ("[]", key.strip()) for key, sign, text in parts]
    return [] if any(not text or "=" in text for _, text in found) else found


def quoted(text: str) -> str:
    """A column or a value as a gate has it: in quotes where it would not be read as it is."""
    plain = text and text == text.strip() and text[0] != '"' and not re.search(r"\]\s*\[|=", text)
    return text if plain and text.isprintable() else '"' + text.replace('"', '""') + '"'
