"""The process tables of the nodes: what runs there, whatever the Kubernetes API says about it."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from clusters.mesh import Component
from clusters.place import Place

_LOOK_S = 10.0
_POD_UID = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
# What each kind of workload appends to its own name in the names of its pods.
_POD_SUFFIX = {"Deployment": r"-[a-z0-9]+-[a-z0-9]{5}", "StatefulSet": r"-[0-9]+", "DaemonSet": r"-[a-z0-9]{5}"}


@dataclass(frozen=True)
class Process:
    """One process of a component."""

    node: str
    pid: int  # as the node numbers it
    state: str  # the first letter of ps: T is stopped, Z is dead and not yet collected
    pod: str
    pod_uid: str

    @property
    def is_stopped(self) -> bool:
        """Whether a signal stopped it."""
        return self.state == "T"


def find(place: Place, component: Component) -> tuple[Process, ...]:
    """Return the component's living processes on every node; HarnessError when a node cannot be asked."""
    with ThreadPoolExecutor(len(place.nodes)) as pool:
        found = pool.map(lambda node: find_on(place, node, component), place.nodes)
        return tuple(process for processes in found for process in processes)


def look_again(place: Place, process: Process) -> str:
    """Return the state that the process is in now, "" when it is gone: one cheap question."""
    row = place.on_node(process.node, ["ps", "-o", "stat=", "-p", str(process.pid)], timeout_s=_LOOK_S, check=False)
    return row.strip()[:1]


def signal(place: Place, processes: Sequence[Process], name: str) -> None:
    """Send a signal (KILL, STOP, CONT) to each process; one that is gone already is no error."""
    for node in sorted({process.node for process in processes}):
        pids = [str(process.pid) for process in processes if process.node == node]
        place.on_node(node, ["kill", f"-{name}", *pids], timeout_s=_LOOK_S, check=False)


def resume(place: Place, component: Component) -> tuple[Process, ...]:
    """Send SIGCONT to every stopped process of the component and return them."""
    stopped = tuple(process for process in find(place, component) if process.is_stopped)
    signal(place, stopped, "CONT")
    return stopped


def find_on(place: Place, node: str, component: Component) -> tuple[Process, ...]:
    """Return the component's living processes on one node; HarnessError when it cannot be asked."""
    table = place.on_node(node, ["ps", "-ww", "-e", "-o", "pid=,stat=,args="], timeout_s=_LOOK_S)
    named = [(pid, state) for pid, state, words in _rows(table) if component.process in words]
    if not named:
        return ()
    uids = _pod_uids(place, node, [pid for pid, _ in named])
    pods = _pods(place, node, component)
    return tuple(
        Process(node, pid, state, pods[uids[pid]], uids[pid])
        for pid, state in named
        if uids.get(pid) in pods and state != "Z"
    )


def _rows(table: str) -> list[tuple[int, str, str]]:
    split = (line.split(maxsplit=2) for line in table.splitlines())
    columns = 3
    return [(int(row[0]), row[1][0], row[2]) for row in split if len(row) == columns]


def _pod_uids(place: Place, node: str, pids: Sequence[int]) -> dict[int, str]:
    """Return pid -> pod UID, read from the control groups; a process outside any pod is left out."""
    files = [f"/proc/{pid}/cgroup" for pid in pids]
    text = place.on_node(node, ["grep", "-H", "pod", *files], timeout_s=_LOOK_S, check=False)
    found = {}
    for line in text.splitlines():
        uid = _POD_UID.search(line)
        if uid:
            found[int(line.split("/", 3)[2])] = uid[1].replace("_", "-")
    return found


def _pods(place: Place, node: str, component: Component) -> dict[str, str]:
    """Return pod UID -> name of the component's pods, from the names of the kubelet's log folders on the node."""
    own = re.compile(
        rf"{re.escape(component.namespace)}_({re.escape(component.name)}{_POD_SUFFIX[component.kind]})_(\S+)"
    )
    folders = place.on_node(node, ["ls", "-1", "/var/log/pods"], timeout_s=_LOOK_S).splitlines()
    return {match[2]: match[1] for match in map(own.fullmatch, folders) if match}
