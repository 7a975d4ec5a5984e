"""kind clusters, based on pytest-kind's KindCluster: with our own tools, state directory and deadlines.

A kind node is a container: programs run on it by `docker exec`, which works while the API server is down, and its
power is `docker kill` and `docker start`.
"""

import contextlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pytest_kind import KindCluster as PytestKind

from clusters import network
from clusters.cluster import PLACED, Cluster
from clusters.kube import Kube, KubeApi
from clusters.model import BYSTANDER, VICTIM, Capability
from clusters.runtime import HarnessError, Progress, Steps, UsageError, hold, run, state_dir
from clusters.tools import Tools, ensure_tools

_CREATE_S = 300.0
_LIST_S = 30.0
_DELETE_S = 120.0
_POWER_S = 60.0
_SHARE_ON_NODE = "/var/lib/meshdrill"
_SETTINGS = "kind.yaml"
_MEMORY = Path("/dev/shm")  # noqa: S108 - used only for a directory that no other user can enter
_OURS_ALONE = 0o700
_SHARE_MODE = 0o1777  # programs of several users each write their own file

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME_CHARS = 49  # a node is named NAME-control-plane, and a host name has at most 63 characters

# Without CAP_SYS_RESOURCE, containerd must not lower a container's OOM score.
_RESTRICT_OOM = '[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n'


def checked_name(name: str) -> str:
    """Return the cluster name if it is valid, else raise UsageError: it becomes a path that is deleted."""
    if len(name) > _NAME_CHARS or not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a cluster: expected at most {_NAME_CHARS} characters, small letters, "
            "digits and, between them, hyphens. Give --cluster-name another name."
        )
    return name


