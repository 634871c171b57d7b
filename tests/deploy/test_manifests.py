"""The Kubernetes manifests: valid, complete, restricted, and in step with the image and the routing file.

Kustomize is not needed: the overlays only list complete manifests, which a test below holds them to, so what is read
here is what `kubectl apply -k` applies.
"""

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

MANIFESTS = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
OVERLAYS = ("sidecar", "standalone")
# The oldest Kubernetes that the comments promise (preStop sleep), and the newest whose schemas we have.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
# The gateway's own default for how long requests in flight may take after SIGTERM.
DRAIN_SECONDS = 30
# What the sidecar overlay leaves to the backend, which stops before the gateway gets its SIGTERM.
BACKEND_STOP_SECONDS = 30
# https://kubernetes.io/docs/concepts/security/pod-security-standards/ , "Restricted", volume types.
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}

Manifest = dict[str, Any]


def _read(folder: Path) -> list[Manifest]:
    """Return the objects that a kustomization stands for: its resources, folders followed, in order."""
    objects: list[Manifest] = []
    for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        path = (folder / name).resolve()
        objects += _read(path) if path.is_dir() else yaml.safe_load_all(path.read_text())
    return objects


def _selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Tell whether the selector names at least one label and every label it names is there."""
    return bool(selector) and selector.items() <= labels.items()


def _ports(rules: list[Manifest]) -> set[int]:
    """Return every port that the rules of a network policy open."""
    return {port["port"] for rule in rules for port in rule["ports"]}


class Overlay:
    """The objects of one overlay, by kind."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects = _read(MANIFESTS / "overlays" / name)
        self.deployment = self.only("Deployment")
        self.template: Manifest = self.deployment["spec"]["template"]
        self.pod: Manifest = self.template["spec"]
        self.labels: dict[str, str] = self.template["metadata"]["labels"]
        self.containers: list[Manifest] = [*self.pod.get("initContainers", []), *self.pod["containers"]]
        self.gateway: Manifest = next(each for each in self.containers if each["name"] == "gateway")

    def all(self, kind: str) -> list[Manifest]:
        """Return all objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def only(self, kind: str) -> Manifest:
        """Return the one object of a kind."""
        (found,) = self.all(kind)
        return found

    def setting(self, name: str) -> str:
        """Return the value that the gateway's container gets for a variable from a ConfigMap."""
        (entry,) = (each for each in self.gateway["env"] if each["name"] == name)
        reference = entry["valueFrom"]["configMapKeyRef"]
        (source,) = (each for each in self.all("ConfigMap") if each["metadata"]["name"] == reference["name"])
        return str(source["data"][reference["key"]])

    def mount(self, volume: str) -> Manifest:
        """Return where the gateway's container mounts a volume."""
        (found,) = (each for each in self.gateway["volumeMounts"] if each["name"] == volume)
        return dict(found)


@pytest.fixture(scope="module", params=OVERLAYS, name="overlay")
def _overlay(request: pytest.FixtureRequest) -> Overlay:
    """Return each overlay in turn."""
    return Overlay(request.param)


@pytest.fixture(scope="module", name="sidecar")
def _sidecar() -> Overlay:
    """Return the sidecar overlay."""
    return Overlay("sidecar")


@pytest.fixture(scope="module", name="standalone")
def _standalone() -> Overlay:
    """Return the standalone overlay."""
    return Overlay("standalone")


@pytest.mark.parametrize("folder", ["base", "overlays/sidecar", "overlays/standalone"])
def test_a_kustomization_lists_complete_manifests_and_leaves_none_out(folder: str) -> None:
    """A kustomization only lists resources, each exists, and no file beside it is unlisted."""
    place = MANIFESTS / folder
    document = yaml.safe_load((place / "kustomization.yaml").read_text())
    assert set(document) == {"apiVersion", "kind", "resources"}
    files = {path.name for path in place.iterdir() if path.name != "kustomization.yaml"}
    assert {name for name in document["resources"] if not name.startswith("../")} == files
    assert all((place / name / "kustomization.yaml").is_file() for name in set(document["resources"]) - files)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schema(overlay: Overlay, version: str) -> None:
    """Each object is valid in the strict schemas (unknown fields refused), oldest promised and newest known version."""
    for each in overlay.objects:
        # The package quietly takes an older schema when it lacks the one asked for; its answer is the one it used.
        assert version.startswith(kubernetes_validate.validate(each, version, strict=True))


