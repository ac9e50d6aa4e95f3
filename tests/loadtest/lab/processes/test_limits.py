from pathlib import Path

from loadtest.lab.processes.limits import LARGE_PAGES

DOCKERFILE = Path(__file__).parents[4] / "services" / "model_server" / "Dockerfile"


def test_local_versions_get_the_memory_of_their_image():
    lines = DOCKERFILE.read_text()
    for name, value in LARGE_PAGES.items():
        assert f" {name}={value} " in lines
