"""The process tables of the nodes: what runs there, independently of the Kubernetes API."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clusters.cluster import Cluster
from clusters.model import Component

_LOOK_S = 10.0
_BETWEEN = "----\n"
# Each program run on a node takes processor time from the callers, so one program collects everything.
_LOOK = (
    "ps -ww -e -o pid=,stat=,comm=,args=; echo ----;"  # comm, too: a program may have no arguments
    " grep -s pod /proc/[0-9]*/cgroup; echo ----;"  # the control group, and so the pod, of each process
    " ls -1 /var/log/pods"
)
_POD_OF_PID = re.compile(r"/proc/(\d+)/cgroup:.*pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
# What each kind of workload appends to its own name to name its pods.
_POD_SUFFIX = {"Deployment": r"-[a-z0-9]+-[a-z0-9]{5}", "StatefulSet": r"-[0-9]+", "DaemonSet": r"-[a-z0-9]{5}"}


@dataclass(frozen=True)
class Process:
    """One process of a component."""

    node: str
    pid: int  # in the node's PID namespace
    state: str  # first letter of ps's STAT: T stopped, Z zombie
    pod: str
    pod_uid: str

    @property
    def is_stopped(self) -> bool:
        """Whether a signal stopped it."""
        return self.state == "T"


def find(cluster: Cluster, component: Component) -> tuple[Process, ...]:
    """Return the component's processes on every node; HarnessError when a node does not answer."""
    # One node after the other: in parallel they would briefly take every core from the callers.
    return tuple(process for node in cluster.nodes for process in find_on(cluster, node, component))


def look_again(cluster: Cluster, process: Process) -> str:
    """Return the current state of the process, "" when it is gone: one cheap query."""
    row = cluster.exec(process.node, ["ps", "-o", "stat=", "-p", str(process.pid)], timeout_s=_LOOK_S, check=False)
    return row.strip()[:1]


def signal(cluster: Cluster, processes: Sequence[Process], name: str) -> None:
    """Send a signal (KILL, STOP, CONT) to each process; a process that is gone is no error."""
    for node in sorted({process.node for process in processes}):
        pids = [str(process.pid) for process in processes if process.node == node]
        cluster.exec(node, ["kill", f"-{name}", *pids], timeout_s=_LOOK_S, check=False)


def resume(cluster: Cluster, component: Component) -> tuple[Process, ...]:
    """Send SIGCONT to every stopped process of the component and return those."""
    stopped = tuple(process for process in find(cluster, component) if process.is_stopped)
    signal(cluster, stopped, "CONT")
    return stopped


def find_on(cluster: Cluster, node: str, component: Component) -> tuple[Process, ...]:
    """Return the component's processes on one node; HarnessError when the node does not answer."""
    table, groups, folders = cluster.exec(node, ["sh", "-c", _LOOK], timeout_s=_LOOK_S).split(_BETWEEN)
    uids = {int(match[1]): match[2].replace("_", "-") for match in map(_POD_OF_PID.match, groups.splitlines()) if match}
    pods = _pods(folders, component)
    return tuple(
        Process(node, pid, state, pods[uids[pid]], uids[pid])
        for pid, state, words in _rows(table)
        if component.process in words and uids.get(pid) in pods and state != "Z"
    )


def _rows(table: str) -> list[tuple[int, str, str]]:
    split = (line.split(maxsplit=2) for line in table.splitlines())
    columns = 3
    return [(int(row[0]), row[1][0], row[2]) for row in split if len(row) == columns]


def _pods(folders: str, component: Component) -> dict[str, str]:
    """Return pod UID -> name of the component's pods, from the names of the kubelet's log folders on the node."""
    own = re.compile(
        rf"{re.escape(component.namespace)}_({re.escape(component.name)}{_POD_SUFFIX[component.kind]})_(\S+)"
    )
    return {match[2]: match[1] for match in map(own.fullmatch, folders.splitlines()) if match}