@dataclass(frozen=True)
class KindCluster:
    """A running kind cluster (implements `cluster.Cluster`)."""

    name: str
    kubeconfig: Path
    share: Path
    state: Path
    nodes: tuple[str, ...]
    kube: Kube
    uplink: str = "eth0"
    absent: Mapping[Capability, str] = field(default_factory=dict)  # a kind cluster lacks nothing

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Run a program on a node and return what it printed; HarnessError as `Cluster.exec`."""
        try:
            done = subprocess.run(
                ["docker", "exec", node, *argv], capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise HarnessError(
                f"Node {node} did not finish {' '.join(argv)!r} in {timeout_s:g} s. Is the container engine overloaded?"
            ) from error
        if check and done.returncode != 0:
            raise HarnessError(
                f"Node {node}: {' '.join(argv)!r} ended with {done.returncode}: {done.stderr.strip() or 'no message'}"
            )
        return done.stdout

    def power_off(self, node: str) -> None:
        """End everything on a node at once, without warning; HarnessError when the engine could not."""
        run(["docker", "kill", "--signal", "KILL", node], timeout_s=_POWER_S)

    def power_on(self, node: str) -> None:
        """Start a node that is off, and leave one that is on as it is; HarnessError when the engine could not."""
        run(["docker", "start", node], timeout_s=_POWER_S)


class Maker(PytestKind):  # type: ignore[misc]  # pytest-kind ships no types
    """Creates, finds and deletes the kind cluster of one name.

    Adds to pytest-kind's class a configuration and deadlines, and writes no file into the working directory.
    """

    def __init__(self, name: str, *, image: str, tools: Tools, kubeconfig: Path | None = None) -> None:
        checked_name(name)
        self.home = state_dir() / name
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(_OURS_ALONE)  # it holds the undo log and the mesh's keys
        with contextlib.chdir(self.home):  # the base class creates its folder in the working directory
            super().__init__(name, kubeconfig or self.home / "kubeconfig", image, tools.kind, tools.kubectl)

    @property
    def share(self) -> Path:
        """The directory that every node mounts; in memory if possible, so that no caller waits for a disk."""
        if self._settings.exists():  # the nodes of an existing cluster already mount this one
            return Path(yaml.safe_load(self._settings.read_text())["nodes"][0]["extraMounts"][0]["hostPath"])
        return _shares() / self.name if _MEMORY.is_dir() else self.home / "share"

    @property
    def _settings(self) -> Path:
        return self.home / _SETTINGS

    def exists(self) -> bool:
        """Return whether the engine has a cluster of this name."""
        return self.name in _names_in_engine(self.kind_path)

    def make(self, *, restrict_oom: bool) -> None:
        """Create the cluster; delete it again when that fails. HarnessError carries kind's own message."""
        self._settings.unlink(missing_ok=True)
        if _MEMORY.is_dir():
            _make_ours_alone(_shares())
        self._forget_earlier()
        for folder in (self.share, self.share / "logs"):
            folder.mkdir()
            folder.chmod(_SHARE_MODE)
        settings = yaml.safe_dump(configuration(self.share, restrict_oom=restrict_oom), sort_keys=False)
        self._settings.write_text(settings)
        arguments = [self.kind_path, "create", "cluster", f"--name={self.name}", f"--image={self.image}"]
        try:
            run(
                [*arguments, f"--kubeconfig={self.kubeconfig_path}", f"--config={self._settings}"],
                timeout_s=_CREATE_S,
                log=self.home / "kind.log",
            )
        except BaseException:
            self.delete()
            raise

    def _forget_earlier(self) -> None:
        """Remove what a cluster of this name left that was removed by hand: of the new one none of it is true."""
        shutil.rmtree(self.share, ignore_errors=True)
        for left in self.home.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    def delete(self) -> None:
        """Delete the cluster, its shared directory and its state; no error when it does not exist."""
        run(
            [self.kind_path, "delete", "cluster", f"--name={self.name}", f"--kubeconfig={self.kubeconfig_path}"],
            timeout_s=_DELETE_S,
        )
        for folder in (self.share, self.home):
            shutil.rmtree(folder, ignore_errors=True)

    def cluster(self) -> Cluster:
        """Return the running cluster."""
        nodes = run([self.kind_path, "get", "nodes", f"--name={self.name}"], timeout_s=_LIST_S).split()
        kube = KubeApi(self.kubeconfig_path, discovery_cache=self.home / "discovery.json")
        return KindCluster(self.name, self.kubeconfig_path, self.share, self.home, tuple(sorted(nodes)), kube)


def _shares() -> Path:
    """Return the in-memory directory of all clusters' shared directories."""
    return _MEMORY / f"meshdrill-{os.geteuid()}"


def _make_ours_alone(directory: Path) -> None:
    """Create a directory that no other user can enter; HarnessError for an existing one of another owner or mode."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=_OURS_ALONE)
    found = directory.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & ~_OURS_ALONE:
        raise HarnessError(
            f"{directory} is {stat.filemode(found.st_mode)} of user {found.st_uid}; expected a directory of user "
            f"{os.geteuid()} that no other can enter. Records of clusters would not be safe there: remove it."
        )


def configuration(share: Path, *, restrict_oom: bool) -> dict[str, object]:
    """Return kind's configuration: three nodes, the shared directory on each, and no default CNI."""
    # One worker is the victim and one the bystander, so that a drill measures the blast radius of a node.
    node = {"extraMounts": [{"hostPath": str(share), "containerPath": _SHARE_ON_NODE}]}
    found: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": True},
        "nodes": [
            {"role": "control-plane", **node},
            {"role": "worker", "labels": {PLACED: VICTIM}, **node},
            {"role": "worker", "labels": {PLACED: BYSTANDER}, **node},
        ],
    }
    if restrict_oom:
        found["containerdConfigPatches"] = [_RESTRICT_OOM]
    return found


def existing(progress: Progress) -> Iterator[Cluster]:
    """Yield each existing cluster of ours, locked while the caller uses it.

    Raises UsageError when another run uses one of them.
    """
    tools = ensure_tools(progress)
    for name in _made_here():
        maker = Maker(name, image="", tools=tools)
        with _alone(maker):
            if maker.exists():
                yield maker.cluster()


