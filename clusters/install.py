"""Install a mesh from its official charts, with the CRDs, volumes and Secrets they need, and wait until it is ready."""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import yaml

from clusters.ca import DEFAULT_LIVES, authority
from clusters.charts import chart, crd_manifest, is_in, sha256
from clusters.cluster import PLACED, Cluster
from clusters.images.catalogue import chart as chart_named
from clusters.kube import Json
from clusters.model import BYSTANDER, Authority, ChartRelease, Component, IssuerSecret, Mesh
from clusters.runtime import HarnessError, Steps, run, wait_until
from clusters.tools import Tools

STORAGE_CLASS = "meshdrill"
"""The storage class in a mesh's values; it has no provisioner, `create_volumes` creates each volume."""

_HELM_S = 120.0
_ON_NODE_S = 10.0
_CRD_API = "apiextensions.k8s.io/v1"
_VOLUMES = "/var/lib/meshdrill/volumes"  # on the node; survives its reboot


class ChartSource(msgspec.Struct, frozen=True):
    """Where charts come from: a directory, a repository, or, if neither is given, the source that fits the images.

    carried: directory of charts beside the image archives; a chart in it takes precedence over that default source.
    """

    directory: Path | None = None
    repository: str | None = None
    carried: Path | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """Return every directory that may hold charts or CRDs."""
        return tuple(folder for folder in (self.directory, self.carried) if folder is not None)

    def directory_for(self, name: str) -> Path | None:
        """Return the directory that must hold this chart, or None."""
        if self.directory or self.repository or self.carried is None:
            return self.directory
        return self.carried if is_in(name, self.carried) else None


class InstalledChart(msgspec.Struct, frozen=True):
    """One chart as it was installed, for run.json.

    source: directory, repository or module. sha256: see `charts.sha256`. values_sha256: of the values that it got, as
    YAML in the order of installation, without the certificates and keys of an issuer: those differ in each cluster.
    """

    name: str
    version: str
    source: str
    sha256: str
    values_sha256: str


def install(
    cluster: Cluster,
    mesh: Mesh,
    *,
    images: Mapping[str, str],
    built: bool,
    charts: ChartSource,
    tools: Tools,
    steps: Steps,
    leaf_s: int = 0,
) -> tuple[InstalledChart, ...]:
    """Install the mesh's CRDs and charts in order, wait for its components and webhooks, and return the charts.

    images: image name -> reference, already on the nodes. built: the images are our own builds. leaf_s: lifetime of
    workload certificates, 0 for the mesh's default.
    """
    create_volumes(cluster, mesh)
    install_crds(cluster, mesh.install.crds, directories=charts.directories, published=not built, steps=steps)
    values = [yaml.safe_load((mesh.manifests / "values.yaml").read_text()), mesh.install.image_values(images, built)]
    if leaf_s and mesh.certificates.leaf_values is not None:
        values.append(mesh.certificates.leaf_values(leaf_s))
    secret = _issuer_values(cluster, mesh)
    installed = []
    with tempfile.TemporaryDirectory(prefix="meshdrill-") as folder:  # mode 0700: a file may hold a key
        files = [Path(folder) / f"{number}.yaml" for number in range(len(values) + len(secret))]
        for release in mesh.install.charts:
            for file, whole in zip(files, (*values, *secret), strict=True):
                file.write_text(yaml.safe_dump(section(whole, release)))
            with steps.step(f"chart {release.chart}"):
                # Official images use the charts of the project's repository, our builds those of the Go module.
                published = None if built else chart_named(release.chart).repository
                source = chart(
                    release.chart,
                    chart_dir=charts.directory_for(release.chart),
                    repository=charts.repository or published,
                    progress=steps.say,
                )
                _upgrade(cluster, tools, release, source, files)
                installed.append(_installed(release, source, charts, published, values))
    wait_components(cluster, mesh, steps)
    with steps.step("webhooks in force"):
        wait_webhooks(cluster, mesh)
    return tuple(installed)


def _upgrade(cluster: Cluster, tools: Tools, release: ChartRelease, source: Path, files: Iterable[Path]) -> None:
    arguments: list[str | Path] = [tools.helm, "upgrade", "--install", release.release, source]
    arguments += ["--namespace", release.namespace, "--create-namespace"]
    arguments += ["--kubeconfig", cluster.kubeconfig]
    arguments += [word for file in files for word in ("--values", file)]
    run(arguments, timeout_s=_HELM_S)


def _issuer_values(cluster: Cluster, mesh: Mesh) -> tuple[Mapping[str, object], ...]:
    """Create the issuer of a mesh that needs one given, and return the values that name it."""
    issuance = mesh.certificates.issuance
    if issuance is None:
        return ()
    made = authority(cluster.state, issuance.issuer_name, DEFAULT_LIVES)
    create_issuer_secret(cluster, issuance.secret, made)
    return (issuance.values(made),)


