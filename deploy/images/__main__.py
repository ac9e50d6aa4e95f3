"""Images on their way out; see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.images.bases import pin
from deploy.images.build import bake, build, own_images
from deploy.images.ecr import open_ecr, push_to_ecr
from deploy.images.push import check_registry, push
from deploy.images.stamp import read_stamp
from loadtest.errors import ExitCode, LoadproofError, UsageError
from loadtest.lab.compose.docker_cli import Docker


def main() -> int:
    """Do what the command line says; the exit code is that of the error, if there is one."""
    parser = argparse.ArgumentParser(prog="python -m deploy.images", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("build", "push", "push-ecr", "sbom", "pin"):
        verbs.add_parser(verb).add_argument(
            "--only", default="", help="names of images, by spaces; empty: all"
        )
    for verb in ("build", "push"):
        verbs.choices[verb].add_argument("--platforms", default="", help="linux/amd64,linux/arm64")
    verbs.choices["push"].add_argument("--registry", default="", help="host[:port]/path")
    verbs.choices["push-ecr"].add_argument("--region", default="", help="eu-central-1")
    verbs.choices["push-ecr"].add_argument(
        "--prefix", default="loadproof", help="begins every repository's name"
    )
    verbs.choices["sbom"].add_argument("--out", type=Path, default=Path("sbom"))
    try:
        _run(parser.parse_args())
    except LoadproofError as error:
        for line in getattr(error, "log", ()):
            print(f"  {line}", file=sys.stderr)
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return 0


def _run(asked: argparse.Namespace) -> None:
    docker, stamp = Docker(), read_stamp()
    if asked.verb == "push":
        registry = check_registry(asked.registry)
    if asked.verb == "push-ecr" and not asked.region:
        raise UsageError("push-ecr needs a region: AWS_REGION=eu-central-1")
    # refused before anything is built
    version = stamp.tags[0] if asked.verb.startswith("push") else stamp.version
    docker.versions()
    images = own_images(docker, asked.only.split())
    platforms = [name for name in getattr(asked, "platforms", "").split(",") if name]
    if asked.verb == "sbom":
        # cyclonedx-bom is among what development needs; the other verbs do without
        from deploy.images.sbom import write_sbom

        for image in images:
            print(write_sbom(docker, image, asked.out))
    elif asked.verb == "pin":
        print("\n".join(pin(docker, [image.dockerfile for image in images])))
    elif asked.verb == "build":
        bake(docker, images, stamp, platforms) if platforms else build(docker, images, stamp)
    elif asked.verb == "push":
        if platforms:
            bake(docker, images, stamp, platforms, registry)
        else:
            build(docker, images, stamp)
            push(docker, images, registry, print)
        _say_how_to_use(registry, version)
    else:
        client = open_ecr(asked.region)
        build(docker, images, stamp)
        _say_how_to_use(push_to_ecr(docker, client, images, asked.prefix, print), version)


def _say_how_to_use(registry: str, tag: str) -> None:
    print(f"run them: LOADPROOF_IMAGES={registry} LOADPROOF_TAG={tag} make loadtest BACKEND=compose")


if __name__ == "__main__":
    sys.exit(main())