@contextlib.contextmanager
def find(name: str, progress: Progress) -> Iterator[Cluster]:
    """Yield our existing cluster of that name, locked, and leave it running.

    Raises UsageError for an invalid name, when there is no such cluster, or when another run uses it.
    """
    # The name may come from an untrusted file: it is checked before it is used as a path.
    is_ours = checked_name(name) in _made_here()
    maker = Maker(name, image="", tools=ensure_tools(progress)) if is_ours else None
    with contextlib.nullcontext() if maker is None else _alone(maker):
        if maker is None or not maker.exists():
            raise UsageError(
                f"No cluster {name!r} of ours exists. Create it with `meshdrill run DRILL --mesh MESH --keep-cluster`; "
                "--cluster-name of pytest names it."
            )
        yield maker.cluster()


def remove(name: str, progress: Progress) -> bool:
    """Delete our cluster of that name, with any leftovers, and return whether there was one.

    Raises UsageError for an invalid name and when another run uses it.
    """
    if checked_name(name) not in _made_here():
        return False
    maker = Maker(name, image="", tools=ensure_tools(progress))
    with _alone(maker):
        stood = maker.exists()
        _delete(maker, Steps(progress))
    return stood


def remove_orphans(progress: Progress) -> tuple[str, ...]:
    """Remove the shared directories of clusters that were deleted by hand, and return their names.

    Skips a name that another run has locked: its cluster may be under construction.
    """
    shares = _shares()
    if not shares.is_dir():
        return ()
    _make_ours_alone(shares)
    tools, removed = ensure_tools(progress), []
    for share in sorted(shares.iterdir()):
        with contextlib.suppress(UsageError), hold(_lock(share.name), "in use"):
            if share.name not in _names_in_engine(tools.kind):
                shutil.rmtree(share, ignore_errors=True)
                removed.append(share.name)
    return tuple(removed)


def _names_in_engine(program: Path | str) -> list[str]:
    """Return the names of all clusters of kind that the engine has."""
    return run([program, "get", "clusters"], timeout_s=_LIST_S).splitlines()


def _lock(name: str) -> Path:
    return state_dir() / f"{name}.lock"


def _made_here() -> tuple[str, ...]:
    found = (path.name for path in state_dir().iterdir() if (path / _SETTINGS).exists())
    return tuple(sorted(name for name in found if _NAME.fullmatch(name)))


@contextlib.contextmanager
def running(maker: Maker, *, keep: bool, restrict_oom: bool, with_network: bool, steps: Steps) -> Iterator[Cluster]:
    """Yield the kept cluster if it exists, else a new one; delete it at the end unless keep.

    with_network: configure our plain pod network; without it, the mesh brings the pod network.
    """
    with _alone(maker):
        if maker.exists():
            steps.say(f"cluster {maker.name} ... found, used unchanged")
            yield maker.cluster()
        else:
            with steps.step(f"cluster {maker.name}"):
                maker.make(restrict_oom=restrict_oom)
            try:
                cluster = maker.cluster()
                network.place_dns(cluster)
                if with_network:
                    with steps.step("pod network"):
                        network.configure(cluster)
                yield cluster
            except BaseException:
                if not keep:
                    _delete(maker, steps)
                raise
        if not keep:
            _delete(maker, steps)


def _delete(maker: Maker, steps: Steps) -> None:
    with steps.step(f"delete cluster {maker.name}"):
        maker.delete()


def _alone(maker: Maker) -> contextlib.AbstractContextManager[None]:
    """Hold the cluster's lock; a second run on the same cluster fails at once."""
    return hold(
        _lock(maker.name),
        f"Cluster {maker.name} is in use by another run. Wait for it, or give --cluster-name another name.",
    )
