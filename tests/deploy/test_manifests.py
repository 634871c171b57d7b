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

from gateway.authn.key import Algorithm, generate
from gateway.config.files import Files
from gateway.config.load import load
from gateway.stores import check_url
from gateway.stores.postgres_url import read_place

MANIFESTS = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
OVERLAYS = ("sidecar", "standalone", "postgres")
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


def _pod(workload: Manifest) -> Manifest:
    """Return the pod of a Job or Deployment."""
    return dict(workload["spec"]["template"]["spec"])


def _container(job: Manifest) -> Manifest:
    """Return the one container of a Job."""
    (found,) = _pod(job)["containers"]
    return dict(found)


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

    @property
    def policy(self) -> Manifest:
        """Return the network policy of the gateway's pods."""
        named = {each["metadata"]["name"]: each["spec"] for each in self.all("NetworkPolicy")}
        return dict(named.get(self.deployment["metadata"]["name"]) or self.only("NetworkPolicy")["spec"])

    @property
    def secrets(self) -> list[Manifest]:
        """Return every Secret that is mounted, in pods of a Job as well."""
        pods = [self.pod, *map(_pod, self.all("Job"))]
        return [each["secret"] for pod in pods for each in pod["volumes"] if "secret" in each]

    @property
    def secret_files(self) -> list[str]:
        """Return the variables of the routing file whose value is a file of a Secret here."""
        (volume,) = [each for each in self.pod["volumes"] if each["name"] == "credentials"] or [None]
        return [] if volume is None else [item["key"] for item in volume["secret"]["items"]]

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


@pytest.fixture(scope="module", name="postgres")
def _postgres() -> Overlay:
    """Return the overlay for replicas on several nodes."""
    return Overlay("postgres")


@pytest.mark.parametrize("folder", ["base", "sqlite", *(f"overlays/{name}" for name in OVERLAYS)])
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
    assert sorted([*names, *overlay.secret_files]) == sorted(read)
    assert "envFrom" not in overlay.gateway
    assert overlay.pod["enableServiceLinks"] is False


def test_every_setting_comes_from_a_config_map_key_that_exists_and_is_used(overlay: Overlay) -> None:
    """No value stands in the Deployment; each ConfigMap key is read exactly once, and each one read is there."""
    sources = [each["valueFrom"] for each in overlay.gateway["env"]]
    assert not [each for each in overlay.gateway["env"] if "value" in each]
    sources += [each["valueFrom"] for job in overlay.all("Job") for each in _container(job)["env"]]
    used = sorted(
        (reference["name"], reference["key"])
        for reference in (source["configMapKeyRef"] for source in sources if "configMapKeyRef" in source)
    )
    mounted = {each["configMap"]["name"] for each in overlay.pod["volumes"] if "configMap" in each}
    there = sorted(
        (each["metadata"]["name"], key)
        for each in overlay.all("ConfigMap")
        if each["metadata"]["name"] not in mounted
        for key in each["data"]
    )
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
    for secret in overlay.secrets:
        assert f"kubectl create secret generic {secret['secretName']}" in readme
        for item in secret["items"]:
            assert re.search(rf"--from-file={item['key']}|^{item['key']}=", readme, re.MULTILINE), item


