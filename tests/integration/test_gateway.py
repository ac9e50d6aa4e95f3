"""The gateway before two stand-ins for the versions: a real Envoy with the configuration that ships."""

import itertools
import json
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from scipy.stats import binom

from contract.arms import BODY_CLASS, BODY_CLASSES
from loadtest.fetch import get
from loadtest.lab.gateway.routes import Routes
from loadtest.lab.local.envoy import find_envoy
from tests.gateway_doubles import write_routes
from tests.integration.gateway_process import many, running_gateway
from tests.waiting import HUNG, eventually

pytestmark = pytest.mark.integration
SURE = 1 - 1e-9
"""Of an interval for what the gateway draws at random: chance fails one run in a thousand million."""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running):
    running.split(10)
    return running


@pytest.fixture
def fresh(tmp_path):
    """One of its own, for tests that break it."""
    with running_gateway(tmp_path) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "routes",
    [
        Routes(0),
        Routes(10, swapped=True),
        Routes(100),
        Routes(0, shadow=True),
        Routes(0, control=True),
        Routes(10, fallback=True),
    ],
    ids=str,
)
def test_envoy_accepts_the_configuration(running, routes, tmp_path):
    write_routes(tmp_path, routes)
    config = tmp_path / "envoy.yaml"
    config.write_text(running.config.read_text().replace(str(running.routes), str(tmp_path)))
    done = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", config, "-l", "warning"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def test_ten_percent_within_the_binomial_interval(gateway):
    answered = many(gateway, 5000)
    print("candidate, of 5000:", answered["candidate"])
    low, high = binom.interval(SURE, 5000, 0.10)
    assert sum(answered.values()) == 5000
    assert low <= answered["candidate"] <= high


@pytest.mark.parametrize("split", [0, 10, 100])
@pytest.mark.parametrize("version", ["stable", "candidate"])
def test_a_pinned_request_always_goes_where_it_is_pinned(gateway, version, split):
    gateway.split(split)
    # a user who sticks to one version can pin the other
    assert many(gateway, 300, x_model_version=version, x_user_id="ann") == {version: 300}


def test_users_stick_and_a_larger_split_moves_nobody_back(gateway):
    users = [f"user-{i}" for i in range(200)]

    def versions():
        return {user: gateway.get("/v2/echo", x_user_id=user).headers["x-model-version"] for user in users}

    at_10 = versions()
    assert versions() == at_10
    gateway.split(50)
    at_50 = versions()
    assert all(at_50[user] == "candidate" for user in users if at_10[user] == "candidate")
    low, high = binom.interval(SURE, 200, 0.50)
    assert low <= list(at_50.values()).count("candidate") <= high
    gateway.split(10)
    assert versions() == at_10


