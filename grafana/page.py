"""A dashboard: what all of them share, and where their panels go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from loadtest.colours import VERDICT_COLOURS_ON_DARK

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="prometheus")
"""As ``provisioning/datasources`` names it."""

PAGES = {"comparison": "Version comparison", "canary": "Canary", "lab": "Lab health"}
"""Every dashboard: its name (the file, and the end of its uid) and its title."""

WIDTH = 24

Model = TypeVar("Model")


class Page:
    """One dashboard: ``Page("lab", "What it answers.").row(6, panel, panel).build()``.

    Args:
        name: one of ``PAGES``.
        description: the question that it answers.
    """

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self._panels = 0
        self._top = 0
        self._dashboard = (
            builders.Dashboard(PAGES[name])
            .uid(f"loadproof-{name}")
            .description(description)
            .tags(["loadproof"])
            .time("now-15m", "now")
            .refresh("5s")
            .readonly()
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
        )
        for other, title in PAGES.items():
            if other != name:
                self._link(title, f"/d/loadproof-{other}?${{run:queryparam}}", "dashboard")
        self._variable("pages", "Locust", "label_values(loadproof_load_info, pages)", hidden=True)
        self._variable("run", "Run", "label_values(loadproof_run_info, run)")
        self._link("Locust", "${pages:raw}/", "external link")
        self._link("Report", "${pages:raw}/runs/${run:raw}/report.html", "doc")

    def versions(self) -> Page:
        """Add the variable ``shown``: which of the two roles the charts show."""
        self._variable("shown", "Role", "label_values(loadproof_client_requests_total, role)", multi=True)
        return self

    def annotate(self, name: str, expression: str, title: str, colour: str) -> Page:
        """Mark the times at which ``expression`` has a value.

        Args:
            name: of the switch on the dashboard.
            expression: what is asked.
            title: of a mark; ``{{label}}`` is filled in.
            colour: of a mark.
        """
        self._dashboard.annotation(_Built(_Annotation(name, expression, title, colour)))
        return self

    def marks(self, name: str, tags: list[str], colour: str) -> Page:
        """Show what was posted to Grafana itself under all of these tags."""
        self._dashboard.annotation(
            builders.AnnotationQuery()
            .name(name)
            .datasource(models.DataSourceRef(type_val="grafana", uid="-- Grafana --"))
            .enable(True)
            .icon_color(colour)
            .target(builders.AnnotationTarget().type("tags").tags(tags).match_any(False).limit(100))
        )
        return self

    def alerts(self) -> Page:
        """Mark the times at which alerts fire."""
        firing = 'ALERTS{alertstate="firing"}'
        return self.annotate("Alert", firing, "{{alertname}} {{role}}", VERDICT_COLOURS_ON_DARK["FAIL"])

    def title(self, text: str) -> Page:
        """A heading over the rows that follow."""
        self._panels += 1
        at = models.GridPos(h=1, w=WIDTH, x=0, y=self._top)
        self._dashboard.with_row(builders.Row(text).id(self._panels).grid_pos(at))
        self._top += 1
        return self

    def row(self, height: int, *panels: Builder[models.Panel], widths: Sequence[int] = ()) -> Page:
        """Panels side by side over the whole width.

        Args:
            height: in Grafana's units of 38 pixels.
            panels: from left to right.
            widths: of each panel, 24 in all; empty: equal.
        """
        left = 0
        for panel, width in zip(panels, widths or [WIDTH // len(panels)] * len(panels), strict=True):
            self._panels += 1
            built = panel.build()
            built.id_val = self._panels
            built.grid_pos = models.GridPos(h=height, w=width, x=left, y=self._top)
            self._dashboard.with_panel(_Built(built))
            left += width
        self._top += height
        return self

    def build(self) -> models.Dashboard:
        """The dashboard as Grafana's own model."""
        return self._dashboard.build()

    def _variable(
        self, name: str, label: str, query: str, *, multi: bool = False, hidden: bool = False
    ) -> None:
        variable = (
            builders.QueryVariable(name)
            .label(label)
            .datasource(DATASOURCE)
            .query({"query": query, "refId": name})
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            # the newest run first, stable before candidate
            .sort(models.VariableSort.ALPHABETICAL_DESC)
        )
        if multi:
            variable.multi(True).include_all(True)
            variable.current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
        if hidden:
            variable.hide(models.VariableHide.HIDE_VARIABLE)
        self._dashboard.with_variable(variable)

    def _link(self, title: str, url: str, icon: str) -> None:
        self._dashboard.link(
            builders.DashboardLink(title)
            .type(models.DashboardLinkType.LINK)
            .icon(icon)
            .url(url)
            .keep_time(url.startswith("/"))
            .target_blank(not url.startswith("/"))
        )


class _Annotation(models.AnnotationQuery):
    """An annotation from Prometheus: the model lacks what only this data source knows."""

    def __init__(self, name: str, expression: str, title: str, colour: str) -> None:
        super().__init__(name=name, datasource=DATASOURCE, icon_color=colour, expr=expression)
        self._title = title

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self._title}


class _Built(Builder[Model]):
    """What is built already."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def build(self) -> Model:
        return self._model
