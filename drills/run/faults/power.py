"""A node that loses its power and comes back: every process of it dies at once, its pods' networks are gone.

A kind node is a container, so its kernel does not boot; what a reboot means to Kubernetes happens all the same: the
kubelet, the runtime and all containers end without goodbye and start anew, and what was only in memory is lost (/run,
routes, firewall rules). kind's own entry point puts its own part right; the routes that this harness laid it lays
again. Volumes, the shared directory and the Node object with its labels survive.
"""

from datetime import datetime

from clusters import network
from clusters.cluster import Cluster
from clusters.runtime import HarnessError, UsageError, wait_until
from drills.run.faults.apiserver import CONTROL_PLANE_LABEL, StopApiserver
from drills.run.faults.injury import Injury, Receipt, both
from drills.run.undo_entry import Undo

_NODE_S = 10.0
_API_GONE_S = 90.0  # the kubelet looks every 20 s at worst, and open requests have their grace period
_START_TICKS = 19  # field 22 of /proc/PID/stat, counted behind the name, which may hold anything
# A report by the kubelet of before can carry the second of the boot itself; its successor needs longer than this.
_REPORT_AFTER_S = 2


class Reboot(Injury):
    """Killed and started by the container engine; seen in the node's own /proc: its first process is another one."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster = cluster
        self._node = node
        of_control_plane = cluster.kube.find("v1", "Node", selector=CONTROL_PLANE_LABEL)
        if node in {found["metadata"]["name"] for found in of_control_plane}:
            raise UsageError(f"reboot: {node} carries the control plane, and with it the API. Use stop_apiserver.")
        lacks = unready(cluster, node)
        if lacks:
            raise HarnessError(f"reboot needs a healthy node: {lacks}. Wait for it, or delete the cluster.")
        self._before = self._started_ticks()

    def undo(self, run_id: str) -> Undo:
        """Start the node if it is down, wait for its kubelet, and lay its routes again."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="boot-node",
            subject=f"node {self._node} up and Ready",
            node=self._node,
        )

    def inject(self) -> str:
        """Cut the power and give it back at once."""
        self._cluster.power_off(self._node)
        self._cluster.power_on(self._node)
        return f"node {self._node} killed and started again"

    def observe(self) -> Receipt:
        """Landed: the first process of the node started later than the one of before."""
        now = self._started_ticks()
        words = f"process 1 of {self._node} started {now} clock ticks after its host; before the fault: {self._before}"
        return Receipt(now > self._before, "/proc of the node", words, momentary=True)

    def _started_ticks(self) -> int:
        said = self._cluster.exec(self._node, ["cat", "/proc/1/stat"], timeout_s=_NODE_S)
        fields = said.rpartition(")")[2].split()
        if len(fields) <= _START_TICKS:
            raise HarnessError(f"/proc/1/stat of node {self._node} is {said!r}; expected the state of a process.")
        return int(fields[_START_TICKS])


class RebootWithoutApi(Injury):
    """The API server stopped, and then the node rebooted; seen as each of the two is, both at once."""

    land_extra_s = StopApiserver.land_extra_s

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._api, self._reboot = StopApiserver(cluster), Reboot(cluster, node)
        self._node = node

    def undo(self, run_id: str) -> Undo:
        """Give the API back first: what a node lacks is told by it alone."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="boot-node-after-api",
            subject=f"the API server back, then node {self._node} up and Ready",
            node=self._node,
            api_node=self._api.node,
        )

    def inject(self) -> str:
        """Stop the API server, and cut the node's power once it is gone."""
        stopped = self._api.inject()
        wait_until(self._api.observe, lambda seen: seen.landed, what="The API server gone", within_s=_API_GONE_S)
        return f"{stopped}; {self._reboot.inject()}"

    def observe(self) -> Receipt:
        """Landed: the port of the API refuses, and the first process of the node is another one."""
        return both(self._api.observe(), self._reboot.observe())

    def glance(self, turn: int) -> Receipt | None:
        """Look whether the API is still away: that lasts, a reboot is an instant."""
        return self._api.glance(turn)


def boot(cluster: Cluster, node: str) -> None:
    """Start the node if it is down, and restore what the harness laid; HarnessError while its kubelet is not back."""
    cluster.power_on(node)
    lacks = unready(cluster, node)
    if lacks:
        raise HarnessError(lacks)
    network.relay(cluster)  # only now does the API know the node's address, which may be another one than before


def not_back(cluster: Cluster, node: str) -> str:
    """Say what the node still lacks, "" when it is Ready and every node's routes are whole.

    Whether its pods come back is what a drill asks of the mesh: no part of the undo.
    """
    return unready(cluster, node) or network.missing_routes(cluster)


def unready(cluster: Cluster, node: str) -> str:
    """Say why the node is not Ready by the word of the kubelet that runs now, "" when it is.

    For most of a minute the API repeats what the kubelet of before the reboot said last.
    """
    clock = ["sh", "-c", "date +%s; ps -o etimes= -p 1"]
    said = cluster.exec(node, clock, timeout_s=_NODE_S).split()
    if len(said) != 2:  # noqa: PLR2004 - two programs, a number each
        raise HarnessError(f"Node {node} told {said!r}; expected its clock and the age of its first process.")
    booted_s = int(said[0]) - int(said[1])
    found = cluster.kube.get("v1", "Node", node)
    conditions = found["status"].get("conditions", []) if found else []
    ready = next((item for item in conditions if item["type"] == "Ready"), None)
    if ready is None or datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp() < booted_s + _REPORT_AFTER_S:
        return f"the kubelet of {node} has not reported since the node started"
    if ready["status"] != "True":
        return f"node {node} is not Ready: {ready.get('message', 'no message')}"
    return ""
