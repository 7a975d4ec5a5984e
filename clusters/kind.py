"""kind clusters on pytest-kind's KindCluster: made with our own tools, in our own directory, with a deadline."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml
from pytest_kind import KindCluster

from clusters import network
from clusters.cache import state_dir
from clusters.command import run
from clusters.errors import UsageError
from clusters.kube import Kube
from clusters.lock import hold
from clusters.place import BYSTANDER, PLACED, SHARE_ON_NODE, VICTIM, Place, elsewhere
from clusters.progress import Progress, Steps
from clusters.tools import Tools, ensure_tools

_CREATE_S = 300.0
_LIST_S = 30.0
_DELETE_S = 120.0
_MEMORY = Path("/dev/shm")  # noqa: S108 - a name of our own in it, made by us, and only our programs' logs inside
_SHARE_MODE = 0o1777  # programs of several users write there, each its own file

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME_CHARS = 49  # a node is named NAME-control-plane, and a host name has at most 63 characters

# Where the engine cannot grant CAP_SYS_RESOURCE, containerd must not lower a container's OOM score.
_RESTRICT_OOM = '[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n'


def checked_name(name: str) -> str:
    """Return the name of a cluster if it can be one, UsageError otherwise: it becomes a path that is deleted."""
    if len(name) > _NAME_CHARS or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a cluster: expected at most {_NAME_CHARS} characters, small letters, "
            "digits and, between them, hyphens. Give --cluster-name another name."
        )
    return name


class Cluster(KindCluster):  # type: ignore[misc]  # pytest-kind ships no types
    """pytest-kind's cluster with what it leaves open: a configuration, a deadline, and no file in the user's folder."""

    def __init__(self, name: str, *, image: str, tools: Tools, kubeconfig: Path | None = None) -> None:
        checked_name(name)
        self.home = state_dir() / name
        self.home.mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(self.home):  # the base class makes its folder where it stands
            super().__init__(name, kubeconfig or self.home / "kubeconfig", image, tools.kind, tools.kubectl)

    @property
    def share(self) -> Path:
        """The directory that every node mounts: in memory where there is such, as no caller may wait for a disk."""
        return _MEMORY / f"meshdrill-{self.name}" if _MEMORY.is_dir() else self.home / "share"

    def exists(self) -> bool:
        """Tell whether the engine has a cluster of this name."""
        return self.name in run([self.kind_path, "get", "clusters"], timeout_s=_LIST_S).splitlines()

    def make(self, *, restrict_oom: bool) -> None:
        """Create the cluster; a half-made one is deleted. HarnessError carries kind's own words."""
        for folder in (self.share, self.share / "logs"):
            folder.mkdir(exist_ok=True)
            folder.chmod(_SHARE_MODE)
        settings = self.home / "kind.yaml"
        settings.write_text(yaml.safe_dump(configuration(self.share, restrict_oom=restrict_oom), sort_keys=False))
        arguments = [self.kind_path, "create", "cluster", f"--name={self.name}", f"--image={self.image}"]
        try:
            run(
                [*arguments, f"--kubeconfig={self.kubeconfig_path}", f"--config={settings}"],
                timeout_s=_CREATE_S,
                log=self.home / "kind.log",
            )
        except BaseException:
            self.delete()
            raise

    def delete(self) -> None:
        """Delete the cluster and what it left on our side of the shared directory; deleting nothing is fine."""
        run(
            [self.kind_path, "delete", "cluster", f"--name={self.name}", f"--kubeconfig={self.kubeconfig_path}"],
            timeout_s=_DELETE_S,
        )
        for folder in (self.share, self.home):
            shutil.rmtree(folder, ignore_errors=True)

    def place(self) -> Place:
        """Return the running cluster as a place for drills."""
        nodes = run([self.kind_path, "get", "nodes", f"--name={self.name}"], timeout_s=_LIST_S).split()
        kube = Kube(self.kubeconfig_path, discovery_cache=self.home / "discovery.json")
        return Place(self.name, self.kubeconfig_path, self.share, self.home, tuple(sorted(nodes)), kube)


