"""The gateway's program and its configuration."""

import re

import pytest

from loadtest.lab.local.envoy import GATEWAY_FOLDER, find_envoy, render


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


def test_envoy_is_found():
    assert find_envoy().name == "envoy"