@pytest.mark.parametrize(
    ("path", "headers", "status", "error"),
    [
        # a typing error in a pin must not be measured as unpinned traffic
        ("/v2/echo", {"x_model_version": "canary"}, 400, "x-model-version must be 'stable' or 'candidate'"),
        ("/v2/echo", {"x_model_version": "Stable"}, 400, "x-model-version must be 'stable' or 'candidate'"),
        ("/v2/echo", {"x_model_version": ""}, 400, "x-model-version must be 'stable' or 'candidate'"),
        # only /v2 goes to the versions
        ("/", {}, 404, "only paths below /v2"),
        ("/metrics", {}, 404, "only paths below /v2"),
        ("/v2x/echo", {}, 404, "only paths below /v2"),
        ("/v2/../metrics", {}, 404, "only paths below /v2"),
    ],
)
def test_errors_of_the_gateway_are_json(gateway, path, headers, status, error):
    answer = gateway.get(path, **headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert error in json.loads(answer.body)["error"]
    assert answer.headers["x-request-id"]


def test_a_version_learns_when_the_request_came(gateway):
    began = time.time()
    answer = gateway.get("/v2/echo", x_request_start="t=1")
    told = json.loads(answer.body)["headers"]["x-request-start"]
    assert told.startswith("t=")
    # between sending and having the answer, in whole milliseconds
    assert began - 0.01 < float(told[2:]) < time.time() + 0.01


def test_a_request_id_is_kept_or_made_and_reaches_version_client_and_log(fresh):
    kept = fresh.get("/v2/echo", x_request_id="mine-17")
    made = fresh.get("/v2/echo")
    assert kept.headers["x-request-id"] == "mine-17"
    ids = [kept.headers["x-request-id"], made.headers["x-request-id"]]
    assert len(ids[1]) == 36
    assert [json.loads(a.body)["headers"]["x-request-id"] for a in (kept, made)] == ids
    # the log is written in batches, and the rest at the end
    fresh.supervisor.stop(fresh.services.pop("gateway"))
    log = [json.loads(line) for line in (fresh.folder / "gateway.out").read_text().splitlines()]
    logged = {row["request_id"]: row for row in log if row["path"] == "/v2/echo"}
    assert list(logged) == ids
    assert logged["mine-17"]["version"] == kept.headers["x-model-version"]
    assert logged["mine-17"]["status"] == 200


def test_a_time_out_is_a_504_that_names_the_version(fresh):
    fresh.split(10, timeout=0.3)
    answer = fresh.get("/v2/stall", x_model_version="candidate")
    assert (answer.status, answer.headers["x-model-version"]) == (504, "candidate")
    assert "timeout" in json.loads(answer.body)["error"]
    # nobody has released the candidate: it still waits, and was told for how long the gateway would
    (told,) = fresh.ask("candidate", "/stalled")["stalled"]
    assert told["x-envoy-expected-rq-timeout-ms"] == "300"


def test_a_caller_cannot_change_time_outs_or_retries(gateway):
    answer = gateway.get("/v2/echo", x_envoy_upstream_rq_timeout_ms="1", x_envoy_retry_on="5xx")
    seen = json.loads(answer.body)["headers"]
    assert seen["x-envoy-expected-rq-timeout-ms"] == "10000"
    assert "x-envoy-retry-on" not in seen


def test_a_request_that_reached_a_version_is_never_sent_again(gateway):
    before = gateway.requests("candidate")
    answer = gateway.get("/v2/reset", x_model_version="candidate")
    assert (answer.status, answer.headers["x-model-version"]) == (503, "candidate")
    assert gateway.requests("candidate") == before + 1


@pytest.mark.parametrize(
    ("path", "status"),
    [("/stats/prometheus", 200), ("/ready", 200), ("/", 404), ("/config_dump", 404), ("/quitquitquit", 404)],
)
def test_the_stats_listener_only_reads(gateway, path, status):
    assert get(gateway.stats + path, HUNG).status == status


def test_users_are_protected_from_a_failing_candidate_and_measurements_are_not(fresh):
    fresh.split(100)
    fresh.ask("candidate", "/failing?yes")
    unpinned = [fresh.get("/v2/echo") for _ in range(30)]
    # stable answers instead, and is named as who answered
    assert {(a.status, a.headers["x-model-version"]) for a in unpinned} == {(200, "stable")}
    # five in a row eject the candidate, which is then not asked first any more for ten seconds
    assert 5 <= fresh.counter("upstream_rq_retry", "canary") < 30
    assert fresh.counter("outlier_detection_ejections_enforced_total", "canary") >= 1
    # which is what blames it
    assert fresh.counter("upstream_rq_retry_success", "canary") == fresh.counter(
        "upstream_rq_retry", "canary"
    )
    # a pinned measurement goes on to measure the version, failing as it is
    pinned = [fresh.get("/v2/echo", x_model_version="candidate") for _ in range(20)]
    assert {(a.status, a.headers["x-model-version"]) for a in pinned} == {(500, "candidate")}


def test_what_no_version_can_answer_is_not_counted_as_answered_by_stable(fresh):
    fresh.split(100)
    for version in ("stable", "candidate"):
        fresh.ask(version, "/failing?yes")
    assert fresh.get("/v2/echo").status == 500
    # it cost each version one request, and its server counts it once
    assert [fresh.requests(version) for version in ("stable", "candidate")] == [1, 1]
    assert {fresh.get("/v2/echo").status for _ in range(7)} == {500}
    assert fresh.counter("upstream_rq_retry", "canary") >= 5
    assert fresh.counter("upstream_rq_retry_success", "canary") == 0


def test_what_stable_fails_at_once_it_answers_at_the_second_try_and_what_it_always_fails_at_never(fresh):
    fresh.split(10)
    fresh.ask("stable", "/failing?once")
    assert fresh.get("/v2/echo", x_user_id="ann").status == 200
    eventually(lambda: fresh.counter("upstream_rq_retry_success", "repeated") == 1)
    fresh.ask("stable", "/failing?yes")
    assert fresh.get("/v2/echo", x_user_id="ann").status == 500
    # nor does the candidate, which stands behind nobody
    assert fresh.requests("candidate") == 0
    assert fresh.counter("upstream_rq_retry_success", "repeated") == 1
    # a pinned request measures stable
    fresh.ask("stable", "/failing?once")
    assert fresh.get("/v2/echo", x_model_version="stable").status == 500


def test_what_the_candidate_alone_refuses_is_answered_by_stable_and_counted(fresh):
    fresh.split(100)
    fresh.ask("candidate", "/knows?no")
    # the double's 404 for such a path; the gateway takes it for no feedback
    assert fresh.get("/v2/feedback").headers["x-model-version"] == "stable"
    eventually(lambda: fresh.counter("upstream_rq_retry_success", "canary") == 1)
    # what both refuse is a client's mistake
    fresh.ask("stable", "/knows?no")
    assert fresh.get("/v2/feedback").status == 404
    eventually(lambda: fresh.counter("unpinned_upstream_rq_xx", "canary", envoy_response_code_class="4") == 1)
    assert fresh.counter("upstream_rq_retry_success", "canary") == 1


def test_a_candidate_that_answers_nothing_costs_its_users_their_patience_and_no_answer(fresh):
    fresh.split(100, patience=0.5)
    process = fresh.services["candidate"].process
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = fresh.get("/v2/echo")
        # the candidate was given its time, and still stands still
        assert time.monotonic() - began > 0.45
        assert (answer.status, answer.headers["x-model-version"]) == (200, "stable")
        assert fresh.counter("upstream_rq_retry_success", "canary") == 1
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_request_that_the_candidate_breaks_off_is_answered_by_stable(fresh):
    fresh.split(100)
    # stable would break it off too: the retry is what counts here
    assert fresh.get("/v2/reset").status == 503
    assert fresh.requests("stable") > 0


def test_after_a_promotion_the_roles_are_swapped_and_users_are_protected_the_other_way_round(fresh):
    fresh.split(0, swapped=True)
    assert many(fresh, 50) == {"stable": 50}
    assert fresh.requests("candidate") == 50
    assert many(fresh, 20, x_model_version="candidate") == {"candidate": 20}
    assert fresh.requests("stable") == 20
    fresh.split(100, swapped=True)
    fresh.kill("stable")
    assert many(fresh, 20) == {"stable": 20}


def test_the_candidate_answers_for_a_stable_that_is_down_where_its_owner_wants_that(fresh):
    fresh.split(10, fallback=True)
    assert fresh.get("/v2/echo", x_user_id="ann").headers["x-model-version"] == "stable"
    # what stable fails at is answered; a stranger who makes it fail sends nobody else to the candidate
    fresh.ask("stable", "/failing?yes")
    assert many(fresh, 50, x_user_id="ann") == {"candidate": 50}
    assert fresh.counter("upstream_rq_retry_success", "fallback") == 50
    fresh.kill("stable")
    assert many(fresh, 50, x_user_id="ann") == {"candidate": 50}
    assert "stable" in json.loads(fresh.get("/v2/echo", x_user_id="ann").body)["headers"]["x-canary-arm"]
    # a pinned request measures stable, which is dead
    assert fresh.get("/v2/echo", x_model_version="stable").status == 503
    # where both were down, whoever is back is asked
    fresh.kill("candidate")
    assert {fresh.get("/v2/echo", x_user_id="ann").status for _ in range(12)} == {503}
    fresh.start("stable")
    eventually(lambda: fresh.get("/v2/echo", x_user_id="ann").status == 200)


def test_a_stranger_whose_requests_wait_moves_nobody_else_to_the_candidate(fresh):
    """Envoy takes each of them for a fault of stable's connection."""
    fresh.split(10, fallback=True, patience=0.2)
    with ThreadPoolExecutor(12) as stranger:
        waiting = [stranger.submit(fresh.get, "/v2/stall", x_user_id="ann") for _ in range(12)]
        eventually(lambda: len(fresh.ask("candidate", "/stalled")["stalled"]) == len(waiting))
        fresh.split(10, fallback=True)
        assert many(fresh, 50, x_user_id="ann") == {"stable": 50}
        for version in ("stable", "candidate"):
            fresh.ask(version, "/release")
        assert {answer.result().status for answer in waiting} == {200}


def test_a_dead_version_is_retried_on_connection_failure_only_and_then_a_503(fresh):
    fresh.kill("candidate")
    answer = fresh.get("/v2/echo", x_model_version="candidate")
    assert (answer.status, answer.headers["x-model-version"]) == (503, "candidate")
    assert json.loads(answer.body)["error"].startswith("gateway: ")
    assert fresh.counter("upstream_rq_retry", "candidate") == 2
    # and it is back as soon as it answers again
    fresh.start("candidate")
    assert fresh.get("/v2/echo", x_model_version="candidate").status == 200


def test_a_split_survives_the_death_of_the_gateway(fresh):
    fresh.split(37)
    fresh.kill("gateway")
    fresh.start("gateway")
    assert json.loads(fresh.get("/split").body) == Routes(37).state()


def test_unpinned_requests_are_counted_on_their_own_with_fine_latencies(fresh):
    fresh.split(50)
    for user in range(40):
        fresh.get("/v2/echo", x_user_id=str(user))
    for version in ("stable", "candidate"):
        fresh.get("/v2/echo", x_model_version=version)
    # a body is counted by its size, also one in chunks, whose size nobody tells
    for body in (b"x" * 1000, iter([b"x" * 20_000] * 2)):
        connection = HTTPConnection("127.0.0.1", fresh.ports["listen"], timeout=HUNG)
        connection.request("POST", "/v2/echo", body)
        assert connection.getresponse().status == 200
        connection.close()
    arms = "repeated", "canary"
    unpinned = [fresh.counter("unpinned_upstream_rq_completed", arm) for arm in arms]
    assert sum(unpinned) == 42
    assert min(unpinned) > 5
    eventually(
        lambda: "unpinned_upstream_rq_time_bucket" in get(f"{fresh.stats}/stats/prometheus", HUNG).body
    )
    # 40 users are of all eight groups, but for once in 20; one of them is enough for its edges
    text = get(
        f"{fresh.stats}/stats/prometheus?filter=repeated.unpinned.[0-9].[0-9].upstream_rq_time", HUNG
    ).body
    groups = sorted(set(re.findall(r'user_group="(\d)"', text)))
    assert len(groups) > 3
    own = [line for line in text.splitlines() if f'user_group="{groups[0]}"' in line]
    edges = [int(edge) for edge in re.findall(r'le="(\d+)"', "\n".join(own))]
    assert edges[-1] == 10_000
    assert all(b / a < 1.15 for a, b in itertools.pairwise(edges) if a >= 7)
    of_class = [
        sum(fresh.counter("unpinned_upstream_rq_completed", arm, **{BODY_CLASS: str(number)}) for arm in arms)
        for number in range(BODY_CLASSES)
    ]
    assert of_class == [40, 0, 1, 0, 0, 0, 1]
    # what the versions get to see of it is nothing
    assert "alt-stat" not in fresh.get("/v2/echo").body.lower()


def test_a_routes_file_that_makes_no_sense_changes_nothing(fresh):
    fresh.split(20)
    partial = fresh.routes / ".broken"
    partial.write_text('{"resources": [{"@type": "type.googleapis.com/envoy.config.route.v3.Rou')
    partial.replace(fresh.routes / "routes.json")
    eventually(lambda: "routes.json" in "\n".join(fresh.services["gateway"].tail()))
    assert json.loads(fresh.get("/split").body)["candidate_percent"] == 20
