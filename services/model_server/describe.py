"""``python -m services.model_server.describe``: make model files version folders, and try them.

Standard input is one JSON object::

    {"folder": "models/mine", "name": "mine",
     "columns": ["age", ...],       the columns that may be features, in the order of the rows
     "rows": [[41.0, ...], ...],    what the versions are tried on: numbers, text, true or false, null
     "label": "price",              optional: the label column, whose name an output may have
     "labels": ["0.5", ...],        optional: what it holds, each once
     "ranked": true,                optional: they are lists, so several values per row are a ranked list
     "only": "v2",                  optional: of this version alone
     "elsewhere": ["v1"]}           optional: versions that run on other packages, and are merely named

Where ``model.toml`` and ``examples.parquet`` are missing, they are written from what the model says of
itself and from the rows. Standard output is one JSON object per version: ``version``, ``wrote`` (was
model.toml), ``task``, ``columns`` (the features, in the model's order), ``predictions``, ``output`` (of
several values per row, the one that they are; empty where there is one), ``outputs`` (what it may be),
``classes`` (the labels that it gives a probability each; empty where it gives none, or of whom is not
sure), ``classes_said`` (by the version; else they were read off its answers), ``classes_missing`` (why
``classes`` is empty), ``categories`` (that it knows; see ``contract.categories``), and ``notes``, what the
model's own code said; of one that is elsewhere, ``version`` alone.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from contract.model_toml import (
    MODEL_TOML,
    Columns,
    Input,
    ModelToml,
    read_model_toml,
    write_model_toml,
)
from contract.version_folder import EXAMPLES
from services.model_server.class_order import probabilities_of
from services.model_server.errors import CORRECT_ROWS, SAVING_RELEASE, VersionError
from services.model_server.features import (
    are_values,
    check_whole,
    columns_of,
    features_among,
    have_fractions,
    no_matrix,
)
from services.model_server.foreign_code import once, printed_by, warnings_of
from services.model_server.missing_words import check_failing_words, check_words
from services.model_server.ranked import RANKING
from services.model_server.required_columns import check_required, complete_rows, required_in
from services.model_server.runtime import Format
from services.model_server.runtimes import check_allowed, find_versions, model_file
from services.model_server.text_codes import CodesError, alike, check_codes, check_unused
from services.model_server.trained_with import of_its_own
from services.model_server.trial import in_child
from services.model_server.tried_version import Answers, Cells, as_written, rows_of, tried_on
from services.model_server.version import LoadedVersion, exits


def describe(
    folder: Path,
    name: str,
    version: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    allow_pickle: Sequence[str] = (),
    label: str = "",
    labels: Sequence[str] = (),
    *,
    ranked: bool = False,
) -> dict[str, Any]:
    """Write what is missing of the version folder, load the version, and try it; see the module.

    Raises:
        VersionError: the model cannot be served, or does not fit the columns; nothing is left written.
    """
    kind, path = model_file(folder)
    check_allowed(kind, path, name, allow_pickle)
    cells = {column: [row[place] for row in rows] for place, column in enumerate(columns)}
    missing = [folder / file for file in (MODEL_TOML, EXAMPLES) if not (folder / file).exists()]
    wrote = folder / MODEL_TOML in missing
    try:
        with warnings_of(path) as warned, printed_by(path) as printed:
            if wrote:
                loaded, answers = _first_that_fits(
                    folder, kind, path, name, version, cells, allow_pickle, labels
                )
                if loaded.choices:
                    chosen = RANKING if ranked else label if label in loaded.choices else loaded.chosen
                    write_model_toml(folder, replace(read_model_toml(folder), output=chosen))
                    loaded, answers = as_written(folder, path, cells, allow_pickle)
            else:
                loaded, answers = as_written(folder, path, cells, allow_pickle)
    except VersionError as error:
        for file in missing:
            file.unlink(missing_ok=True)
        if (remedy := of_its_own(warned, path)) and re.search("fails on|cannot use", str(error)):
            said = str(error).removesuffix(f"; {SAVING_RELEASE}").removesuffix(f"; {CORRECT_ROWS}")
            raise VersionError(f"{said}; {remedy}") from error
        raise
    probabilities = probabilities_of(loaded, answers, labels)
    return {
        "version": version,
        "wrote": wrote,
        "task": loaded.task,
        "columns": list(loaded.columns or features_among(cells, None, loaded.width, path)),
        "predictions": answers["predict"].tolist(),
        "output": loaded.chosen,
        "outputs": list(loaded.choices),
        "classes": probabilities.classes,
        "classes_said": probabilities.said,
        "classes_missing": probabilities.missing,
        "categories": loaded.categories and loaded.categories.document(),
        "notes": once([*loaded.notes, *warned, *printed]),
    }


def _first_that_fits(
    folder: Path,
    kind: Format,
    path: Path,
    name: str,
    version: str,
    cells: Cells,
    allow_pickle: Sequence[str],
    labels: Sequence[str],
) -> tuple[LoadedVersion, Answers]:
    """Write ``model.toml``: with a matrix, which is fast, unless named columns get other answers."""
    try:
        said = kind.describe(path)
    except SystemExit as error:
        raise exits(path, error) from error
    if (said.scores and are_values(labels, said.scores)) or (said.guessed and have_fractions(labels)):
        said = said._replace(task="regression", guessed=False)
    names = features_among(cells, said.columns, said.features, path)
    taken = {name: cells[name] for name in names}

    def write(given: Input | Columns) -> None:
        try:
            write_model_toml(folder, ModelToml(name, version, said.task, given))
        except OSError as error:
            raise VersionError(f"{folder / MODEL_TOML}: cannot be written ({error.strerror})") from error

    def tried(given: Input | Columns) -> tuple[LoadedVersion, Answers]:
        write(given)
        if not isinstance(given, Columns) or (folder / EXAMPLES).exists():
            return as_written(folder, path, cells, allow_pickle)
        try:
            loaded, answers = tried_on_complete_rows(given)
        except VersionError as error:
            check_failing_words(path, taken, lambda cells: again(columns_of(cells), cells))
            if untried := check_codes(path, taken, lambda cells: again(columns_of(cells), cells)):
                raise VersionError(f"{error}; not tried as text: {', '.join(untried)}") from error
            raise
        outputs = frozenset(loaded.outputs)

        def run(cells: Cells) -> Answers:
            return loaded.run(rows_of(given, loaded, cells), outputs)

        check_words(path, taken, answers, run)
        check_unused(path, taken, answers, run, lambda cells: again(columns_of(cells), cells)[1])
        return loaded, answers

    def again(given: Columns, cells: Cells) -> tuple[LoadedVersion, Answers]:
        (folder / EXAMPLES).unlink(missing_ok=True)
        write(given)
        return tried_on(folder, path, given, cells, allow_pickle)

    def tried_on_complete_rows(given: Columns) -> tuple[LoadedVersion, Answers]:
        try:
            return tried_on(folder, path, given, taken, allow_pickle)
        except VersionError:
            complete = complete_rows(taken)
            if not complete[names[0]] or complete == taken:
                raise
            # what it fails on may be the missing cells alone
            loaded, _ = again(given, complete)
            check_required(path, required_in(loaded.run, given.datatypes, complete), taken)
            raise

    matrix = Input("features", said.datatype, (-1, len(names)), tuple(names))
    as_columns = columns_of(taken)
    if said.datatype.startswith("INT") and not said.takes_frame:
        check_whole(taken, said.datatype, path)
    if said.takes_frame or any(no_matrix(column) for column in taken.values()):
        found = tried(as_columns)
    elif said.columns is None:
        found = tried(matrix)
    else:
        found = _same_answers(tried, matrix, as_columns)
    if said.guessed and have_fractions(found[1]["predict"].flat):
        said = said._replace(task="regression")
        write(read_model_toml(folder).input)
        found = as_written(folder, path, cells, allow_pickle)
    # a matrix has no missing cells anyway
    if isinstance(found[0].input, tuple) and (
        required := required_in(found[0].run, as_columns.datatypes, taken)
    ):
        write(replace(as_columns, required=required))
    return found


def _same_answers(tried: Any, matrix: Input, columns: Columns) -> tuple[LoadedVersion, Answers]:
    """The matrix if the model gives the same answers to it as to the frame that it was fitted on."""
    try:
        right: Answers = tried(columns)[1]
    except VersionError as error:
        if isinstance(error, CodesError):
            raise
        try:
            return tried(matrix)  # type: ignore[no-any-return]
        except VersionError:
            # what is wrong with a matrix may be that the model takes columns
            raise error from None
    try:
        found: tuple[LoadedVersion, Answers] = tried(matrix)
        if alike(found[1], right):
            return found
    except VersionError:
        pass
    return tried(columns)  # type: ignore[no-any-return]


def _described(
    folder: Path, version: str, asked: Mapping[str, Any], allowed: Sequence[str]
) -> dict[str, Any]:
    """What ``describe`` says, in a child where the file may end the process; see ``trial``."""
    kind, path = model_file(folder)
    missing = [folder / file for file in (MODEL_TOML, EXAMPLES) if not (folder / file).exists()]
    name, columns, rows = asked["name"], asked["columns"], asked["rows"]

    def work() -> dict[str, Any]:
        label, labels, ranked = asked.get("label", ""), asked.get("labels", ()), asked.get("ranked", False)
        return describe(folder, name, version, columns, rows, allowed, label, labels, ranked=ranked)

    try:
        answer: dict[str, Any] = in_child(path, kind, work)
    except VersionError:
        for file in missing:
            file.unlink(missing_ok=True)
        raise
    return answer


def main(given: str, out: TextIO, errors: TextIO) -> int:
    """Describe every version of the model in ``given``; 2 where one cannot be served."""
    allowed = os.environ.get("ALLOW_PICKLE", "").replace(",", " ").split()
    asked = json.loads(given)
    folder = Path(asked["folder"])
    try:
        for version in find_versions(folder):
            if version != asked.get("only", version):
                continue
            # before packages are installed for it
            check_allowed(*model_file(folder / version), asked["name"], allowed)
            here = version not in asked.get("elsewhere", ())
            answer = _described(folder / version, version, asked, allowed) if here else {"version": version}
            out.write(json.dumps(answer) + "\n")
            out.flush()
    except VersionError as error:
        errors.write(f"model-server: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.read(), sys.stdout, sys.stderr))
