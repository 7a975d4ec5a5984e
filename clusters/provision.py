"""Create a cluster with a mesh and the lab, and delete it: the work of the `cluster` fixture."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from clusters import host, install, kind, lab
from clusters.cluster import Cluster
from clusters.images.catalogue import Image, image, images_for
from clusters.images.resolve import Resolved, Source, node_image_for, resolve_all
from clusters.meshes import load
from clusters.model import Mesh, Override
from clusters.runtime import CannotRunHereError, Progress, Steps, UsageError, archive_dir
from clusters.tools import ensure_tools

CHARTS = "charts"  # inside an archive directory
_INSTALLED = "installed.json"
_MADE_OF = "made-of.json"


class Options(msgspec.Struct, frozen=True):
    """The user's choices about the cluster; the defaults are those of the command line."""

    cluster_name: str = ""  # "" is meshdrill-<mesh>
    keep: bool = False
    bootstrap: bool = False
    images: Path | None = None  # directory of `docker save` archives; None is the one in the cache
    image_source: Source | None = None  # force one source
    registry_mirror: str | None = None
    charts: install.ChartSource = install.ChartSource()
    kubeconfig: Path | None = None  # where to write the cluster's kubeconfig; None is our state directory
    node_image: str | None = None  # the user's own node image instead of the catalogue's
    kind_bin: Path | None = None
    kubectl_bin: Path | None = None
    leaf_s: int = 0  # lifetime of workload certificates; 0 is the mesh's default


class Provenance(msgspec.Struct, frozen=True):
    """The host, images, tools and charts of a cluster, for run.json. kubernetes: the version that its nodes run."""

    host: host.HostReport
    images: tuple[Resolved, ...]
    node_image: Resolved
    tools: dict[str, str]
    built: bool
    charts: tuple[install.InstalledChart, ...] = ()
    kubernetes: str = ""


class _MadeOf(msgspec.Struct, frozen=True):
    """The provenance of a kept cluster, stored so that a later run can use the cluster without inspecting the host."""

    mesh: str
    provenance: Provenance
    leaf_s: int = 0


class Prepared(msgspec.Struct, frozen=True):
    """A cluster with the mesh and the lab ready on it."""

    cluster: Cluster
    mesh: Mesh
    provenance: Provenance


@contextlib.contextmanager
def up(mesh_name: str, options: Options, progress: Progress) -> Iterator[Prepared]:
    """Create what is missing (engine, tools, images, cluster, mesh, lab), yield the cluster, and delete it.

    Raises UsageError for an unknown mesh, an invalid cluster name or a cluster in use, CannotRunHereError when this
    machine lacks something that the mesh needs, and HarnessError when a step fails.
    """
    steps = Steps(progress)
    mesh = with_leaves(load(mesh_name), options.leaf_s)
    name = kind.checked_name(options.cluster_name or f"meshdrill-{mesh.name}")
    if lack := host.missing_kernel_features(mesh.install.kernel_features):
        raise CannotRunHereError(f"{mesh.title} cannot run here: {lack}. Use a stock distribution kernel.")
    report = host.ensure(bootstrap=options.bootstrap, progress=progress)
    images = _images(mesh, options, progress)
    archives = options.images or archive_dir()
    tools = ensure_tools(progress, kind=options.kind_bin, kubectl=options.kubectl_bin, archives=archives)
    charts = msgspec.structs.replace(options.charts, carried=archives / CHARTS)
    node, lab_image, of_mesh = images.pop("node"), images.pop("lab"), images
    baked = node_image_for(mesh.name, tuple(of_mesh.values()), node, lab_image, progress)
    built = any(found.ref == image(name).built for name, found in of_mesh.items())
    maker = kind.Maker(name, image=baked.ref, tools=tools, kubeconfig=options.kubeconfig)
    provenance = Provenance(report, (node, lab_image, *of_mesh.values()), baked, tools.versions, built)
    limited = bool(report.missing_capabilities)
    with kind.running(
        maker, keep=options.keep, restrict_oom=limited, with_network=not mesh.install.is_network, steps=steps
    ) as cluster:
        _refuse_other_leaves(cluster, mesh, options.leaf_s)

        def put_in() -> tuple[install.InstalledChart, ...]:
            refs, leaf_s = {name: found.ref for name, found in of_mesh.items()}, options.leaf_s
            put = partial(install.install, images=refs, built=built, charts=charts, tools=tools, steps=steps)
            released = put(cluster, mesh, leaf_s=leaf_s) if mesh.install.charts else ()
            lab.deploy(cluster, mesh, image=lab_image.ref, steps=steps)
            return released

        released = _unless_installed(cluster, _fingerprint(mesh, baked), put_in)
        provenance = msgspec.structs.replace(provenance, charts=released, kubernetes=_kubernetes(cluster))
        (cluster.state / _MADE_OF).write_bytes(msgspec.json.encode(_MadeOf(mesh.name, provenance, options.leaf_s)))
        lab.wait_ready(cluster, mesh, steps)
        yield Prepared(cluster, mesh, provenance)


