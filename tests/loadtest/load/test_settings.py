from pathlib import Path

import pytest

from loadtest.load.settings import Settings


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, Settings()),
        # an empty line in a file of variables is none
        ({"LOADPROOF_EXPERIMENT": "", "LOADPROOF_DATA": "", "LOADPROOF_PAGES": ""}, Settings()),
        # the one prefix, and no other
        ({"EXPERIMENT": "digits", "DATA": "e.csv", "TARGET": "http://x"}, Settings()),
        (
            {
                "LOADPROOF_EXPERIMENT": "mine.toml",
                "LOADPROOF_DATA": "e.csv",
                "LOADPROOF_RESULTS": "/there",
                "LOADPROOF_TARGET": "http://gateway:8080",
                "LOADPROOF_TARGETS": "/routes/targets.json",
                "LOADPROOF_PAGES": "http://127.0.0.1:8089",
                "LOADPROOF_PAGE_HOSTS": "lab.example, ml.example,",
                "LOADPROOF_BACKEND": "compose",
                "LOADPROOF_STABLE": "v1",
                "LOADPROOF_CANDIDATE": "v2-skewed",
            },
            Settings(
                experiment="mine.toml",
                data=Path("e.csv"),
                results=Path("/there"),
                target="http://gateway:8080",
                targets=Path("/routes/targets.json"),
                pages="http://127.0.0.1:8089",
                page_hosts=("lab.example", "ml.example"),
                backend="compose",
                stable="v1",
                candidate="v2-skewed",
            ),
        ),
    ],
)
def test_what_the_environment_says(environ, settings):
    assert Settings.read(environ) == settings
