"""`stop_api_server`: moves the manifest of its static pod out of the kubelet's folder, on the only control-plane node.

The kubelet ends the process, and the port refuses connections. No request to the API is answered during the fault,
including those of the harness, so injection, receipts and revert use the nodes only. The controllers and the scheduler
lose their leases and restart; after a long outage they wait out the kubelet's back-off.
"""

from clusters.cluster import Cluster
from clusters.model import Mesh
from clusters.runtime import HarnessError
from drills.run.faults.base import TABLES, TCP, BaseFault, PreparedFault, Receipt
from drills.run.faults.tcp import Answer, ask
from drills.run.timing import Timing
from drills.run.undo_entry import Name

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
API_PORT = 6443

_MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
_PARKED = "/etc/kubernetes/meshdrill-kube-apiserver.yaml"  # on the same file system, so that the move is atomic
_PROCESS = "kube-apiserver"
_NODE_S = 10.0


class StopApiServer(BaseFault, tag="stop-api-server", frozen=True, kw_only=True):
    """Stop the only API server."""

    takes_api = True

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "StoppedApiServer":
        """Find the control-plane node, and another node to observe it from."""
        return stopped_api_server(cluster, run_id)


class StoppedApiServer(PreparedFault, tag="stop-api-server", kw_only=True):
    """A stopped API server; observed by TCP from another node, and in its node's process table."""

    node: Name
    address: Name
    watcher: Name

    comes_first = True

    def land_extra_s(self, timing: Timing) -> float:
        """The kubelet stops it only when it reads its folder again."""
        return timing.api_stops_extra_s

    @property
    def subject(self) -> str:
        """The API server answers."""
        return f"the API server back on {self.node}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The control plane and the watcher."""
        return self.node, self.watcher

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Move the manifest out of the kubelet's folder."""
        cluster.exec(self.node, ["mv", _MANIFEST, _PARKED], timeout_s=_NODE_S)
        return f"{_MANIFEST} of {self.node} moved to {_PARKED}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the port refuses another node, and the process is gone. A turn is one of the two."""
        if turn is None:
            answer, pids = self._ask(cluster), _pids(cluster, self.node)
            return Receipt(answer.refused and not pids, f"{TCP}, {TABLES}", f"{answer.words}; {self._words(pids)}")
        if turn % 2 == 0:
            answer = self._ask(cluster)
            return Receipt(answer.refused, TCP, answer.words)
        pids = _pids(cluster, self.node)
        return Receipt(not pids, TABLES, self._words(pids))

    def revert(self, cluster: Cluster) -> None:
        """Move the manifest back, using the node only; does nothing when it is there."""
        script = f"test ! -e {_PARKED} || mv -f {_PARKED} {_MANIFEST}"
        cluster.exec(self.node, ["sh", "-c", script], timeout_s=_NODE_S)

    def reverted(self, cluster: Cluster) -> str:
        """Return why the API server is not back, "" when it reports ready and answers the harness."""
        url = f"https://127.0.0.1:{API_PORT}/readyz"
        # The certificate is not verified: the request stays on the node, and only decides how long to wait.
        command = ["curl", "--silent", "--insecure", "--max-time", "2", url]
        said = cluster.exec(self.node, command, timeout_s=_NODE_S, check=False)
        if said.strip() != "ok":
            return f"the API server on {self.node} does not report ready: {said.strip() or 'no reply'}"
        cluster.kube.find("v1", "Node")  # raises while the harness cannot reach the API
        return ""

    def _ask(self, cluster: Cluster) -> Answer:
        return ask(cluster, self.watcher, self.address, API_PORT)

    def _words(self, pids: str) -> str:
        return f"process {_PROCESS!r} on {self.node}: {pids or 'none'}"


def stopped_api_server(cluster: Cluster, run_id: str) -> StoppedApiServer:
    """Return the fault for the cluster's API server; HarnessError unless it is the only one and can be observed."""
    node, address = control_plane(cluster)
    others = [other for other in cluster.nodes if other != node]
    if not others:
        raise HarnessError(f"stop-api-server needs a second node besides {node}, to observe that the port refuses.")
    return StoppedApiServer(run_id=run_id, node=node, address=address, watcher=others[0])


def control_plane(cluster: Cluster) -> tuple[str, str]:
    """Return name and address of the one control-plane node."""
    found = cluster.kube.find("v1", "Node", selector=CONTROL_PLANE_LABEL)
    if len(found) != 1:
        raise HarnessError(
            f"The fault needs exactly one control-plane node in {cluster.name}, so that it has one API server; "
            f"it has {len(found)}."
        )
    addresses = {item["type"]: item["address"] for item in found[0]["status"]["addresses"]}
    return found[0]["metadata"]["name"], addresses["InternalIP"]


def stop_api_server(*, hold_s: float = 30.0) -> StopApiServer:
    """Stop the Kubernetes API server until the undo; probes then record only that it does not answer."""
    return StopApiServer(hold_s=hold_s)


def _pids(cluster: Cluster, node: str) -> str:
    """Return the process ids, "" for none; ps fails when it finds none, and still prints its header."""
    table = cluster.exec(node, ["ps", "-C", _PROCESS, "-o", "pid"], timeout_s=_NODE_S, check=False)
    head, *rows = table.split() or [""]
    if head != "PID":
        raise HarnessError(f"ps on node {node} printed {table!r} instead of a table. Does the node run?")
    return ", ".join(rows)
