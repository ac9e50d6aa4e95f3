"""From what ``docker compose config`` prints to what ``docker stack deploy`` takes. Pure.

What a swarm does in its own way is said in its own words (limits, restarts, ports), what it has no word for
is left out (``build``, ``depends_on``, ``security_opt``), and all else stays as it is in compose.yaml.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

LAB_NODE = "node.labels.loadproof == lab"
"""Where everything runs that has a volume or a file of the checkout; workers run anywhere."""

ANYWHERE = "locust-worker"
COMPARE = "compare"
"""Its exit code is a verdict, after which nothing is to be tried again."""

_HAS_NO_WORD = ("build", "depends_on", "memswap_limit", "profiles", "security_opt")
_BRIEFLY = "2s"


class StackError(Exception):
    """compose.yaml says something that this does not know how to say to a swarm."""


def to_stack(
    compose: dict[str, Any], *, workers: int, publish: Collection[str], without: Collection[str] = ()
) -> dict[str, Any]:
    """The stack file, as an object.

    Args:
        compose: the project, with every variable filled in.
        workers: how many of ``locust-worker``.
        publish: services whose ports are published, on every address of their node: a swarm knows no better.
        without: services to leave out.

    Raises:
        StackError: a name is no service's, or a service cannot be translated.
    """
    for name in (*publish, *without):
        if name not in compose["services"]:
            raise StackError(f"no service {name!r}; there are {', '.join(compose['services'])}")
    services = {
        name: _service(name, dict(service), workers=workers, published=name in publish)
        for name, service in compose["services"].items()
        if name not in without
    }
    used = {
        mount["source"]
        for service in services.values()
        for mount in service.get("volumes", ())
        if mount["type"] == "volume"
    }
    return {
        "version": "3.13",
        "services": services,
        # Compose's own names begin with the project's, and a stack puts its name before them
        "volumes": {name: {} for name in compose.get("volumes", {}) if name in used},
        # attachable: `loadproof canary` joins it for the time of one command
        "networks": {"default": {"driver": "overlay", "attachable": True}},
    }


def _service(name: str, service: dict[str, Any], *, workers: int, published: bool) -> dict[str, Any]:
    for key in _HAS_NO_WORD:
        service.pop(key, None)
    once = service.pop("restart", "unless-stopped") == "no"
    deploy: dict[str, Any] = {
        # a swarm's virtual addresses need IPVS in the kernel, and would balance what must stay apart
        "endpoint_mode": "dnsrr",
        "resources": {"limits": _limits(service)},
        # nothing waits for another: what cannot start yet is started again
        "restart_policy": {"condition": "on-failure" if once else "any", "delay": _BRIEFLY},
    }
    if once:
        deploy["mode"] = "replicated-job"
        if name == COMPARE:
            deploy["restart_policy"] = {"condition": "none"}
        del deploy["endpoint_mode"]
    if name == ANYWHERE:
        deploy["replicas"] = workers
        # the evaluation set comes from the master
        service.pop("volumes", None)
    else:
        deploy["placement"] = {"constraints": [LAB_NODE]}
    ports = service.pop("ports", ())
    if published:
        service["ports"] = [_port(port) for port in ports]
    mounts = [_mount(mount) for mount in service.pop("volumes", ())]
    mounts += [_tmpfs(text) for text in service.pop("tmpfs", ())]
    return {key: value for key, value in service.items() if value is not None} | {
        "volumes": mounts,
        "networks": {"default": None},
        "deploy": deploy,
    }


def _limits(service: dict[str, Any]) -> dict[str, Any]:
    cpus, memory, pids = (service.pop(key, None) for key in ("cpus", "mem_limit", "pids_limit"))
    limits = {"cpus": str(cpus) if cpus else None, "memory": str(memory) if memory else None, "pids": pids}
    return {key: value for key, value in limits.items() if value}


def _port(port: dict[str, Any]) -> dict[str, Any]:
    return {
        "target": port["target"],
        "published": int(port["published"]),
        "protocol": port["protocol"],
        "mode": "host",
    }


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {
        key: mount[key] for key in ("type", "source", "target", "read_only") if key in mount
    }
    if kept["type"] not in ("volume", "bind"):
        raise StackError(f"a mount of type {kept['type']!r} at {kept['target']}")
    return kept


def _tmpfs(text: str) -> dict[str, Any]:
    """``/tmp:size=64m,mode=1777``, the mode being a swarm's own default."""
    target, _, options = text.partition(":")
    settings = dict(option.split("=", 1) for option in options.split(","))
    if settings.keys() - {"size", "mode"} or settings.get("mode") != "1777":
        raise StackError(f"tmpfs {text!r}")
    size = settings["size"]
    return {"type": "tmpfs", "target": target, "tmpfs": {"size": int(size[:-1]) * {"m": 2**20}[size[-1]]}}
