"""A bill of materials for an image, in CycloneDX: ``python sbom.py SITE_PACKAGES NAME > sbom.cdx.json``.

For the build stage: from the metadata that pip left beside each package, by Python's own library alone. It
says nothing of when it was made, so that two builds are alike.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def bill(packages: str, name: str) -> dict[str, Any]:
    """The document: every package that is installed in a folder ``packages``, for the image ``name``."""
    found = {one["purl"]: one for one in map(_component, distributions(path=[packages]))}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "image", "name": f"loadproof/{name}"}},
        "components": [found[purl] for purl in sorted(found)],
    }


def _component(package: Distribution) -> dict[str, Any]:
    metadata, version = package.metadata, package.version
    # one spelling for all: PEP 503
    name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
    purl = f"pkg:pypi/{name}@{version}"
    component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    licences = _licences(package)
    return component | {"licenses": licences} if licences else component


def _licences(package: Distribution) -> list[dict[str, Any]]:
    """As the package declares them: by an expression, else in words, else by classifiers."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    said = [metadata["License"]] if "License" in metadata else []
    # some have the whole text there, or UNKNOWN
    names = [name for name in said if len(name.splitlines()) == 1 and name != "UNKNOWN"] or [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier") or []
        if classifier.startswith("License :: OSI Approved :: ")
    ]
    return [{"license": {"name": name}} for name in names]


if __name__ == "__main__":
    json.dump(bill(sys.argv[1], sys.argv[2]), sys.stdout, indent=1)
