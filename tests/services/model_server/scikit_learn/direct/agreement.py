"""The direct way held against the library, over all rows at once and row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.model_server.columns import Columns
from services.model_server.scikit_learn.direct.pipeline import difference
from services.model_server.scikit_learn.direct.step import Unsure
from services.model_server.scikit_learn.estimator import Estimator


def answers_are_the_library_s(server: Estimator, given: Any, rows: Columns) -> None:
    """Fail unless a server's answers are its model's, and most rows are answered the direct way.

    Args:
        server: whose model goes the direct way.
        given: all rows, as the model takes them.
        rows: the same, as the server takes them.
    """
    names = frozenset(["predict", *(["predict_proba"] if server.has_proba else [])])
    wanted = {name: np.asarray(getattr(server.model, name)(given)) for name in names}
    assert difference(server.run(rows, names), wanted, names) == ""
    answered = 0
    for number in range(0, len(rows), 5):
        try:
            got = server._columns_direct.run(rows[number : number + 1], names)
        except Unsure:
            # a rounding decides: a text without a known word, votes that are as many
            continue
        answered += 1
        assert difference(got, {name: wanted[name][number : number + 1] for name in names}, names) == ""
    assert answered > 15
