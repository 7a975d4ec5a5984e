"""From nothing to a cluster with a mesh and the lab on it, and back: what the `cluster` fixture does."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import replace
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
    """What a user may choose about the cluster; the defaults are those of the command line."""

    cluster_name: str = ""  # "" is meshdrill-<mesh>
    keep: bool = False
    bootstrap: bool = False
    images: Path | None = None  # directory of `docker save` archives; None is the one in the cache
    image_source: Source | None = None  # force one source
    registry_mirror: str | None = None
    charts: install.ChartSource = install.ChartSource()
    kubeconfig: Path | None = None  # where to write the cluster's kubeconfig; None is among our own state
    node_image: str | None = None  # a node image of the user's own in place of the catalogue's
    kind_bin: Path | None = None
    kubectl_bin: Path | None = None
    leaf_s: int = 0  # how long a workload's certificate shall live; 0 is the mesh's own default


class Provenance(msgspec.Struct, frozen=True):
    """What the cluster was made of, for run.json."""

    host: host.HostReport
    images: tuple[Resolved, ...]
    node_image: Resolved
    tools: dict[str, str]
    built: bool


class _MadeOf(msgspec.Struct, frozen=True):
    """What a kept cluster carries, for whoever uses it again without asking this machine anew."""

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
    """Make whatever is missing (engine, tools, images, cluster, mesh, lab), give the cluster, and tear it down.

    Raises UsageError for an unknown mesh, what is no name of a cluster or a cluster in use, CannotRunHereError for what
    this machine lacks, and HarnessError for what it could not do.
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
        refs = {name: found.ref for name, found in of_mesh.items()}
        installed = cluster.state / _INSTALLED
        print_of_this = _fingerprint(mesh, baked)
        if not installed.exists() or installed.read_text() != print_of_this:
            if mesh.install.charts:
                install.install(
                    cluster,
                    mesh,
                    images=refs,
                    built=built,
                    charts=charts,
                    tools=tools,
                    steps=steps,
                    leaf_s=options.leaf_s,
                )
            lab.deploy(cluster, mesh, image=lab_image.ref, steps=steps)
            installed.write_text(print_of_this)
        (cluster.state / _MADE_OF).write_bytes(msgspec.json.encode(_MadeOf(mesh.name, provenance, options.leaf_s)))
        lab.wait_ready(cluster, mesh, steps)
        yield Prepared(cluster, mesh, provenance)


@contextlib.contextmanager
def kept(cluster_name: str, mesh_name: str, progress: Progress) -> Iterator[Prepared]:
    """Give a kept cluster as it stands, once its lab is ready: nothing is made, nothing is torn down.

    Raises UsageError when there is none of that name, it is in use, or it carries another mesh.
    """
    with kind.find(cluster_name, progress) as cluster:
        try:
            made_of = msgspec.json.decode((cluster.state / _MADE_OF).read_bytes(), type=_MadeOf)
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(
                f"Cluster {cluster_name} does not tell what it was made of ({error}). "
                f"Run `meshdrill run DRILL --mesh {mesh_name} --keep-cluster` on it first."
            ) from error
        if made_of.mesh != mesh_name:
            raise UsageError(f"Cluster {cluster_name} carries mesh {made_of.mesh}; the run asks for {mesh_name}.")
        mesh = with_leaves(load(mesh_name), made_of.leaf_s)
        lab.wait_ready(cluster, mesh, Steps(progress))
        yield Prepared(cluster, mesh, made_of.provenance)


def with_leaves(mesh: Mesh, leaf_s: int) -> Mesh:
    """Return the facts of the mesh as installed with certificates of that life; 0, or none at all, changes nothing."""
    if not leaf_s or mesh.certificates.leaf_values is None:
        return mesh
    shorter = Override("life of a workload's certificate", f"{leaf_s} s", "the drill outlives it")
    certificates = replace(mesh.certificates, leaf_ttl_s=leaf_s)
    return replace(mesh, certificates=certificates, overrides=(*mesh.overrides, shorter))


def _refuse_other_leaves(cluster: Cluster, mesh: Mesh, leaf_s: int) -> None:
    """Raise UsageError when the cluster stands already and its certificates live otherwise than the drill asks."""
    path = cluster.state / _MADE_OF
    if mesh.certificates.leaf_values is None or not path.exists():
        return
    stands_s = msgspec.json.decode(path.read_bytes(), type=_MadeOf).leaf_s
    if stands_s != leaf_s:
        has, wants = (f"{life} s" if life else "the mesh's default" for life in (stands_s, leaf_s))
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
    """Name what a kept cluster must have been made of to be used again without a new install.

    Of the manifests, only the lab's and the mesh's own count.
    """
    digest = hashlib.sha256(f"{mesh.name} {baked.image_id}".encode())
    for folder in (lab.FOLDER, mesh.manifests):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
