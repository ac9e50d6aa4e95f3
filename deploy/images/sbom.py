"""A bill of materials of each image, in CycloneDX: what is in the image itself, not what a list asked for.

Python packages are what cyclonedx-py (of cyclonedx-bom) finds in the metadata that pip left in the image,
with their licences and who depends on whom. The packages of Debian or Ubuntu come from dpkg's own list, and
the base image is a component too: the interpreter and Envoy are no packages.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.images.bases import last_base
from deploy.images.build import Image
from deploy.images.push import stamp_of
from loadtest.errors import LabError
from loadtest.lab.compose.docker_cli import Docker

_LOOK = r"""
cat /var/lib/dpkg/status; printf '\035'; cat /etc/os-release; printf '\035'
for file in /opt/venv/lib/python3*/site-packages/*.dist-info/METADATA; do
  [ -e "$file" ] || continue
  folder=${file%/METADATA}
  printf '\036%s\n' "${folder##*/}/METADATA"; cat "$file"
done
"""
_LOOK_SECONDS = 120.0


def write_sbom(docker: Docker, image: Image, folder: Path) -> Path:
    """Write ``<folder>/<name>.cdx.json``; its path.

    Args:
        docker: the client.
        image: which; a shell looks around in it.
        folder: made where it is missing.

    Raises:
        LabError: the image cannot be looked into, or cyclonedx-py fails.
        UsageError: it is not here.
    """
    stamp = stamp_of(docker, image)
    shell = ("run", "--rm", "--network", "none", "--entrypoint", "sh", image.local, "-c")
    status, release, metadata = docker.run(*shell, _LOOK, timeout=_LOOK_SECONDS).split("\x1d")
    with tempfile.TemporaryDirectory(prefix="loadproof-sbom-") as work:
        bill = _python_packages(Path(work), metadata)
    bill["components"] += _system_packages(status, release)
    bill["components"].append(_base(image.dockerfile))
    bill["components"].sort(key=lambda component: str(component["bom-ref"]))
    bill["metadata"]["component"] = {
        "type": "container",
        "bom-ref": "image",
        "name": f"loadproof/{image.name}",
        "version": stamp.version,
        "properties": [{"name": "org.opencontainers.image.revision", "value": stamp.revision}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{image.name}.cdx.json"
    path.write_text(json.dumps(bill, indent=2) + "\n")
    return path


def _python_packages(work: Path, metadata: str) -> dict[str, Any]:
    """What cyclonedx-py finds in an environment that has the image's metadata and nothing else."""
    venv.create(work / "venv", with_pip=False)
    (site,) = (work / "venv" / "lib").glob("python*/site-packages")
    for record in metadata.split("\x1e")[1:]:
        name, _, text = record.partition("\n")
        (site / name).parent.mkdir()
        (site / name).write_text(text)
    return _run(work, "environment", str(work / "venv" / "bin" / "python"))


def _run(work: Path, *arguments: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("cyclonedx-py")), *arguments, "--output-reproducible"]
    command += ["--spec-version", "1.6", "--output-format", "JSON", "--output-file", str(work / "bill.json")]
    # it takes longer than all else, and for a part only; the tests validate whole bills
    command += ["--no-validate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"cyclonedx-py: {done.stderr.strip().rpartition(chr(10))[2]}")
    bill: dict[str, Any] = json.loads((work / "bill.json").read_text())
    bill.setdefault("components", [])
    return bill


def _system_packages(status: str, release: str) -> Iterator[dict[str, Any]]:
    """The packages that dpkg says are installed, as components with package URLs."""
    system = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', release, re.M))
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.M))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        url = (
            f"pkg:deb/{system['ID']}/{quote(name, safe='')}@{quote(version, safe='')}"
            f"?arch={fields['Architecture']}&distro={system['ID']}-{system['VERSION_ID']}"
        )
        yield {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def _base(dockerfile: Path) -> dict[str, Any]:
    """The image that the last stage starts from."""
    name, _, tag = last_base(dockerfile).rpartition(":")
    return {"type": "container", "bom-ref": "base", "name": name, "version": tag}