def test_probes_ask_the_admin_port(overlay: Overlay, admin_port: int) -> None:
    """Start and life are asked at /live, so that a slow upstream never restarts the gateway; traffic at /ready."""
    probes = {name: overlay.gateway[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {admin_port}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/live",
        "livenessProbe": "/live",
        "readinessProbe": "/ready",
    }


def test_the_container_runs_the_command_of_the_image(
    overlay: Overlay, image_command: list[str], public_port: int, admin_port: int
) -> None:
    """Nothing of it is repeated in the manifest but for another routing file; its ports are those it listens on."""
    assert not {"command", "workingDir"} & set(overlay.gateway)
    if "args" in overlay.gateway:
        routing = overlay.mount("routing")["mountPath"]
        told = [f"{routing}/gateway.yaml" if word.endswith(".yaml") else word for word in image_command[1:]]
        assert overlay.gateway["args"] == told
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
    for container in (*overlay.containers, *map(_container, overlay.all("Job"))):
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
    for pod in (overlay.pod, *map(_pod, overlay.all("Job"))):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert {kind for each in pod["volumes"] for kind in each if kind != "name"} <= RESTRICTED_VOLUMES


def test_the_pod_runs_as_the_user_of_the_image(overlay: Overlay, image: dict[str, str]) -> None:
    """User and group are the image's, and the volumes are given to that group."""
    user, group = (int(number) for number in image["USER"].split(":"))
    assert overlay.gateway["securityContext"]["runAsUser"] == user
    assert overlay.gateway["securityContext"]["runAsGroup"] == group
    assert overlay.pod["securityContext"]["fsGroup"] == group


def test_only_the_store_is_writable(overlay: Overlay, image_environment: dict[str, str]) -> None:
    """The volume of an SQLite store is the one writable mount, with its file and SQLite's temporaries right in it."""
    writable = [each["mountPath"] for each in overlay.gateway["volumeMounts"] if not each.get("readOnly")]
    store = urlsplit(overlay.setting("GATEWAY_STORE_URL"))
    assert (store.scheme == "sqlite") is bool(overlay.all("PersistentVolumeClaim"))
    if store.scheme != "sqlite":
        assert writable == []
        return
    # Four slashes: the path begins after the third.
    assert writable == [str(PurePosixPath(store.path[1:]).parent)] == [image_environment["SQLITE_TMPDIR"]]


def test_the_signing_key_is_readable_by_the_gateway_alone(overlay: Overlay) -> None:
    """The key file is mounted read-only for owner and fsGroup, at the path that the gateway is told."""
    assert {secret["defaultMode"] for secret in overlay.secrets} == {0o400}
    (volume,) = (each for each in overlay.pod["volumes"] if each["name"] == "signing-key")
    mount = overlay.mount(volume["name"])
    (item,) = volume["secret"]["items"]
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
    for pod in map(_pod, overlay.all("Job")):
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (account["metadata"]["name"], False)


def test_images_are_pinned(overlay: Overlay, root: Path) -> None:
    """Every image has a version tag that is not `latest`, and the gateway's is the version in pyproject.toml."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    for container in (*overlay.containers, *map(_container, overlay.all("Job"))):
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
    policy = overlay.policy
    assert _selects(policy["podSelector"]["matchLabels"], overlay.labels)
    assert "Ingress" in policy["policyTypes"]
    assert _ports(policy["ingress"]) == {public_port, admin_port}
    for rule in policy["ingress"]:
        if admin_port in _ports([rule]):
            assert _ports([rule]) == {admin_port}
            assert all(peer["namespaceSelector"]["matchLabels"] for peer in rule["from"])


@pytest.mark.parametrize("name", ["standalone", "postgres"])
def test_what_stands_alone_may_reach_dns_public_tls_and_its_database_only(name: str) -> None:
    """The pod reaches the cluster's resolver and port 443 of addresses that are neither private nor link-local."""
    standalone = Overlay(name)
    policy = standalone.policy
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    dns, upstream, *database = policy["egress"]
    assert [_ports([rule]) for rule in database] == ([{5432}] if name == "postgres" else [])
    assert _ports([dns]) == {53}
    assert all(peer["podSelector"] and peer["namespaceSelector"] for peer in dns["to"])
    assert _ports([upstream]) == {443}
    closed = {network for peer in upstream["to"] for network in peer["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"} <= closed
    assert urlsplit(standalone.setting("UPSTREAM_URL")).scheme == "https"


@pytest.mark.parametrize("name", ["standalone", "postgres"])
def test_the_autoscaler_owns_the_number_of_replicas(name: str) -> None:
    """The autoscaler targets the Deployment, which names no number itself; two replicas at least."""
    standalone = Overlay(name)
    scaler = standalone.only("HorizontalPodAutoscaler")["spec"]
    target = {key: standalone.deployment[key] for key in ("apiVersion", "kind")}
    assert scaler["scaleTargetRef"] == target | {"name": standalone.deployment["metadata"]["name"]}
    assert "replicas" not in standalone.deployment["spec"]
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]


@pytest.mark.parametrize("name", ["standalone", "postgres"])
def test_the_disruption_budget_keeps_one_pod_and_lets_one_go(name: str) -> None:
    """The budget selects the pods and keeps fewer than the autoscaler's minimum, so that one can always be evicted."""
    standalone = Overlay(name)
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


@pytest.mark.parametrize("name", ["sidecar", "standalone"])
def test_every_claim_is_mounted(name: str) -> None:
    """The pod's claim is the one that the overlay makes."""
    overlay = Overlay(name)
    (volume,) = (each for each in overlay.pod["volumes"] if "persistentVolumeClaim" in each)
    assert volume["persistentVolumeClaim"] == {"claimName": overlay.only("PersistentVolumeClaim")["metadata"]["name"]}


def test_the_sidecar_outlives_its_backend(sidecar: Overlay) -> None:
    """The gateway is a native sidecar in front of a backend that it reaches over the pod's loopback."""
    assert [each["name"] for each in sidecar.pod["initContainers"]] == ["gateway"]
    assert sidecar.gateway["restartPolicy"] == "Always"
    assert urlsplit(sidecar.setting("UPSTREAM_URL")).hostname == "127.0.0.1"
    (backend,) = sidecar.pod["containers"]
    assert "ports" not in backend


def test_replicas_with_a_database_stay_apart(postgres: Overlay) -> None:
    """Each pod on another node if there is one, in another zone if there is one; none waits for the other to go."""
    assert {*postgres.pod["affinity"]} == {"podAntiAffinity"}
    terms = postgres.pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert [term["podAffinityTerm"]["topologyKey"] for term in terms] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    assert all(term["podAffinityTerm"]["labelSelector"] == {"matchLabels": postgres.labels} for term in terms)
    assert postgres.all("PersistentVolumeClaim") == []
    strategy = postgres.deployment["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_routing_file_of_a_config_map_is_one(postgres: Overlay, root: Path, tmp_path: Path) -> None:
    """It loads with what the pod has, over the image's file; its secrets are the files that are mounted."""
    (routing,) = (each for each in postgres.all("ConfigMap") if each["metadata"]["name"] == "gateway-routing")
    (place,) = (each["configMap"] for each in postgres.pod["volumes"] if each["name"] == "routing")
    assert place == {"name": "gateway-routing"}
    text = routing["data"]["gateway.yaml"].replace("/etc/gateway/", f"{root}/config/")
    for volume in (each for each in postgres.pod["volumes"] if "secret" in each):
        mounted = postgres.mount(volume["name"])
        assert mounted["readOnly"] is True
        assert "subPath" not in mounted
        folder = tmp_path / volume["name"]
        folder.mkdir()
        for item in volume["secret"]["items"]:
            (folder / item["path"]).write_text(generate(Algorithm.EDDSA) if "signing" in item["key"] else "secret")
        text = text.replace(f"{mounted['mountPath']}/", f"{folder}/")
    path, files = tmp_path / "gateway.yaml", Files()
    path.write_text(text)
    environ = {each["name"]: "value" for each in postgres.gateway["env"]}
    environ |= {name: postgres.setting(name) for name in ("UPSTREAM_URL", "GATEWAY_STORE_URL")}
    environ |= {"GATEWAY_PUBLIC_URL": "", "GATEWAY_TRUSTED_PROXIES": ""}
    environ["GATEWAY_SIGNING_KEY_FILE"] = str(tmp_path / "signing-key" / "signing-key.pem")
    config = load(path, environ, files)
    assert config.store.migrate == "never"
    watched = {place.relative_to(tmp_path) for place in files if place.is_relative_to(tmp_path)}
    assert {str(place) for place in watched} == {
        "gateway.yaml",
        "credentials/UPSTREAM_CLIENT_SECRET",
        "credentials/TRUSTED_CLIENT_SECRET",
        "signing-key/signing-key.pem",
    }


def test_the_files_of_the_database_are_mounted(postgres: Overlay) -> None:
    """Password and authority of both roles lie where their URLs say; neither URL holds a password."""
    job = postgres.only("Job")
    (owner,) = (each for each in postgres.all("ConfigMap") if each["metadata"]["name"] == "gateway-migration")
    users = []
    for url, pod in (
        (postgres.setting("GATEWAY_STORE_URL"), {**postgres.pod, "containers": [postgres.gateway]}),
        (owner["data"]["OWNER_URL"], _pod(job)),
    ):
        assert check_url(url) is None
        place = read_place(url)
        users.append(place.user)
        assert place.password is None
        assert place.tls is not None
        (container,) = pod["containers"]
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        there = {
            f"{mounts[each['name']]}/{item['path']}"
            for each in pod["volumes"]
            if "secret" in each
            for item in each["secret"]["items"]
        }
        assert {place.password_file, place.tls.authorities} <= there
    assert len({*users}) == 2
    assert _container(job)["args"] == ["store", "migrate", "--url", "$(OWNER_URL)"]


def test_the_job_knows_the_database_alone(postgres: Overlay) -> None:
    """No credential of the gateway, and a policy of its own: nobody in, the resolver and the database out."""
    job = postgres.only("Job")
    assert [each["name"] for each in _container(job)["env"]] == ["OWNER_URL"]
    assert [each["secret"]["secretName"] for each in _pod(job)["volumes"]] == ["gateway-database-owner"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    (policy,) = (
        each["spec"]
        for each in postgres.all("NetworkPolicy")
        if _selects(each["spec"]["podSelector"]["matchLabels"], labels)
    )
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert _ports(policy["egress"]) == {53, 5432}
    assert not _selects(postgres.only("Service")["spec"]["selector"], labels)
