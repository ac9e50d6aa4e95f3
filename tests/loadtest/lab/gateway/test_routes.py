import json
import re
from datetime import UTC, datetime

import pytest

from loadtest.canary.state import Deployment, Note, State
from loadtest.experiment.role import ROLES
from loadtest.lab.gateway.route_change import scrape_targets
from loadtest.lab.gateway.routes import Routes
from loadtest.lab.local.envoy import GATEWAY_FOLDER
from tests.gateway_doubles import NoGateway

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NOTE = Note("ann", "because", AT)
STATE = State.begin(Deployment("stable", "v1"), Deployment("candidate", "v2"), NOTE, 10)
PROMOTED = STATE.promote(NOTE)
ADDRESSES = {"stable": "s:1", "candidate": "c:2"}


def routes_of(document):
    (config,) = document["resources"]
    return config["virtual_hosts"][0]["routes"]


def unpinned(document):
    return next(r["route"] for r in routes_of(document) if "weighted_clusters" in r.get("route", {}))


@pytest.mark.parametrize(
    ("percent", "canary"),
    [
        (0, 0),
        (10, 1000),
        # the finest step
        (0.01, 1),
        (33.33, 3333),
        (100, 10_000),
    ],
)
def test_a_split_is_a_weight_out_of_ten_thousand_per_group_of_users(percent, canary):
    clusters = unpinned(Routes(percent).document())["weighted_clusters"]["clusters"]
    stables = "repeated" if percent else "stable"
    # each arm once per group of its users, the candidate's first: who has it keeps it when the split grows
    arms = [("canary", canary)] * 8 + [(stables, 10_000 - canary)] * 8
    assert [(c["name"], c["weight"]) for c in clusters] == arms
    counted = [re.findall(r"unpinned\.\d", str(c)) for c in clusters]
    assert counted == [[f"unpinned.{group}"] for group in range(8)] * 2


@pytest.mark.parametrize(
    ("percent", "shadow", "message"),
    [
        (-1, False, "not between 0 and 100"),
        (100.1, False, "not between 0 and 100"),
        (float("nan"), False, "not between 0 and 100"),
        # whose answers would users get?
        (10, True, "the split must be 0"),
    ],
)
def test_routes_that_make_no_sense_are_refused(percent, shadow, message):
    with pytest.raises(ValueError, match=message):
        Routes(percent, shadow)


def test_a_control_is_reached_by_its_pin_alone():
    def pinned(document):
        routes = [r for r in routes_of(document) if r.get("route", {}).get("cluster") == "control"]
        return [r["match"]["headers"][0]["string_match"]["exact"] for r in routes]

    assert pinned(Routes.of(STATE, control=True).document()) == ["control"]
    # elsewhere it is a version that nobody knows
    assert pinned(Routes.of(STATE).document()) == []
    assert unpinned(Routes.of(STATE, control=True).document()) == unpinned(Routes.of(STATE).document())


def test_a_shadow_mirrors_all_unpinned_traffic_and_pinned_traffic_never():
    document = Routes(0, shadow=True).document()
    (policy,) = unpinned(document)["request_mirror_policies"]
    assert policy["cluster"] == "shadow"
    # both versions can tell which of the two they have, and keep no others
    (copy,) = policy["request_headers_mutations"]
    assert copy["append"]["header"] == {"key": "x-shadow", "value": "copy"}
    marked = [r["request_headers_to_add"] for r in routes_of(document) if "request_headers_to_add" in r]
    # with a user and without one; the step makes it evidence, which a pinned request never is
    headers = [{mark["header"]["key"]: mark["header"]["value"] for mark in marks} for marks in marked]
    assert headers == [{"x-canary-step": "0", "x-shadow": "original"}] * 2
    assert "x-shadow" not in str(Routes(0).document())
    mirrored = [r for r in routes_of(document) if "request_mirror_policies" in r.get("route", {})]
    assert len(mirrored) == 2
    assert "request_mirror_policies" not in unpinned(Routes(0).document())


def test_no_request_that_may_have_been_processed_is_retried():
    for route in routes_of(Routes().document()):
        # feedback is tried at the other version, by its cluster, where it is not known
        if "route" in route and "safe_regex" not in route["match"]:
            retry_on = route["route"]["retry_policy"]["retry_on"].split(",")
            assert set(retry_on) == {"connect-failure", "refused-stream", "reset-before-request"}


def pins(document):
    return {
        route["match"]["headers"][0]["string_match"]["exact"]: route["route"]["cluster"]
        for route in routes_of(document)
        if "string_match" in route["match"].get("headers", [{}])[0]
        and "safe_regex" not in route["match"]
        and "weighted_clusters" not in route["route"]
    }


def feedback_to(document):
    """The clusters of feedback that is pinned to stable, to the candidate, and to nobody."""
    return [r["route"]["cluster"] for r in routes_of(document) if "safe_regex" in r["match"]]


