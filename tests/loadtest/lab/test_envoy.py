import json
import re
import threading

import pytest

from loadtest.errors import LabError
from loadtest.lab.envoy import GATEWAY_FOLDER, Routes, confirm_routes, find_envoy, render, write_routes


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
def test_a_split_is_a_weight_out_of_ten_thousand(percent, canary):
    clusters = unpinned(Routes(percent).document())["weighted_clusters"]["clusters"]
    assert clusters == [{"name": "canary", "weight": canary}, {"name": "stable", "weight": 10_000 - canary}]


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


def test_a_shadow_mirrors_all_unpinned_traffic_and_pinned_traffic_never():
    document = Routes(0, shadow=True).document()
    assert unpinned(document)["request_mirror_policies"][0]["cluster"] == "candidate"
    mirrored = [r for r in routes_of(document) if "request_mirror_policies" in r.get("route", {})]
    assert len(mirrored) == 1
    assert "request_mirror_policies" not in unpinned(Routes(0).document())


def test_no_request_that_may_have_been_processed_is_retried():
    for route in routes_of(Routes().document()):
        if "route" in route:
            retry_on = route["route"]["retry_policy"]["retry_on"].split(",")
            assert set(retry_on) == {"connect-failure", "refused-stream", "reset-before-request"}


def test_the_default_routes_of_the_image_are_those_of_the_code(tmp_path):
    assert (GATEWAY_FOLDER / "routes.json").read_text() == write_routes(tmp_path, Routes()).read_text()


def test_the_entrypoint_fills_every_placeholder_of_the_template():
    wanted = set(re.findall(r"\$\{([A-Z_]+)\}", (GATEWAY_FOLDER / "envoy.yaml").read_text()))
    filled = set(re.findall(r"s\|\\\$\{([A-Z_]+)\}\|\$\1\|g", (GATEWAY_FOLDER / "entrypoint.sh").read_text()))
    assert filled == wanted


def test_render_fills_every_placeholder_and_misses_none():
    assert (
        render("${LISTEN_ADDRESS}:${LISTEN_PORT}", {"LISTEN_ADDRESS": "::1", "LISTEN_PORT": 80}) == "::1:80"
    )
    with pytest.raises(KeyError, match="LISTEN_PORT"):
        render("${LISTEN_PORT}", {})


def test_a_reader_never_sees_half_a_routes_file(tmp_path):
    write_routes(tmp_path, Routes(0))
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            document = json.loads((tmp_path / "routes.json").read_text())
            seen.add(unpinned(document)["weighted_clusters"]["clusters"][0]["weight"])

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(300):
        write_routes(tmp_path, Routes(step % 101))
    done.set()
    reader.join()
    assert seen <= {percent * 100 for percent in range(101)}
    assert [path.name for path in tmp_path.iterdir()] == ["routes.json"]


def test_a_gateway_that_does_not_answer_is_named():
    with pytest.raises(
        LabError, match=r"did not take over a split of 10% within 0\.05 s; it answers nothing"
    ):
        confirm_routes("http://127.0.0.1:9", Routes(10), within=0.05)


def test_envoy_is_found():
    assert find_envoy().name == "envoy"
