import json
import re
import threading

import pytest

from loadtest.errors import LabError
from loadtest.lab.envoy import GATEWAY_FOLDER, confirm_routes, find_envoy, render, write_routes
from loadtest.lab.routes import Routes


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
            (config,) = document["resources"]
            split = config["virtual_hosts"][0]["routes"][-3]["route"]["weighted_clusters"]
            seen.add(split["clusters"][0]["weight"])

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
