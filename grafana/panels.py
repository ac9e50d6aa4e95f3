"""Panels in one language: same colours, order, names and units for stable and candidate everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.page import DATASOURCE
from loadtest.colours import NEUTRAL
from loadtest.colours import VERDICT_COLOURS_ON_DARK as VERDICT_COLOURS
from loadtest.colours import VERSION_COLOURS_ON_DARK as VERSION_COLOURS

SECONDS, SHARE, RATE, NUMBER, BYTES = "s", "percentunit", "reqps", "short", "bytes"
"""Units, as Grafana calls them: it shows shares of 1 in per cent, and 0.02 seconds as 20 ms."""

Series = dict[str, str]
"""Expression by legend, in the order of the legend."""

_Panel = TypeVar("_Panel", timeseries.Panel, stat.Panel, table.Panel)


def both(expression: str) -> Series:
    """The same quantity of both versions, stable first; ``$role`` stands for the matcher of one of them."""
    return {role: expression.replace("$role", f'role="{role}"') for role in VERSION_COLOURS}


def of_quantiles(expression: str, quantiles: Sequence[str] = ("p50", "p99")) -> Series:
    """Several quantiles of both versions; ``$q`` stands for the quantile."""
    return {
        f"{role} {q}": query.replace("$q", q) for role, query in both(expression).items() for q in quantiles
    }


def chart(title: str, unit: str, series: Series, text: str, **options: Any) -> timeseries.Panel:
    """Lines over time.

    Args:
        title: names the quantity.
        unit: see above.
        series: what is drawn.
        text: what it means and what to look for.
        options: ``most``: the axis' end; ``log``: a logarithmic axis; ``signed``: it goes below zero.
    """
    panel = (
        _common(timeseries.Panel(), title, unit, text)
        .line_width(2)
        .fill_opacity(0)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI))
    )
    if options.get("log"):
        panel.scale_distribution(common.ScaleDistributionConfig().type(kinds.ScaleDistribution.LOG).log(10))
    elif not options.get("signed"):
        panel.min(0)
    if "most" in options:
        panel.max(options["most"])
    panel.override_by_regexp("/p95/", [_set("custom.lineStyle", {"fill": "dot", "dash": [2, 4]})])
    panel.override_by_regexp("/p99/", [_set("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})])
    panel.override_by_regexp("/limit|objective|set/", [_set("color", _fixed(NEUTRAL))])
    return _query(_coloured(panel), series)


def tile(title: str, unit: str, series: Series, text: str, empty: str = "–") -> stat.Panel:
    """Last values as large figures, the versions side by side."""
    panel = (
        _common(stat.Panel(), title, unit, text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.VALUE)
        .text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if len(series) > 1 else kinds.BigValueTextMode.VALUE)
        .orientation(kinds.VizOrientation.VERTICAL)
        .no_value(empty)
    )
    return _query(_coloured(panel), series)


def word(title: str, expression: str, label: str, text: str, empty: str, url: str = "") -> stat.Panel:
    """The one word whose series exists, on its colour.

    Args:
        title: of the panel.
        expression: gives one series for the word that holds.
        label: the label that carries the word.
        text: what the words mean.
        empty: shown while there is none.
        url: where a click leads.
    """
    panel = (
        _common(stat.Panel(), title, NUMBER, text)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)
        .text_mode(kinds.BigValueTextMode.NAME)
        .no_value(empty)
    )
    for name, colour in VERDICT_COLOURS.items():
        panel.override_by_name(name, [_set("color", _fixed(colour))])
    if url:
        panel.data_links([DashboardLink("Open the report").url(url).target_blank(True)])
    return _query(panel, {f"{{{{{label}}}}}": expression})


def rows(title: str, columns: Series, key: str, text: str, empty: str) -> table.Panel:
    """A table: one row for each value of the label ``key``, one column an expression."""
    panel = _common(table.Panel(), title, NUMBER, text).no_value(empty)
    names = {f"Value #{_ref(index)}": name for index, name in enumerate(columns)}
    for index, expression in enumerate(columns.values()):
        panel.with_target(
            prometheus.Dataquery()
            .expr(expression)
            .ref_id(_ref(index))
            .instant()
            .format(PromQueryFormat.TABLE)
        )
    panel.with_transformation(_transform("joinByField", {"byField": key, "mode": "outerTabular"}))
    panel.with_transformation(
        _transform(
            "organize",
            {
                "excludeByName": {f"Time {index + 1}": True for index in range(len(columns))}
                | {"Time": True},
                "renameByName": names,
            },
        )
    )
    for name, colour in VERDICT_COLOURS.items():
        mapping = {"type": "value", "options": {name: {"color": colour, "index": 0}}}
        panel.override_by_name("verdict", [_set("mappings", [mapping])])
    panel.override_by_name("verdict", [_set("custom.cellOptions", {"type": "color-text"})])
    return panel


def spread(title: str, expression: str, text: str) -> heatmap.Panel:
    """How a histogram's buckets fill over time."""
    panel = heatmap.Panel().title(title).description(text).datasource(DATASOURCE)
    panel.calculate(False).cell_gap(0).show_value(kinds.VisibilityMode.NEVER)
    panel.y_axis(heatmap.YAxisConfig().unit(SECONDS))
    return panel.with_target(
        prometheus.Dataquery()
        .expr(expression)
        .ref_id("A")
        .range()
        .format(PromQueryFormat.HEATMAP)
        .legend_format("{{le}}")
    )


def states(title: str, series: Series, text: str, good: str, bad: str) -> stat.Panel:
    """Whether each of several things is well (1) or not (0)."""
    panel = tile(title, NUMBER, series, text)
    panel.color_mode(kinds.BigValueColorMode.BACKGROUND)
    panel.thresholds(
        ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                models.Threshold(value=None, color=VERDICT_COLOURS["FAIL"]),
                models.Threshold(value=1, color=VERDICT_COLOURS["PASS"]),
            ]
        )
    )
    return panel.mappings(
        [
            models.ValueMap(
                options={
                    "0": models.ValueMappingResult(text=bad),
                    "1": models.ValueMappingResult(text=good),
                }
            )
        ]
    ).text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)


def _common(panel: _Panel, title: str, unit: str, text: str) -> _Panel:
    return panel.title(title).description(text).datasource(DATASOURCE).unit(unit)


def _query(panel: _Panel, series: Series) -> _Panel:
    for index, (legend, expression) in enumerate(series.items()):
        panel.with_target(
            prometheus.Dataquery().expr(expression).ref_id(_ref(index)).range().legend_format(legend)
        )
    return panel


def _coloured(panel: _Panel) -> _Panel:
    for role, colour in VERSION_COLOURS.items():
        panel.override_by_regexp(f"/^{role}/", [_set("color", _fixed(colour))])
    return panel


def _ref(index: int) -> str:
    return chr(ord("A") + index)


def _fixed(colour: str) -> dict[str, str]:
    return {"mode": "fixed", "fixedColor": colour}


def _set(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)


def _transform(name: str, options: object) -> models.DataTransformerConfig:
    return models.DataTransformerConfig(id_val=name, options=options)