def configuration(share: Path, *, restrict_oom: bool) -> dict[str, object]:
    """Return kind's configuration: three nodes, the shared directory on each, and no CNI but the one we lay."""
    # A victim and a bystander of each service: "this node only" is measured, not assumed.
    node = {"extraMounts": [{"hostPath": str(share), "containerPath": SHARE_ON_NODE}]}
    found: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": True},
        "nodes": [
            {"role": "control-plane", "labels": {elsewhere(VICTIM): "", elsewhere(BYSTANDER): ""}, **node},
            {"role": "worker", "labels": {PLACED: VICTIM, elsewhere(BYSTANDER): ""}, **node},
            {"role": "worker", "labels": {PLACED: BYSTANDER, elsewhere(VICTIM): ""}, **node},
        ],
    }
    if restrict_oom:
        found["containerdConfigPatches"] = [_RESTRICT_OOM]
    return found


def standing(progress: Progress) -> Iterator[Place]:
    """Give, one after the other, each cluster of ours that still stands, locked while it is looked at.

    Raises UsageError when another run uses one of them.
    """
    tools = ensure_tools(progress)
    for name in _made_here():
        cluster = Cluster(name, image="", tools=tools)
        with _alone(cluster):
            if cluster.exists():
                yield cluster.place()


@contextlib.contextmanager
def find(name: str, progress: Progress) -> Iterator[Place]:
    """Give the cluster of ours of that name, locked meanwhile, and leave it standing.

    Raises UsageError for what is no name of a cluster, when none of that name stands, or when another run uses it.
    """
    # The name may come from a file that anybody wrote: it is looked at before it is used as a path.
    is_ours = checked_name(name) in _made_here()
    cluster = Cluster(name, image="", tools=ensure_tools(progress)) if is_ours else None
    with contextlib.nullcontext() if cluster is None else _alone(cluster):
        if cluster is None or not cluster.exists():
            raise UsageError(
                f"No cluster {name!r} of ours stands. Make it with `meshdrill run DRILL --mesh MESH --keep-cluster`; "
                "--cluster-name of pytest names it."
            )
        yield cluster.place()


def remove(name: str, progress: Progress) -> bool:
    """Delete the cluster of ours of that name, whatever was left in it, and tell whether one stood.

    Raises UsageError for what is no name of a cluster, and when another run uses it.
    """
    if checked_name(name) not in _made_here():
        return False
    cluster = Cluster(name, image="", tools=ensure_tools(progress))
    with _alone(cluster):
        stood = cluster.exists()
        _delete(cluster, Steps(progress))
    return stood


def _made_here() -> tuple[str, ...]:
    found = (path.name for path in state_dir().iterdir() if (path / "kind.yaml").exists())
    return tuple(sorted(name for name in found if _NAME.fullmatch(name)))


@contextlib.contextmanager
def running(cluster: Cluster, *, keep: bool, restrict_oom: bool, with_network: bool, steps: Steps) -> Iterator[Place]:
    """Give a place on the cluster: the kept one when it is there, else a new one, deleted at the end unless kept.

    with_network: lay our own plain pod network; without, what is installed next brings one.
    """
    with _alone(cluster):
        if cluster.exists():
            steps.say(f"cluster {cluster.name} ... found, used as it is")
            yield cluster.place()
        else:
            with steps.step(f"cluster {cluster.name}"):
                cluster.make(restrict_oom=restrict_oom)
            try:
                place = cluster.place()
                if with_network:
                    with steps.step("pod network"):
                        network.lay(place)
                yield place
            except BaseException:
                if not keep:
                    _delete(cluster, steps)
                raise
        if not keep:
            _delete(cluster, steps)


def _delete(cluster: Cluster, steps: Steps) -> None:
    with steps.step(f"delete cluster {cluster.name}"):
        cluster.delete()


def _alone(cluster: Cluster) -> contextlib.AbstractContextManager[None]:
    """Hold the cluster's lock: a second run on the same cluster is refused at once."""
    return hold(
        state_dir() / f"{cluster.name}.lock",
        f"Cluster {cluster.name} is in use by another run. Wait for it, or give --cluster-name another name.",
    )
