"""The folder of a lab that is kept running."""

import pytest

from loadtest.errors import LabError, UsageError
from loadtest.lab.compose.project import Container
from loadtest.lab.gateway.signature import sign
from loadtest.lab.registry import claim, published


def test_a_folder_has_one_lab_at_a_time(tmp_path):
    with (
        claim(tmp_path / "lab"),
        pytest.raises(LabError, match="a lab runs there already"),
        claim(tmp_path / "lab"),
    ):
        pass


def test_what_is_no_folder_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match=r"cannot be the folder of a lab .*; name another --lab"),
        claim(tmp_path / "file"),
    ):
        pass


def of_compose(**services):
    return {
        name: Container(name, name, "image", {}, 0, {}, dict.fromkeys(inside, 8000 + n) | {9902: 9902})
        for n, (name, inside) in enumerate(services.items())
    }


@pytest.mark.parametrize(
    ("more", "also"),
    [
        # what `make up` starts has no control, and `canary status` and `auto` refused it
        ({}, set()),
        ({"prometheus": [9090]}, {"prometheus"}),
        ({"prometheus": [9090], "control": [8000]}, {"prometheus", "control"}),
    ],
)
def test_a_lab_of_compose_may_be_without_a_control_or_prometheus(more, also):
    urls = published("mine", of_compose(gateway=[8080], stable=[8000], candidate=[8000], **more))
    assert set(urls) == {"gateway", "stats", "stable", "candidate", *also}
    assert urls["gateway"] == "http://127.0.0.1:8000"


def test_a_lab_of_compose_is_not_without_a_version():
    with pytest.raises(LabError, match="project mine lacks 'candidate'; run docker compose up -d"):
        published("mine", of_compose(gateway=[8080], stable=[8000]))


def test_a_reason_of_several_lines_is_one_in_the_history():
    assert sign("two\nlines ").why == "two lines"
