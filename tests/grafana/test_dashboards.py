"""The dashboards' JSON is what their code says, and what Grafana 11.6 understands."""

import json
import re
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.__main__ import FOLDER, render
from grafana.page import PAGES, WIDTH
from loadtest.colours import NEUTRAL, VERDICT_COLOURS_ON_DARK, VERSION_COLOURS_ON_DARK

ROOT = Path(__file__).parents[2]
RENDERED = render()
KNOWN_COLOURS = {*VERSION_COLOURS_ON_DARK.values(), *VERDICT_COLOURS_ON_DARK.values(), NEUTRAL}
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]


@pytest.fixture(params=sorted(RENDERED))
def page(request):
    return json.loads((FOLDER / request.param).read_text())


def test_what_is_committed_is_what_the_code_writes():
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == RENDERED, "run `make dashboards`"


def test_nothing_is_unknown_to_grafanas_own_models(page):
    for mark in page["annotations"]["list"]:
        # known to the data source only, not to the published schema
        mark.pop("titleFormat", None)
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(page)))
    # a key that the models do not know would be gone, one that was misspelt too
    assert again == page


def test_panels_do_not_overlap_and_fill_their_rows(page):
    taken = set()
    rows = {}
    for panel in page["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
        rows[at["y"]] = rows.get(at["y"], 0) + at["w"]
    assert set(rows.values()) == {WIDTH}
    identifiers = [panel["id"] for panel in page["panels"]]
    assert len(identifiers) == len(set(identifiers))


def test_the_first_screen_answers():
    page = json.loads(RENDERED["comparison.json"])
    first = [
        panel["title"] for panel in page["panels"] if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= 17
    ]
    assert first == [
        *("Verdict", "Split", "Latency p50", "Latency p95", "Latency p99"),
        *("Errors", "Accuracy", "Throughput", "Goodput", "CPU throttled"),
        *("Latency", "Gates", "Control"),
    ]


def test_every_panel_says_what_it_shows_in_which_unit(page):
    for panel in page["panels"]:
        if panel["type"] == "row":
            continue
        assert len(panel["description"]) > 3, panel["title"]
        heat = panel["type"] == "heatmap"
        unit = panel["options"]["yAxis"]["unit"] if heat else panel["fieldConfig"]["defaults"]["unit"]
        assert unit in {"s", "percentunit", "reqps", "short", "bytes"}


def test_versions_have_one_colour_and_stable_comes_first(page):
    for panel in page["panels"]:
        legends = [target.get("legendFormat", "") for target in panel.get("targets", [])]
        roles = [legend.split()[0] for legend in legends if legend.split()[:1] in (["stable"], ["candidate"])]
        assert "stable" not in roles or roles[0] == "stable", panel["title"]
        colours = {
            override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
            for override in panel.get("fieldConfig", {}).get("overrides", [])
            if override["properties"][0]["id"] == "color"
        }
        for role in set(roles):
            assert colours[f"/^{role}/"] == VERSION_COLOURS_ON_DARK[role]
        assert set(colours.values()) <= {
            *VERSION_COLOURS_ON_DARK.values(),
            *VERDICT_COLOURS_ON_DARK.values(),
            NEUTRAL,
        }


def test_links_lead_to_the_other_pages_to_locust_and_to_the_report(page):
    urls = [link["url"] for link in page["links"]]
    others = [name for name in PAGES if f"loadproof-{name}" != page["uid"]]
    assert urls[: len(others)] == [f"/d/loadproof-{name}?${{run:queryparam}}" for name in others]
    assert urls[len(others) :] == ["${pages:raw}/", "${pages:raw}/runs/${run:raw}/report.html"]
    variables = {variable["name"] for variable in page["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(page))) <= variables


def test_provisioning_finds_the_dashboards_and_the_data_source(page):
    (source,) = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/loadproof.yaml").read_text())[
        "providers"
    ]
    own = {"type": "grafana", "uid": "-- Grafana --"}
    asked = [
        part["datasource"]
        for part in page["panels"] + page["annotations"]["list"]
        if part.get("datasource", own) != own
    ]
    assert {(part["type"], part["uid"]) for part in asked} == {(source["type"], source["uid"])}
    mounts = dict(
        volume.removesuffix(":ro").split(":") for volume in COMPOSE["volumes"] if "grafana/" in volume
    )
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert COMPOSE["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(
        provider["options"]["path"]
    )
    assert all(volume.endswith(":ro") for volume in COMPOSE["volumes"] if "grafana/" in volume)
    # provisioned things are changed in the code, not on the page
    assert (source["editable"], provider["allowUiUpdates"], page["editable"]) == (False, False, False)


def test_grafana_has_no_default_password():
    assert COMPOSE["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_ADMIN_PASSWORD:-}"
    assert "/dev/urandom" in "".join(COMPOSE["entrypoint"])
    assert (COMPOSE["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"], COMPOSE["ports"]) == (
        "Viewer",
        ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"],
    )
