"""The Kubernetes API server gone: its static pod's manifest is out of the kubelet's sight, on the one control plane.

An absence, not a silence: the kubelet ends the process and the port refuses. While it lasts, whoever asks the API
learns nothing, the harness included, so injection, receipts and undo go through the nodes alone. The controllers and
the scheduler lose their leases meanwhile and start anew; after a long outage they wait out the kubelet's back-off.
"""

from clusters.cluster import Cluster
from clusters.runtime import HarnessError
from drills.run.faults.answer import Answer, ask
from drills.run.faults.injury import TABLES, TCP, Injury, Receipt
from drills.run.undo_entry import Undo

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
_PARKED = "/etc/kubernetes/meshdrill-kube-apiserver.yaml"  # the same file system: moving there is one step
_PROCESS = "kube-apiserver"
API_PORT = 6443
_NODE_S = 10.0


class StopApiserver(Injury):
    """Taken from the kubelet on its node; seen by TCP from another node and in the node's process table."""

    land_extra_s = 45.0  # the kubelet looks every 20 s at worst, and open requests have their grace period

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.node, self._address = control_plane(cluster)
        others = [node for node in cluster.nodes if node != self.node]
        if not others:
            raise HarnessError(f"stop-apiserver needs a node besides {self.node} to see from that the port refuses.")
        self._watcher = others[0]

    def undo(self, run_id: str) -> Undo:
        """Put the manifest back, which needs no API."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="return-apiserver",
            subject=f"the API server back on {self.node}",
            node=self.node,
        )

    def inject(self) -> str:
        """Move the manifest out of the folder that the kubelet reads."""
        self._cluster.exec(self.node, ["mv", _MANIFEST, _PARKED], timeout_s=_NODE_S)
        return f"{_MANIFEST} of {self.node} moved out of the kubelet's sight"

    def observe(self) -> Receipt:
        """Landed: the port refuses another node, and the process is gone."""
        answer, pids = self._ask(), _pids(self._cluster, self.node)
        return Receipt(answer.refused and not pids, f"{TCP}, {TABLES}", f"{answer.words}; {self._words(pids)}")

    def glance(self, turn: int) -> Receipt | None:
        """Look at the port in one turn, for the process in the next."""
        if turn % 2 == 0:
            answer = self._ask()
            return Receipt(answer.refused, TCP, answer.words)
        pids = _pids(self._cluster, self.node)
        return Receipt(not pids, TABLES, self._words(pids))

    def _ask(self) -> Answer:
        return ask(self._cluster, self._watcher, self._address, API_PORT)

    def _words(self, pids: str) -> str:
        return f"process {_PROCESS!r} on {self.node}: {pids or 'none'}"


def give_back(cluster: Cluster, node: str) -> None:
    """Put the manifest back where the kubelet reads it; nothing to do when it is there."""
    cluster.exec(node, ["sh", "-c", f"test ! -e {_PARKED} || mv -f {_PARKED} {_MANIFEST}"], timeout_s=_NODE_S)


def unanswering(cluster: Cluster, node: str) -> str:
    """Say why the API server is not back, "" when it is ready by its own word and answers us."""
    url = f"https://127.0.0.1:{API_PORT}/readyz"
    # Its certificate is not the question: this runs on the very node, and what it says decides nothing but waiting.
    command = ["curl", "--silent", "--insecure", "--max-time", "2", url]
    said = cluster.exec(node, command, timeout_s=_NODE_S, check=False)
    if said.strip() != "ok":
        return f"the API server on {node} does not say that it is ready: {said.strip() or 'nobody replies'}"
    cluster.kube.find("v1", "Node")  # raises while our own way to it is not open
    return ""


def _pids(cluster: Cluster, node: str) -> str:
    """Return the process ids, "" for none; ps fails when it finds none, and prints its header when it works."""
    table = cluster.exec(node, ["ps", "-C", _PROCESS, "-o", "pid"], timeout_s=_NODE_S, check=False)
    head, *rows = table.split() or [""]
    if head != "PID":
        raise HarnessError(f"ps on node {node} printed {table!r} instead of a table. Does the node run?")
    return ", ".join(rows)


def control_plane(cluster: Cluster) -> tuple[str, str]:
    """Return name and address of the one control-plane node."""
    found = cluster.kube.find("v1", "Node", selector=CONTROL_PLANE_LABEL)
    if len(found) != 1:
        raise HarnessError(
            f"stop-apiserver needs exactly one control-plane node in {cluster.name}, so that the API is gone when one "
            f"server is; it has {len(found)}."
        )
    addresses = {item["type"]: item["address"] for item in found[0]["status"]["addresses"]}
    return found[0]["metadata"]["name"], addresses["InternalIP"]
