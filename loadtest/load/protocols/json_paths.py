"""JSONPaths of RFC 9535: what an experiment's select in an answer.

Their library is loaded where one is used: it would slow the start of every command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from loadtest.errors import ExperimentError

if TYPE_CHECKING:
    import jsonpath


def selector_of(path: str) -> Callable[[Any], list[Any]]:
    """What selects the values; names and places alone are walked without the library, which is slower.

    An answer that the library refuses is a ``ValueError`` that names the path.
    """
    from jsonpath import JSONPathError
    from jsonpath.selectors import IndexSelector, NameSelector

    compiled = compiled_path(path)

    def find(answer: Any) -> list[Any]:
        try:
            return compiled.findall(answer)
        except JSONPathError as error:  # such as an answer that is nested too deeply
            raise ValueError(f"{path}: {error.args[0]}") from error

    steps: list[str | int] = []
    for segment in compiled.segments:
        step = segment.selectors[0]
        if not compiled.singular_query() or not isinstance(step, NameSelector | IndexSelector):
            return find
        steps.append(step.name if isinstance(step, NameSelector) else step.index)
    return lambda answer: _walk(answer, steps)


def _walk(found: Any, steps: Sequence[str | int]) -> list[Any]:
    for step in steps:
        if not isinstance(found, dict | list):
            return []
        try:
            # a name fits no array and a place no object, whatever its type
            found = found[step]  # type: ignore[index]
        except (LookupError, TypeError):
            return []
    return [found]


def compiled_path(path: str, key: str = "answer") -> jsonpath.JSONPath:
    """A JSONPath that stands under a key of ``[target]``.

    Raises:
        ExperimentError: it is none.
    """
    import jsonpath

    try:
        compiled = jsonpath.compile(path, strict=True)
    except jsonpath.JSONPathError as error:
        raise ExperimentError(
            f"[target] {key} {path!r} is not a JSONPath of RFC 9535 ({error.args[0]}); "
            "write one such as $.label or $.items[0].id"
        ) from None
    if not isinstance(compiled, jsonpath.JSONPath):
        raise ExperimentError(f"[target] {key} {path!r} joins several paths; write one such as $.label")
    return compiled
