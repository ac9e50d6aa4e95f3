"""How a worker finds its master; that it works is in tests/integration/test_workers.py."""

import pytest

from loadtest.cli.worker import address, command
from loadtest.errors import UsageError


@pytest.mark.parametrize(
    ("master", "found"),
    [
        ("lab", ("lab", 5557)),
        ("lab:6000", ("lab", 6000)),
        ("10.0.0.5:6000", ("10.0.0.5", 6000)),
        ("[::1]", ("::1", 5557)),
        ("[::1]:6000", ("::1", 6000)),
    ],
)
def test_addresses(master, found):
    assert address(master) == found


@pytest.mark.parametrize("master", ["", ":5557", "lab:", "lab:0", "lab:65536", "lab:x", "http://lab:5557"])
def test_what_is_no_address(master):
    with pytest.raises(UsageError, match="not the address of a master"):
        address(master)


def test_several_processes_are_locusts_own():
    assert "--processes" not in command("lab", 5557, 1)
    assert command("lab", 5557, 4)[-6:] == [
        "--master-host",
        "lab",
        "--master-port",
        "5557",
        "--processes",
        "4",
    ]
