"""deploy/kubernetes: valid by Kubernetes' own schemas, whole in itself, and the same lab as compose.yaml."""

import re
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((BASE / "kustomization.yaml").read_text())
OBJECTS = [
    thing
    for name in KUSTOMIZATION["resources"]
    if name.endswith(".yaml")
    for thing in yaml.safe_load_all((BASE / name).read_text())
]
# what is applied to a lab that runs
COMPARE = yaml.safe_load((BASE / "compare" / "kustomization.yaml").read_text())
OBJECTS += [yaml.safe_load((BASE / "compare" / name).read_text()) for name in COMPARE["resources"]]
VERSIONS = ("1.30", "1.37")
README = (BASE / "README.md").read_text()


def of_kind(*kinds):
    return {thing["metadata"]["name"]: thing for thing in OBJECTS if thing["kind"] in kinds}


WORKLOADS = of_kind("Deployment", "Job")
PODS = {name: thing["spec"]["template"]["spec"] for name, thing in WORKLOADS.items()}
LABELS = {name: thing["spec"]["template"]["metadata"]["labels"] for name, thing in WORKLOADS.items()}
CONTAINERS = [
    pytest.param(name, container, id=f"{name}-{container['name']}")
    for name, pod in PODS.items()
    for container in pod["containers"]
]
POLICIES = of_kind("NetworkPolicy")


def compose():
    """compose.yaml with its variables filled in from .env."""
    values = dict(re.findall(r"^([A-Z_]+)=(.+)$", (ROOT / ".env").read_text(), re.M))

    def fill(text):
        while found := re.search(r"\$\{([A-Z_]+)(?::-([^${}]*))?\}", text):
            text = text.replace(found[0], values.get(found[1], found[2] or ""))
        return text.replace("$$", "$")

    def walk(thing):
        if isinstance(thing, dict):
            return {key: walk(value) for key, value in thing.items()}
        if isinstance(thing, list):
            return [walk(value) for value in thing]
        return fill(thing) if isinstance(thing, str) else thing

    return walk(yaml.safe_load((ROOT / "compose.yaml").read_text()))["services"]


COMPOSE = compose()


def matching(selector):
    return [name for name, labels in LABELS.items() if selector.items() <= labels.items()]


def ports(name):
    return {
        port["name"]: port["containerPort"] for c in PODS[name]["containers"] for port in c.get("ports", ())
    }


def one(name):
    """The container that is the service of this name."""
    return next(c for pod in PODS.values() for c in pod["containers"] if c["name"] == name)


@pytest.fixture(scope="module")
def schemas():
    """Kubernetes' own schemas; a second to import, which each process that collects this file would take."""
    import kubernetes_validate

    return kubernetes_validate


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("thing", OBJECTS, ids=lambda t: f"{t['kind']}-{t['metadata']['name']}")
def test_the_schema_of_kubernetes_is_met(schemas, thing, version):
    schemas.validate(thing, version, strict=True)


def test_a_wrong_manifest_would_be_refused(schemas):
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 1}}
    with pytest.raises(schemas.ValidationError):
        schemas.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("component", [None, "images-with-models"])
def test_kustomize_renders_it(schemas, component, tmp_path):
    command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    if not shutil.which(command[0]):
        pytest.skip("neither kustomize nor kubectl is here")
    folder = BASE
    if component:
        shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
        shutil.copytree(ROOT / "prometheus", tmp_path / "prometheus")
        (tmp_path / "mine").mkdir()
        folder = tmp_path / "mine"
        # as the README has it
        (overlay,) = (b for b in re.findall(r"```yaml\n(.*?)```", README, re.S) if component in b)
        (folder / "kustomization.yaml").write_text(textwrap.dedent(f"  {overlay.strip()}"))
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    for thing in rendered:
        schemas.validate(thing, VERSIONS[1], strict=True)
    pods = {
        t["metadata"]["name"]: t["spec"]["template"]["spec"] for t in rendered if t["kind"] == "Deployment"
    }
    (config,) = [t["metadata"]["name"] for t in rendered if t["kind"] == "ConfigMap"]
    assert config in [v.get("configMap", {}).get("name") for v in pods["prometheus"]["volumes"]]
    stable = pods["stable"]["containers"][0]
    if component:
        assert stable["image"] == "registry.example/mine:1"
        assert "models" not in str(pods["stable"])
    else:
        assert stable["image"] == COMPOSE["stable"]["image"]


def test_every_file_is_listed():
    assert {n for n in KUSTOMIZATION["resources"] if n.endswith(".yaml")} == {
        path.name for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml"
    }


def test_services_lead_to_the_ports_of_one_workload():
    for name, service in of_kind("Service").items():
        (workload,) = matching(service["spec"]["selector"])
        assert workload == name
        for port in service["spec"]["ports"]:
            assert ports(workload)[port["targetPort"]] == port["port"]


def test_disruption_budgets_hold_every_deployment():
    held = [matching(b["spec"]["selector"]["matchLabels"]) for b in of_kind("PodDisruptionBudget").values()]
    assert sorted(name for names in held for name in names) == sorted(of_kind("Deployment"))


def test_selectors_are_those_of_their_own_pods():
    for name, thing in of_kind("Deployment").items():
        assert matching(thing["spec"]["selector"]["matchLabels"]) == [name]


