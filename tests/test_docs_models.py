"""docs/models.md lists every estimator and objective, and what it says of a spread of them is so."""

import pytest
from sklearn.utils import all_estimators

from docs import model_matrix

PAGE = model_matrix.PAGE.read_text(encoding="utf-8")
ROWS = set(PAGE.splitlines(keepends=True))
ESTIMATORS = [(kind, name) for kind in model_matrix.KINDS for name in model_matrix.estimators(kind)]
OBJECTIVES = [
    (library, kind, objective)
    for (library, kind), objectives in model_matrix.OBJECTIVES.items()
    for objective in objectives
]
LIBRARIES = {"XGBoost": "xgboost", "LightGBM": "lightgbm", "CatBoost": "catboost"}


def test_every_estimator_and_objective_has_its_row():
    assert PAGE.startswith(model_matrix._HEAD), "make docs"
    listed = [row.split(" | ")[0].removeprefix("| ") for row in ROWS if row.startswith("| ")]
    assert {name for _, name in ESTIMATORS} <= set(listed)
    every = {name for kind in model_matrix.KINDS for name, _ in all_estimators(type_filter=kind)}
    assert {name for _, name in ESTIMATORS} == every
    for library, kind, objective in OBJECTIVES:
        assert any(row.startswith(f"| {library} {kind} | `{objective}` | ") for row in ROWS)


# the whole page takes a minute of CPU time
@pytest.mark.parametrize(("kind", "name"), ESTIMATORS[::19], ids=lambda part: part)
def test_what_the_page_says_of_an_estimator_is_so(kind, name):
    assert model_matrix.row(kind, name) in ROWS, "make docs"


@pytest.mark.parametrize(("library", "kind", "objective"), OBJECTIVES[::8], ids=lambda part: part)
def test_what_the_page_says_of_an_objective_is_so(library, kind, objective):
    pytest.importorskip(LIBRARIES[library], reason=f"the optional library {library} is not installed")
    assert model_matrix.boosted_row(library, kind, objective) in ROWS, "make docs"
