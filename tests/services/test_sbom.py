"""The bill of materials that an image carries: valid CycloneDX of what is installed, and labelled."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion

from services.sbom import bill

ROOT = Path(__file__).parents[2]
BUILDS = {
    "loadtest": "loadtest/Dockerfile",
    "notebook": "notebooks/Dockerfile",
    "trainer": "services/trainer/Dockerfile",
    "model-server": "services/model_server/Dockerfile",
}

MIT = "Classifier: License :: OSI Approved :: MIT License\n"


def installed(folder, name, version, more=""):
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}")


@pytest.fixture(scope="module")
def validator():
    """Of CycloneDX; imported here, as its grammars take a second of each process that collects this file."""
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6)


def test_every_installed_package_is_in_it_once_under_its_one_name(tmp_path, validator):
    installed(tmp_path, "Flask_Thing", "3.1", "License-Expression: BSD-3-Clause\n")
    installed(tmp_path, "numpy", "2.4.0", MIT)
    made = bill(str(tmp_path), "trainer")
    assert validator.validate_str(json.dumps(made)) is None
    assert [one["purl"] for one in made["components"]] == ["pkg:pypi/flask-thing@3.1", "pkg:pypi/numpy@2.4.0"]
    assert made["components"][0]["licenses"] == [{"expression": "BSD-3-Clause"}]


@pytest.mark.parametrize(
    ("declared", "licences"),
    [
        ("", None),
        # the new field before the old ones
        (f"License-Expression: MIT\nLicense: mit\n{MIT}", [{"expression": "MIT"}]),
        (f"License: Apache 2.0\n{MIT}", [{"license": {"name": "Apache 2.0"}}]),
        # no name, but a text, or nothing
        (f"License: Copyright (c) 2025\n        All rights\n{MIT}", [{"license": {"name": "MIT License"}}]),
        (f"License: UNKNOWN\n{MIT}", [{"license": {"name": "MIT License"}}]),
        ("Classifier: License :: OSI Approved\n", None),
        (
            f"{MIT}Classifier: License :: OSI Approved :: BSD License\n",
            [{"license": {"name": "MIT License"}}, {"license": {"name": "BSD License"}}],
        ),
    ],
)
def test_licences_are_those_that_the_package_declares(tmp_path, validator, declared, licences):
    installed(tmp_path, "numpy", "2.4.0", declared)
    made = bill(str(tmp_path), "trainer")
    assert validator.validate_str(json.dumps(made)) is None
    assert made["components"][0].get("licenses") == licences


@pytest.mark.parametrize(("name", "path"), BUILDS.items())
def test_an_image_carries_it_and_says_where(name, path):
    text = (ROOT / path).read_text()
    made = f"python /tmp/sbom.py /opt/venv/lib/python3.13/site-packages {name} > /opt/venv/sbom.cdx.json"
    # before anything is taken out of the packages
    assert text.index(made) < text.index("sh /tmp/slim.sh")
    assert 'dev.loadproof.sbom="/opt/venv/sbom.cdx.json"' in text


def test_the_layer_of_a_versions_own_packages_does_not_claim_the_servers():
    assert (
        'LABEL dev.loadproof.sbom=""' in (ROOT / "services/model_server/own_runtime.Dockerfile").read_text()
    )