def test_volumes_and_mounts_fit():
    claims = of_kind("PersistentVolumeClaim")
    for name, pod in PODS.items():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounted = {m["name"] for c in pod["containers"] for m in c["volumeMounts"]}
        assert mounted == set(volumes), name
        own = {
            v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v
        }
        assert own <= set(claims)
        # volumes of one node hold together whoever mounts them
        beside = LABELS[name].get("loadproof/volumes") == "lab"
        assert beside == bool(own) == ("podAffinity" in pod["affinity"])


def allowed(direction):
    """(from, to, port) that the policies allow; None: anybody."""
    found = set()
    for policy in POLICIES.values():
        for rule in policy["spec"].get(direction, ()):
            peers = [
                p["podSelector"]["matchLabels"]["app"]
                for p in rule.get("from" if direction == "ingress" else "to", ())
            ]
            for port in rule["ports"]:
                for peer in peers or [None]:
                    here = policy["spec"]["podSelector"].get("matchLabels", {}).get("app")
                    found.add(
                        (peer, here, port["port"]) if direction == "ingress" else (here, peer, port["port"])
                    )
    return found


def test_the_network_policies_begin_with_nothing_and_fit_each_other():
    assert POLICIES["nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    into, out = allowed("ingress"), allowed("egress") - {(None, None, 53)}
    # what one side may send the other takes in, and nothing is open that nobody uses
    assert all(edge in into or (None, *edge[1:]) in into for edge in out)
    assert all(edge in out for edge in into if edge[0])
    assert {edge for edge in into if not edge[0]} == {(None, "gateway", 8080)}
    for _, to, port in into | out:
        assert port in ports(to).values()
    # the pods that Locust's master takes orders from
    assert {source for source, to, port in into if (to, port) == ("locust-master", 5557)} == {"locust-worker"}


def test_whom_prometheus_scrapes_it_may_reach():
    config = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    targets = {
        t for job in config["scrape_configs"] for s in job.get("static_configs", ()) for t in s["targets"]
    }
    edges = {("prometheus", *t.split(":")) for t in targets if not t.startswith("localhost")}
    assert {(a, b, int(p)) for a, b, p in edges} <= allowed("egress")


@pytest.mark.parametrize(("workload", "container"), CONTAINERS)
class TestContainers:
    def test_is_locked_down(self, workload, container):
        pod = PODS[workload]
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_asks_for_what_it_needs_and_has_a_limit(self, workload, container):
        resources = container["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert "memory" in resources["limits"]
        if workload in ("stable", "candidate"):
            assert resources["requests"] == resources["limits"]

    def test_is_probed(self, workload, container):
        if workload not in ("trainer", "compare") and container["name"] != "canary":
            assert {"startupProbe", "readinessProbe"} <= container.keys()

    def test_is_what_compose_has(self, workload, container):
        service = COMPOSE[container["name"]]
        context = PODS[workload]["securityContext"]
        user, _, group = service.get("user", "10001:10001").partition(":")
        # Prometheus shares a volume with the gateway, whose group it takes
        assert str(context["runAsUser"]) == user
        assert str(context["runAsGroup"]) == ("101" if workload == "prometheus" else group)
        memory = container["resources"]["limits"]["memory"]
        assert memory.lower().removesuffix("i") == service["mem_limit"]
        if "cpus" in service:
            assert container["resources"]["limits"]["cpu"] == f"{float(service['cpus']) * 1000:.0f}m"
        if container["name"] != "canary":
            inside = {int(port.split(":")[-1]) for port in service.get("ports", ())}
            assert inside <= {port["containerPort"] for port in container.get("ports", ())}
            environment = {e["name"]: e["value"] for e in container.get("env", ())}
            assert environment == {k: v for k, v in service.get("environment", {}).items() if v}
            command = service.get("entrypoint", []) + service.get("command", [])
            assert shlex.join(container.get("command", []) + container.get("args", [])) == shlex.join(command)
        else:
            wanted = service["environment"]["LOADPROOF_ROUTES"]
            assert container["env"] == [{"name": "LOADPROOF_ROUTES", "value": wanted}]
        images = {i["name"]: f"{i.get('newName', i['name'])}:{i['newTag']}" for i in KUSTOMIZATION["images"]}
        assert images[container["image"]] == service["image"]


def test_a_worker_has_joined_by_the_same_sign_as_on_compose():
    asked = ["CMD", *one("locust-worker")["readinessProbe"]["exec"]["command"]]
    assert asked == COMPOSE["locust-worker"]["healthcheck"]["test"]


def test_a_verdict_is_not_tried_again():
    job = WORKLOADS["compare"]
    assert (job["kind"], job["spec"]["backoffLimit"], PODS["compare"]["restartPolicy"]) == ("Job", 0, "Never")
    assert COMPARE["images"] == [i for i in KUSTOMIZATION["images"] if i["name"] == "loadproof/loadtest"]
    assert COMPARE["namespace"] == KUSTOMIZATION["namespace"]


def test_prometheus_gets_every_file_of_its_folder():
    (generator,) = yaml.safe_load((ROOT / "prometheus" / "kustomization.yaml").read_text())[
        "configMapGenerator"
    ]
    folder = ROOT / "prometheus"
    there = [folder / "prometheus.yml", *sorted((folder / "rules").glob("*.yml"))]
    assert generator["files"] == [str(path.relative_to(folder)) for path in there]
    (config,) = [v["configMap"] for v in PODS["prometheus"]["volumes"] if "configMap" in v]
    assert config["name"] == generator["name"]
    assert {item["path"]: item["key"] for item in config["items"]} == {
        file: Path(file).name for file in generator["files"]
    }