def test_the_schema_check_refuses_what_it_should(overlay: Overlay) -> None:
    """A misspelt field is found, so a silent pass of the validator would be noticed."""
    broken = overlay.deployment | {"spec": overlay.deployment["spec"] | {"replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_no_object_is_there_twice(overlay: Overlay) -> None:
    """Kind and name are unique, and nothing is bound to one namespace."""
    names = [(each["kind"], each["metadata"]["name"]) for each in overlay.objects]
    assert len(names) == len(set(names))
    assert not [each for each in overlay.objects if "namespace" in each["metadata"]]


def test_no_secret_lies_in_the_repository(overlay: Overlay) -> None:
    """Secrets are referred to, never part of the manifests."""
    assert overlay.all("Secret") == []


def test_the_environment_is_what_the_routing_file_reads(overlay: Overlay, root: Path) -> None:
    """The gateway gets every variable that config/moltin.yaml reads and no other, none by service links or envFrom."""
    document = yaml.safe_load((root / "config/moltin.yaml").read_text())
    # Dumped again without comments: a comment may mention a variable that nothing reads.
    read = set(re.findall(r"\$\{env:([A-Za-z0-9_]+)", yaml.safe_dump(document, width=100_000)))
    names = [each["name"] for each in overlay.gateway["env"]]
    assert sorted(names) == sorted(read)
    assert "envFrom" not in overlay.gateway
    assert overlay.pod["enableServiceLinks"] is False


def test_every_setting_comes_from_a_config_map_key_that_exists_and_is_used(overlay: Overlay) -> None:
    """No value stands in the Deployment; each ConfigMap key is read exactly once, and each one read is there."""
    sources = [each["valueFrom"] for each in overlay.gateway["env"]]
    assert not [each for each in overlay.gateway["env"] if "value" in each]
    used = sorted(
        (reference["name"], reference["key"])
        for reference in (source["configMapKeyRef"] for source in sources if "configMapKeyRef" in source)
    )
    there = sorted((each["metadata"]["name"], key) for each in overlay.all("ConfigMap") for key in each["data"])
    assert used == there


def test_every_credential_comes_from_a_secret_that_the_readme_creates(overlay: Overlay, root: Path) -> None:
    """Client ids and secrets are Secret references, and the README shows how to make each Secret and key."""
    readme = (root / "deploy/README.md").read_text()
    references = {
        each["name"]: each["valueFrom"]["secretKeyRef"]
        for each in overlay.gateway["env"]
        if "secretKeyRef" in each["valueFrom"]
    }
    assert {each["name"] for each in overlay.gateway["env"] if "CLIENT" in each["name"]} == set(references)
    for reference in references.values():
        assert f"kubectl create secret generic {reference['name']}" in readme
        assert f"{reference['key']}=" in readme
    (key,) = (each["secret"] for each in overlay.pod["volumes"] if "secret" in each)
    assert f"kubectl create secret generic {key['secretName']}" in readme
    assert f"--from-file={key['items'][0]['key']}" in readme


def test_probes_ask_the_admin_port(overlay: Overlay, admin_port: int) -> None:
    """Start and life are asked at /live, so that a slow upstream never restarts the gateway; traffic at /ready."""
    probes = {name: overlay.gateway[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {admin_port}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/live",
        "livenessProbe": "/live",
        "readinessProbe": "/ready",
    }


def test_the_container_runs_the_command_of_the_image(overlay: Overlay, public_port: int, admin_port: int) -> None:
    """Neither command nor arguments are repeated in the manifest, and its ports are those the image listens on."""
    assert not {"command", "args", "workingDir"} & set(overlay.gateway)
    ports = {each["name"]: each["containerPort"] for each in overlay.gateway["ports"]}
    assert ports == {"http": public_port, "admin": admin_port}
    assert not [each for each in overlay.gateway["ports"] if "hostPort" in each]


def test_a_pod_has_time_to_drain(overlay: Overlay) -> None:
    """The grace period is longer than the preStop sleep and everything that has to end after it, one after another."""
    sleeps = [each["lifecycle"]["preStop"]["sleep"]["seconds"] for each in overlay.containers]
    stops = DRAIN_SECONDS + BACKEND_STOP_SECONDS * (len(overlay.containers) - 1)
    assert overlay.pod["terminationGracePeriodSeconds"] > max(sleeps) + stops
    assert min(sleeps) > 0


def test_every_container_is_restricted(overlay: Overlay) -> None:
    """Pod Security Standard "restricted" holds for every container, and every root filesystem is read-only."""
    for container in overlay.containers:
        assert (
            container["securityContext"].items()
            >= {
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }.items()
        )
        assert "privileged" not in container["securityContext"]
    assert overlay.pod["securityContext"]["runAsNonRoot"] is True
    assert overlay.pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(overlay.pod)
    assert {kind for each in overlay.pod["volumes"] for kind in each if kind != "name"} <= RESTRICTED_VOLUMES


def test_the_pod_runs_as_the_user_of_the_image(overlay: Overlay, image: dict[str, str]) -> None:
    """User and group are the image's, and the volumes are given to that group."""
    user, group = (int(number) for number in image["USER"].split(":"))
    assert overlay.gateway["securityContext"]["runAsUser"] == user
    assert overlay.gateway["securityContext"]["runAsGroup"] == group
    assert overlay.pod["securityContext"]["fsGroup"] == group


def test_only_the_store_is_writable(overlay: Overlay, image_environment: dict[str, str]) -> None:
    """The store's volume is the one writable mount, with the store's file and SQLite's temporaries right in it."""
    writable = [each["mountPath"] for each in overlay.gateway["volumeMounts"] if not each.get("readOnly")]
    store = urlsplit(overlay.setting("GATEWAY_STORE_URL"))
    assert store.scheme == "sqlite"
    # Four slashes: the path begins after the third.
    assert writable == [str(PurePosixPath(store.path[1:]).parent)] == [image_environment["SQLITE_TMPDIR"]]


def test_the_signing_key_is_readable_by_the_gateway_alone(overlay: Overlay) -> None:
    """The key file is mounted read-only for owner and fsGroup, at the path that the gateway is told."""
    (volume,) = (each for each in overlay.pod["volumes"] if "secret" in each)
    mount = overlay.mount(volume["name"])
    (item,) = volume["secret"]["items"]
    assert volume["secret"]["defaultMode"] == 0o400
    assert mount["readOnly"] is True
    assert overlay.setting("GATEWAY_SIGNING_KEY_FILE") == f"{mount['mountPath']}/{item['path']}"
    others = [each for each in overlay.containers if each is not overlay.gateway]
    assert not [each for each in others if each.get("volumeMounts") or each.get("env") or each.get("envFrom")]


def test_no_token_of_the_cluster_is_mounted(overlay: Overlay) -> None:
    """Neither the service account nor the pod asks for an API token."""
    account = overlay.only("ServiceAccount")
    assert overlay.pod["serviceAccountName"] == account["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False
    assert overlay.pod["automountServiceAccountToken"] is False


def test_images_are_pinned(overlay: Overlay, root: Path) -> None:
    """Every image has a version tag that is not `latest`, and the gateway's is the version in pyproject.toml."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    for container in overlay.containers:
        assert re.fullmatch(r"[a-z0-9.-]+/[a-z0-9/-]+:\d+\.\d+\.\d+", container["image"])
    assert overlay.gateway["image"].endswith(f":{version}")


def test_every_container_says_what_it_needs(overlay: Overlay) -> None:
    """CPU and memory are requested (the autoscaler counts with the former), and memory is limited."""
    for container in overlay.containers:
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_the_deployment_selects_its_own_pods(overlay: Overlay) -> None:
    """The Deployment's selector fits the labels of its template."""
    assert _selects(overlay.deployment["spec"]["selector"]["matchLabels"], overlay.labels)


def test_the_service_leads_to_the_public_port_only(overlay: Overlay, public_port: int) -> None:
    """The Service selects the pods and opens the gateway's public port, neither the admin port nor the backend's."""
    service = overlay.only("Service")["spec"]
    assert _selects(service["selector"], overlay.labels)
    assert [each["targetPort"] for each in service["ports"]] == [public_port]
    assert service["type"] == "ClusterIP"


def test_the_network_policy_lets_in_what_it_names(overlay: Overlay, public_port: int, admin_port: int) -> None:
    """The policy selects the pods; the public port is open, the admin port only to a named namespace, nothing else."""
    policy = overlay.only("NetworkPolicy")["spec"]
    assert _selects(policy["podSelector"]["matchLabels"], overlay.labels)
    assert "Ingress" in policy["policyTypes"]
    assert _ports(policy["ingress"]) == {public_port, admin_port}
    for rule in policy["ingress"]:
        if admin_port in _ports([rule]):
            assert _ports([rule]) == {admin_port}
            assert all(peer["namespaceSelector"]["matchLabels"] for peer in rule["from"])


def test_standalone_may_reach_dns_and_public_tls_only(standalone: Overlay) -> None:
    """The pod reaches the cluster's resolver and port 443 of addresses that are neither private nor link-local."""
    policy = standalone.only("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    dns, upstream = policy["egress"]
    assert _ports([dns]) == {53}
    assert all(peer["podSelector"] and peer["namespaceSelector"] for peer in dns["to"])
    assert _ports([upstream]) == {443}
    closed = {network for peer in upstream["to"] for network in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"} <= closed
    assert urlsplit(standalone.setting("UPSTREAM_URL")).scheme == "https"


def test_the_autoscaler_owns_the_number_of_replicas(standalone: Overlay) -> None:
    """The autoscaler targets the Deployment, which names no number itself; two replicas at least."""
    scaler = standalone.only("HorizontalPodAutoscaler")["spec"]
    target = {key: standalone.deployment[key] for key in ("apiVersion", "kind")}
    assert scaler["scaleTargetRef"] == target | {"name": standalone.deployment["metadata"]["name"]}
    assert "replicas" not in standalone.deployment["spec"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


def test_the_disruption_budget_keeps_one_pod_and_lets_one_go(standalone: Overlay) -> None:
    """The budget selects the pods and keeps fewer than the autoscaler's minimum, so that one can always be evicted."""
    budget = standalone.only("PodDisruptionBudget")["spec"]
    assert _selects(budget["selector"]["matchLabels"], standalone.labels)
    assert 1 <= budget["minAvailable"] < standalone.only("HorizontalPodAutoscaler")["spec"]["minReplicas"]


def test_standalone_replicas_share_the_store_on_one_node(standalone: Overlay) -> None:
    """One SQLite file, several pods: a ReadWriteOnce volume, and every pod is required to stay on the others' node."""
    assert standalone.only("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    (term,) = standalone.pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"] == {"matchLabels": standalone.labels}
    assert "topologySpreadConstraints" not in standalone.pod
    assert "podAntiAffinity" not in standalone.pod["affinity"]
    strategy = standalone.deployment["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_sidecar_store_has_one_writer(sidecar: Overlay) -> None:
    """One SQLite file, one pod: ReadWriteOncePod, one replica, and the old pod is gone before the new one starts."""
    assert sidecar.only("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert sidecar.deployment["spec"]["replicas"] == 1
    assert sidecar.deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert sidecar.all("HorizontalPodAutoscaler") == []


def test_every_claim_is_mounted(overlay: Overlay) -> None:
    """The pod's claim is the one that the overlay makes."""
    (volume,) = (each for each in overlay.pod["volumes"] if "persistentVolumeClaim" in each)
    assert volume["persistentVolumeClaim"] == {"claimName": overlay.only("PersistentVolumeClaim")["metadata"]["name"]}


def test_the_sidecar_outlives_its_backend(sidecar: Overlay) -> None:
    """The gateway is a native sidecar in front of a backend that it reaches over the pod's loopback."""
    assert [each["name"] for each in sidecar.pod["initContainers"]] == ["gateway"]
    assert sidecar.gateway["restartPolicy"] == "Always"
    assert urlsplit(sidecar.setting("UPSTREAM_URL")).hostname == "127.0.0.1"
    (backend,) = sidecar.pod["containers"]
    assert "ports" not in backend