def answers_name(document):
    (header,) = document["resources"][0]["response_headers_to_add"]
    return header["header"]["value"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (STATE, Routes(10, serial=1)),
        (STATE.set(25, NOTE), Routes(25, serial=2)),
        (STATE.set(25, NOTE, fallback=True), Routes(25, serial=2, fallback=True)),
        (STATE.shadow(NOTE), Routes(0, shadow=True, serial=2)),
        (STATE.rollback(NOTE), Routes(0, serial=2)),
        (PROMOTED, Routes(0, swapped=True, serial=2)),
        (PROMOTED.set(5, NOTE), Routes(5, swapped=True, serial=3)),
        (PROMOTED.rollback(NOTE), Routes(0, serial=3)),
    ],
)
def test_routes_derive_from_the_state(state, expected):
    assert Routes.of(state) == expected


def test_who_carries_whose_share_follows_the_roles():
    assert Routes.of(STATE).clusters == {"stable": ("repeated", "fallback"), "candidate": ("canary",)}
    swapped = {"stable": ("repeated-swapped", "fallback-swapped"), "candidate": ("canary-swapped",)}
    assert Routes.of(PROMOTED).clusters == swapped


def test_a_promotion_swaps_pins_shares_shadows_and_the_names_in_the_answers():
    before, after = Routes.of(STATE).document(), Routes.of(PROMOTED.set(5, NOTE)).document()
    assert pins(before) == {"stable": "stable", "candidate": "candidate"}
    assert pins(after) == {"stable": "candidate", "candidate": "stable"}
    names = [[c["name"] for c in unpinned(d)["weighted_clusters"]["clusters"]] for d in (before, after)]
    assert [names[0][::8], names[1][::8]] == [["canary", "repeated"], ["canary-swapped", "repeated-swapped"]]
    assert answers_name(before) == "%UPSTREAM_METADATA(loadproof:deployed)%"
    assert answers_name(after) == "%UPSTREAM_METADATA(loadproof:swapped)%"
    shadow = unpinned(Routes.of(PROMOTED.shadow(NOTE)).document())["request_mirror_policies"][0]
    assert shadow["cluster"] == "shadow-swapped"
    assert [feedback_to(d) for d in (before, after)] == [
        # the last one: whoever names a version in the path
        ["feedback-stable", "feedback-candidate", "feedback-stable", "feedback-stable"],
        ["feedback-candidate", "feedback-stable", "feedback-candidate", "feedback-candidate"],
    ]


def test_a_second_try_is_for_the_candidates_share_alone():
    routes = [route["route"] for route in routes_of(Routes(10).document()) if "route" in route]
    shares = unpinned(Routes(10).document())["weighted_clusters"]["clusters"]
    assert ["per-try-timeout" in str(share) for share in shares] == [True] * 8 + [False] * 8
    assert not any("typed_per_filter_config" in route or "hedge_policy" in route for route in routes)


@pytest.mark.parametrize(("swapped", "name"), [(False, "fallback"), (True, "fallback-swapped")])
def test_with_a_fallback_stables_share_has_a_second_try_too_and_pinned_requests_have_none(swapped, name):
    document = Routes(10, swapped=swapped, fallback=True).document()
    shares = unpinned(document)["weighted_clusters"]["clusters"]
    assert shares[8]["name"] == name
    assert shares[8]["typed_per_filter_config"] == shares[0]["typed_per_filter_config"]
    assert pins(document) == pins(Routes(10, swapped=swapped).document())


def test_a_candidate_without_users_is_no_fallback():
    with pytest.raises(ValueError, match="no users of its own"):
        Routes(0, fallback=True)


@pytest.mark.parametrize(("options", "milliseconds"), [({}, "1000"), ({"patience": 0.25}, "250")])
def test_the_candidate_has_a_second_to_answer_its_users(options, milliseconds):
    share = unpinned(Routes(10, **options).document())["weighted_clusters"]["clusters"][0]
    assert f"'key': 'x-envoy-upstream-rq-per-try-timeout-ms', 'value': '{milliseconds}'" in str(share)


def test_the_scraped_role_is_the_role_that_is_played_now():
    def roles(state):
        return {t["labels"]["role"]: t["targets"] for t in json.loads(scrape_targets(state, ADDRESSES))}

    assert roles(STATE) == {"stable": ["s:1"], "candidate": ["c:2"]}
    assert roles(PROMOTED) == {"stable": ["c:2"], "candidate": ["s:1"]}


def test_the_first_state_of_a_volume_is_what_the_code_makes():
    versions = Deployment("stable", "${STABLE_VERSION}"), Deployment("candidate", "${CANDIDATE_VERSION}")
    state = State.begin(*versions, Note("gateway", "a new volume", AT), 10)
    expected = {
        name: text.replace("2026-03-04T05:06:07.000+00:00", "${NOW}")
        for name, text in NoGateway({role: f"{role}:8000" for role in ROLES}).files(state).items()
    }
    assert set(expected) == {"state.json", "routes.json", "targets.json"}
    assert {name: (GATEWAY_FOLDER / name).read_text() for name in expected} == expected