def _installed(
    release: ChartRelease,
    source: Path,
    charts: ChartSource,
    published: str | None,
    values: Iterable[Mapping[str, object]],
) -> InstalledChart:
    wanted = chart_named(release.chart)
    if directory := charts.directory_for(release.chart):
        came_from = f"directory {directory.name}"
    else:
        came_from = charts.repository or published or wanted.module or ""
    rendered = "---\n".join(yaml.safe_dump(section(whole, release)) for whole in values)
    digest = hashlib.sha256(rendered.encode()).hexdigest()
    return InstalledChart(wanted.chart, wanted.version, came_from, sha256(source), digest)


def install_crds(
    cluster: Cluster,
    names: Iterable[str],
    *,
    directories: Iterable[Path],
    published: bool,
    steps: Steps,
    served_within_s: float = 30.0,
) -> None:
    """Apply CRDs of the catalogue, and wait until the API server serves their kinds.

    HarnessError as `charts.crd_manifest`, when one is not accepted, or when it is not served in time.
    """
    looked = tuple(directories)
    for name in names:
        with steps.step(f"CRD {name}"):
            text = crd_manifest(name, directories=looked, published=published)
            wanted: Json = yaml.load(text, Loader=yaml.CSafeLoader)
            cluster.kube.apply_all([wanted])
            _wait_served(cluster, str(wanted["metadata"]["name"]), served_within_s)


def create_volumes(cluster: Cluster, mesh: Mesh) -> None:
    """Create each volume that the mesh claims, as a directory of the bystander node. HarnessError as `exec`."""
    for name in mesh.install.volumes:
        path = f"{_VOLUMES}/{name}"
        for node in cluster.nodes:  # on all, as only the API knows which one is the bystander
            cluster.exec(node, ["install", "--directory", "--mode=0777", path], timeout_s=_ON_NODE_S)
        cluster.kube.apply_all([_volume(name, path)])


def create_issuer_secret(cluster: Cluster, secret: IssuerSecret, made: Authority) -> None:
    """Create the Secret with the issuer, unless the mesh's chart creates it."""
    if not secret.anchors:
        return
    texts = {secret.certificate: made.issuer, secret.key: made.issuer_key, secret.anchors: made.anchors}
    named = {"name": secret.name, "namespace": secret.namespace}
    cluster.kube.apply_all(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": secret.namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": texts},
        ]
    )


def section(values: Mapping[str, object], release: ChartRelease) -> Mapping[str, object]:
    """Return this chart's section of the mesh's values; one key may have different meanings in two charts."""
    if not release.section:
        return values
    own = values.get(release.section, {})
    if not isinstance(own, Mapping):
        raise HarnessError(
            f"Values of chart {release.chart} are {own!r}; expected a mapping under the key {release.section}. "
            "This is a defect of meshdrill."
        )
    return own


def wait_components(cluster: Cluster, mesh: Mesh, steps: Steps) -> None:
    """Wait for each workload of the mesh once, whatever the number of its roles."""
    for component in {(part.namespace, part.name): part for part in mesh.components}.values():
        with steps.step(f"{component.namespace}/{component.name} ready"):
            wait_ready(cluster, component)


def wait_ready(cluster: Cluster, component: Component, *, within_s: float = 120.0) -> None:
    """Wait until every desired replica of the component is ready."""
    wait_until(
        lambda: cluster.kube.replicas(component),
        lambda seen: seen[0] > 0 and seen[0] == seen[1],
        what=f"{component.kind} {component.namespace}/{component.name} ready (desired, ready)",
        within_s=within_s,
        next_step=f"Look at `kubectl -n {component.namespace} describe pods -l {component.selector}`.",
    )


def wait_webhooks(cluster: Cluster, mesh: Mesh, *, within_s: float = 60.0) -> None:
    """Wait until each webhook has its CA bundle and its documented failure policy: until then it may fail open."""
    for webhook in mesh.webhooks:
        kind = f"{webhook.kind.capitalize()}WebhookConfiguration"

        def look(kind: str = kind, name: str = webhook.configuration) -> list[tuple[str, bool]]:
            found = cluster.kube.get("admissionregistration.k8s.io/v1", kind, name) or {}
            hooks = found.get("webhooks") or []
            return [(hook.get("failurePolicy", ""), bool(hook["clientConfig"].get("caBundle"))) for hook in hooks]

        def ready(seen: list[tuple[str, bool]], wanted: str = webhook.failure_policy) -> bool:
            return bool(seen) and all(policy == wanted and bundle for policy, bundle in seen)

        wait_until(
            look,
            ready,
            what=f"{kind} {webhook.configuration} with failurePolicy {webhook.failure_policy} and a CA bundle",
            within_s=within_s,
        )


def _wait_served(cluster: Cluster, name: str, within_s: float) -> None:
    wait_until(
        lambda: _conditions(cluster, name),
        lambda seen: "Established=True" in seen,
        what=f"CRD {name} served",
        within_s=within_s,
    )


def _conditions(cluster: Cluster, name: str) -> list[str]:
    found = cluster.kube.get(_CRD_API, "CustomResourceDefinition", name) or {}
    stated = found.get("status", {}).get("conditions") or []
    return [f"{it['type']}={it['status']}" for it in stated]


def _volume(name: str, path: str) -> Json:
    on_bystander = {"key": PLACED, "operator": "In", "values": [BYSTANDER]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"meshdrill-{name}"},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_bystander]}]}},
        },
    }