@contextlib.contextmanager
def kept(cluster_name: str, mesh_name: str, progress: Progress) -> Iterator[Prepared]:
    """Yield a kept cluster unchanged once its lab is ready, and leave it running.

    Raises UsageError when there is none of that name, it is in use, or it has another mesh.
    """
    with kind.find(cluster_name, progress) as cluster:
        try:
            made_of = msgspec.json.decode((cluster.state / _MADE_OF).read_bytes(), type=_MadeOf)
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(
                f"Cluster {cluster_name} has no readable record of its mesh and images ({error}). "
                f"Run `meshdrill run DRILL --mesh {mesh_name} --keep-cluster` on it first."
            ) from error
        if made_of.mesh != mesh_name:
            raise UsageError(f"Cluster {cluster_name} has mesh {made_of.mesh}; the run asks for {mesh_name}.")
        mesh = with_leaves(load(mesh_name), made_of.leaf_s)
        lab.wait_ready(cluster, mesh, Steps(progress))
        yield Prepared(cluster, mesh, made_of.provenance)


def with_leaves(mesh: Mesh, leaf_s: int) -> Mesh:
    """Return the mesh with workload certificates of that lifetime; unchanged for 0 or if it cannot be set."""
    if not leaf_s or mesh.certificates.leaf_values is None:
        return mesh
    shorter = Override("life of a workload's certificate", f"{leaf_s} s", "the drill outlives it")
    certificates = replace(mesh.certificates, leaf_ttl_s=leaf_s)
    return replace(mesh, certificates=certificates, overrides=(*mesh.overrides, shorter))


def _unless_installed(
    cluster: Cluster, fingerprint: str, put_in: Callable[[], tuple[install.InstalledChart, ...]]
) -> tuple[install.InstalledChart, ...]:
    """Return the charts of the cluster: those that an earlier run recorded if it put in the same, else those put in."""
    before, installed = _stored(cluster), cluster.state / _INSTALLED
    if before is not None and installed.exists() and installed.read_text() == fingerprint:
        return before.provenance.charts
    released = put_in()
    installed.write_text(fingerprint)
    return released


def _stored(cluster: Cluster) -> _MadeOf | None:
    """Return what an earlier run recorded of a cluster; None if it did not, or another version of meshdrill did."""
    try:
        return msgspec.json.decode((cluster.state / _MADE_OF).read_bytes(), type=_MadeOf)
    except (OSError, msgspec.DecodeError):
        return None


def _kubernetes(cluster: Cluster) -> str:
    """Return the Kubernetes version of the nodes, as each kubelet reports it."""
    nodes = cluster.kube.find("v1", "Node")
    return ", ".join(sorted({str(node["status"]["nodeInfo"]["kubeletVersion"]) for node in nodes}))


def _refuse_other_leaves(cluster: Cluster, mesh: Mesh, leaf_s: int) -> None:
    """Raise UsageError when a kept cluster has another certificate lifetime than the drill asks for."""
    before = _stored(cluster)
    if mesh.certificates.leaf_values is None or before is None:
        return
    if before.leaf_s != leaf_s:
        has, wants = (f"{life} s" if life else "the mesh's default" for life in (before.leaf_s, leaf_s))
        raise UsageError(
            f"Cluster {cluster.name} was installed with certificates of {has}; the drill asks for {wants}. "
            f"Delete it (`kind delete cluster --name {cluster.name}`), or give --cluster-name another name."
        )


def _images(mesh: Mesh, options: Options, progress: Progress) -> dict[str, Resolved]:
    node = image("node") if options.node_image is None else Image("node", options.node_image)
    wanted = (node, image("lab"), *images_for(mesh.name))
    found = resolve_all(
        wanted,
        source=options.image_source,
        archive_dir=options.images or archive_dir(),
        registry_mirror=options.registry_mirror,
        progress=progress,
    )
    return {got.name: got for got in found}


def _fingerprint(mesh: Mesh, baked: Resolved) -> str:
    """Return the hash that must match for a kept cluster to be used without a new installation.

    It covers the manifests of the lab and of this mesh only.
    """
    digest = hashlib.sha256(f"{mesh.name} {baked.image_id}".encode())
    for folder in (lab.FOLDER, mesh.manifests):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
