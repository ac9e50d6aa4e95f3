"""Samples held against the baseline answers that were asked for after the load."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from loadtest.data.baseline import Comparison
from loadtest.data.samples import SCHEMA, SampleSet
from loadtest.experiment.role import Role
from loadtest.load.sending.response import BROKEN


def compare_late(samples: SampleSet, comparisons: Mapping[Role, Comparison]) -> SampleSet:
    """Fill in ``matches`` and ``baseline`` where a sample could not be compared when it was recorded.

    Ids were kept of all samples that wait for their comparison; now only of those that failed or differ.

    The comparisons have the answers of both halves: how far apart a regression's answers lie is known from
    all.
    """
    table = samples.table
    columns = {name: table[name].combine_chunks() for name in ("row", "prediction", "matches", "baseline")}
    lists = table["outputs" if samples.longest("outputs") else "scores"].combine_chunks()
    failed = pa.array(samples.failed)
    broken = pc.fill_null(pc.is_in(table["error"].cast(pa.string()), pa.array(sorted(BROKEN))), False)
    matches, baseline = columns["matches"], columns["baseline"]
    for role, comparison in comparisons.items():
        mine = pc.and_(pa.array(samples.is_role(role)), pc.is_null(columns["matches"]))
        judged = comparison.judge(columns["row"], columns["prediction"], broken.combine_chunks(), lists)
        matches = pc.if_else(mine, judged, matches)
        differs = pc.and_(mine, pc.fill_null(pc.invert(judged), False))
        baseline = _filled(baseline, differs, comparison, columns["row"])
    wanted = pc.or_(failed, pc.fill_null(pc.invert(matches), False))
    ids = pc.if_else(wanted, table["request_id"].combine_chunks(), pa.scalar(None, pa.string()))
    return _with(samples, {"matches": matches, "baseline": baseline, "request_id": ids})


def _filled(baseline: pa.Array, differs: pa.Array, comparison: Comparison, rows: pa.Array) -> pa.Array:
    """The column ``baseline`` where an answer ``differs``, of which there are few."""
    differs = pc.fill_null(differs, False)
    return pc.replace_with_mask(baseline, differs, comparison.shown(rows.filter(differs)))


def _with(samples: SampleSet, columns: Mapping[str, pa.Array]) -> SampleSet:
    table = samples.table
    for name, column in columns.items():
        table = table.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), column)
    return SampleSet(table)
