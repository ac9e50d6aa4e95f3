"""The live comparison inside Locust's web UI: a tab of its own, and the page ``/loadproof/`` behind it.

Locust shows tables in tabs that others add. This tab's table holds the figures in plain text; a script puts
the page, which draws them, above the table. The page asks once a second for ``/loadproof/live.json``, whose
content is ``LivePage.figures``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, render_template_string, request, send_from_directory
from markupsafe import Markup
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from loadtest.colours import (
    VERDICT_COLOURS,
    VERDICT_COLOURS_ON_DARK,
    VERSION_COLOURS,
    VERSION_COLOURS_ON_DARK,
)
from loadtest.experiment.experiment import Experiment
from loadtest.experiment.role import ROLES, Role

TAB = {"key": "loadproof", "title": "Loadproof"}
_POINTS = 600
_SHOWN = {"done": "answers", "errors": "errors", "p50": "p50 ms", "p95": "p95 ms", "p99": "p99 ms"}
_CLAIM = "Each interval is valid over all analyses together, so watching does no harm."


class LivePage:
    """What people see of a run while it lasts and when it is over.

    ::

        page = LivePage()
        page.extend(web_ui.app, web_ui.template_args)
        page.begin(experiment)
        page.show(event)                 # once a second: ``Progress.event``
        page.show_gates(view)            # the gates, as the live judge sees them
        page.judged(name, verdict)       # the content of verdict.json

    Args:
        problem: why the run broke or could not begin; None: it did not.
    """

    def __init__(self, problem: Callable[[], Exception | None]) -> None:
        self._problem = problem
        self._state = "ready"
        self._reason = "start a test to compare the two versions"
        self._experiment: Experiment | None = None
        self._event: dict[str, Any] | None = None
        self._gates: list[dict[str, Any]] = []
        self._control: list[dict[str, Any]] = []
        self._history: deque[dict[str, Any]] = deque(maxlen=_POINTS)
        self._verdict: dict[str, Any] | None = None

    def begin(self, experiment: Experiment) -> None:
        """A run begins."""
        self._experiment = experiment
        self._state = "warming up"
        self._reason = experiment.description or experiment.name
        self._event, self._verdict, self._gates, self._control = None, None, [], []
        self._history.clear()

    def show(self, event: dict[str, Any]) -> None:
        """The generator's figures, about once a second; where nothing was sent, the curve does not go on."""
        before, self._event = self._event, event
        if event["elapsed"] >= 0:
            self._state = "running"
        if event["elapsed"] >= 0 and event["sent"] > (before or {"sent": 0})["sent"]:
            recent = {role: seen["recent"] for role, seen in event["versions"].items() if seen["recent"]}
            self._history.append({"elapsed": event["elapsed"], **recent})

    def show_gates(self, gates: list[dict[str, Any]]) -> None:
        """The gates at the last analysis: dictionaries with the fields of a ``GateResult``."""
        self._gates = gates

    def judging(self) -> None:
        """The load is over."""
        self._state, self._reason = "judging", "the load is over"

    def judged(self, run: str, verdict: dict[str, Any]) -> None:
        """The content of the ``verdict.json`` of the run whose folder has this name."""
        self._state, self._reason = "over", verdict["reason"]
        self._gates, self._control = verdict["gates"], verdict.get("control", [])
        self._verdict = {"verdict": verdict["verdict"], "report": f"/runs/{run}/report.html"}

    def failed(self, reason: str) -> None:
        """The run broke, or could not begin."""
        self._state, self._reason = "failed", reason

    def figures(self) -> dict[str, Any]:
        """All that the page shows; unknown parts are None or empty."""
        experiment, problem = self._experiment, self._problem()
        return {
            "state": "failed" if problem else self._state,
            "reason": str(problem or self._reason),
            "versions": _versions(experiment) if experiment else None,
            "duration": experiment.load.duration if experiment else None,
            "figures": self._event,
            "history": list(self._history),
            "gates": self._gates,
            "control": self._control,
            "claim": _CLAIM if self._gates and not self._verdict else "",
            "verdict": self._verdict,
        }

    def rows(self) -> list[dict[str, str]]:
        """The tab's table."""
        versions = (self._event or {}).get("versions", {})
        shown = [
            {"name": title, **{role: _text(seen.get(key)) for role, seen in versions.items()}}
            for key, title in _SHOWN.items()
        ]
        said = self._verdict["verdict"] if self._verdict else self._state
        return [{"name": said, **dict.fromkeys(versions or ROLES, "")}, *shown]

    def extend(self, app: Flask, template_args: dict[str, Any], roles: Sequence[Role] = ROLES) -> None:
        """Add the tab and the page to Locust's application, before its first request, and to its pages.

        The tab's table has a column for each of ``roles``.
        """
        columns = [{"key": "name", "title": "Figure"}, *({"key": str(r), "title": str(r)} for r in roles)]
        template_args["extended_tabs"] = [TAB]
        template_args["extended_tables"] = [{"key": TAB["key"], "structure": columns}]
        blueprint = Blueprint("loadproof", __name__, url_prefix="/loadproof")

        @blueprint.route("/")
        def page() -> str:
            return render_template_string(
                _file("live.html"),
                script=Markup(_file("live.js")),  # noqa: S704 - a file of ours
                on_light=VERSION_COLOURS | VERDICT_COLOURS,
                on_dark=VERSION_COLOURS_ON_DARK | VERDICT_COLOURS_ON_DARK,
            )

        @blueprint.route("/live.json")
        def live() -> Response:
            return jsonify(self.figures())

        @blueprint.route("/tab.js")
        def tab() -> Response:
            return Response(_file("tab.js"), content_type="text/javascript")

        app.register_blueprint(blueprint)
        app.after_request(self._extend_answer)

    def _extend_answer(self, answer: Response) -> Response:
        if request.path == "/stats/requests" and answer.is_json:
            content = answer.get_json()
            content["extended_stats"] = [{"key": TAB["key"], "data": self.rows()}]
            answer.set_data(jsonify(content).get_data())
        elif request.path == "/" and answer.mimetype == "text/html" and not answer.is_streamed:
            page = answer.get_data(as_text=True)
            answer.set_data(page.replace("</body>", '<script src="./loadproof/tab.js"></script></body>'))
        return answer


def add_routes(app: Flask, registry: CollectorRegistry, results: Path) -> None:
    """Let Locust's own web server answer ``/metrics``, and ``/runs/<run>/report.html`` out of ``results``."""

    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def report(run: str) -> Response:
        return send_from_directory(results.absolute(), f"{run}/report.html")

    app.add_url_rule("/metrics", view_func=metrics)
    app.add_url_rule("/runs/<run>/report.html", view_func=report)


def _versions(experiment: Experiment) -> dict[str, str]:
    """The name of the version that each role deploys."""
    named = experiment.versions.model_dump()
    return {role: named[Role.STABLE if role == Role.CONTROL else role] for role in experiment.roles}


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _file(name: str) -> str:
    return (resources.files("loadtest.load.web") / "tab" / name).read_text(encoding="utf-8")
