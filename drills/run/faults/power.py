"""`reboot` and `reboot_without_api`: a node loses its power and comes back; its processes and pod networks are gone.

A kind node is a container, so its kernel does not boot; what a reboot means to Kubernetes happens all the same: the
kubelet, the runtime and all containers are killed and start anew, and what was only in memory is lost (/run, routes,
firewall rules). kind's own entry point puts its own part right; the routes that this harness laid it lays again.
Volumes, the shared directory and the Node object with its labels survive.
"""

from datetime import datetime

from clusters import network
from clusters.cluster import Cluster
from clusters.model import VICTIM, Mesh
from clusters.runtime import HarnessError, UsageError, wait_until
from drills.run.faults.api_server import CONTROL_PLANE_LABEL, StoppedApiServer, stopped_api_server
from drills.run.faults.base import BaseFault, PreparedFault, Receipt, both
from drills.run.placement import find_node
from drills.run.undo_entry import Name

_NODE_S = 10.0
_API_GONE_S = 90.0  # the kubelet looks every 20 s at worst, and open requests have their grace period
_START_TICKS = 19  # field 22 of /proc/PID/stat, counted behind the name, which may hold anything
# A report by the old kubelet can carry the second of the boot itself; its successor needs longer than this.
_REPORT_AFTER_S = 2


class Reboot(BaseFault, tag="reboot", frozen=True, kw_only=True):
    """Cut a node's power and give it back at once."""

    ends_pods = True

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Rebooted":
        """Find the healthy node; UsageError for the control plane's."""
        del mesh
        return _rebooted(cluster, find_node(cluster, self.node), run_id)


class Rebooted(PreparedFault, tag="reboot", kw_only=True):
    """A node killed and started by the container engine; seen in its own /proc: its first process is another one."""

    node: Name
    started_ticks: int  # when its first process started, in clock ticks after its host did

    is_watched = False

    @property
    def subject(self) -> str:
        """The node is up."""
        return f"node {self.node} up and Ready"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node."""
        return (self.node,)

    def inject(self, cluster: Cluster) -> str:
        """Cut the power and give it back at once."""
        cluster.power_off(self.node)
        cluster.power_on(self.node)
        return f"node {self.node} killed and started again"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the first process of the node started later than the one before the fault."""
        del turn
        now = _started_ticks(cluster, self.node)
        words = (
            f"process 1 of {self.node} started {now} clock ticks after its host; before the fault: {self.started_ticks}"
        )
        return Receipt(now > self.started_ticks, "/proc of the node", words, momentary=True)

    def revert(self, cluster: Cluster) -> None:
        """Start the node if it is down, and lay its routes again; HarnessError while its kubelet is not back."""
        cluster.power_on(self.node)
        lacks = unready(cluster, self.node)
        if lacks:
            raise HarnessError(lacks)
        network.restore_routes(cluster)  # only now does the API know the node's address, which may be a new one

    def reverted(self, cluster: Cluster) -> str:
        """Say what the node still lacks, "" when it is Ready and every node's routes are whole.

        Whether its pods come back is what a drill asks of the mesh: no part of the undo.
        """
        return unready(cluster, self.node) or network.missing_routes(cluster)


class RebootWithoutApi(BaseFault, tag="reboot-without-api", frozen=True, kw_only=True):
    """Take the API away, then cut a node's power and give it back."""

    takes_api = True
    ends_pods = True

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "RebootedWithoutApi":
        """Find the API server and the node."""
        del mesh
        api, node = stopped_api_server(cluster, run_id), find_node(cluster, self.node)
        return RebootedWithoutApi(run_id=run_id, api=api, reboot=_rebooted(cluster, node, run_id))


class RebootedWithoutApi(PreparedFault, tag="reboot-without-api", kw_only=True):
    """The API server stopped, and then the node rebooted; seen as each of the two is."""

    api: StoppedApiServer
    reboot: Rebooted

    comes_first = True

    @property
    def land_extra_s(self) -> float:
        """As long as the API server may take to stop."""
        return self.api.land_extra_s

    @property
    def subject(self) -> str:
        """The API is back, then the node: what a node lacks is known from the API alone."""
        return f"{self.api.subject}, then {self.reboot.subject}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of both."""
        return (*self.api.nodes, *self.reboot.nodes)

    def inject(self, cluster: Cluster) -> str:
        """Stop the API server, and cut the node's power once it is gone."""
        stopped = self.api.inject(cluster)
        wait_until(
            lambda: self.api.receipt(cluster),
            lambda seen: seen.landed,
            what="The API server gone",
            within_s=_API_GONE_S,
        )
        return f"{stopped}; {self.reboot.inject(cluster)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the port of the API refuses, and the first process of the node is another one.

        In a turn it looks whether the API is still away: that lasts, a reboot is an instant.
        """
        seen = self.api.receipt(cluster, turn)
        return both(seen, self.reboot.receipt(cluster)) if turn is None else seen

    def revert(self, cluster: Cluster) -> None:
        """Give the API back, then start the node."""
        self.api.revert(cluster)
        self.reboot.revert(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Say what the API server lacks, or what the node does."""
        return self.api.reverted(cluster) or self.reboot.reverted(cluster)


def unready(cluster: Cluster, node: str) -> str:
    """Say why the node is not Ready according to the kubelet that runs now, "" when it is.

    For most of a minute the API repeats what the kubelet said last before the reboot.
    """
    clock = ["sh", "-c", "date +%s; ps -o etimes= -p 1"]
    said = cluster.exec(node, clock, timeout_s=_NODE_S).split()
    if len(said) != 2:  # noqa: PLR2004 - two programs, a number each
        raise HarnessError(f"Node {node} printed {said!r}; expected its clock and the age of its first process.")
    booted_s = int(said[0]) - int(said[1])
    found = cluster.kube.get("v1", "Node", node)
    conditions = found["status"].get("conditions", []) if found else []
    ready = next((item for item in conditions if item["type"] == "Ready"), None)
    if ready is None or datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp() < booted_s + _REPORT_AFTER_S:
        return f"the kubelet of {node} has not reported since the node started"
    if ready["status"] != "True":
        return f"node {node} is not Ready: {ready.get('message', 'no message')}"
    return ""


def reboot(node: str = VICTIM, *, hold_s: float = 30.0) -> Reboot:
    """Cut a node's power and give it back at once; never the control plane's."""
    return Reboot(node=node, hold_s=hold_s)


def reboot_without_api(node: str = VICTIM, *, hold_s: float = 30.0) -> RebootWithoutApi:
    """Take the Kubernetes API away, then cut the node's power and give it back; the undo brings the API back.

    Until then its kubelet knows of no pod; then it starts all of them at once, the mesh's own parts among them.
    """
    return RebootWithoutApi(node=node, hold_s=hold_s)


def _rebooted(cluster: Cluster, node: str, run_id: str) -> Rebooted:
    of_control_plane = cluster.kube.find("v1", "Node", selector=CONTROL_PLANE_LABEL)
    if node in {found["metadata"]["name"] for found in of_control_plane}:
        raise UsageError(f"reboot: {node} carries the control plane, and with it the API. Use stop_api_server.")
    lacks = unready(cluster, node)
    if lacks:
        raise HarnessError(f"reboot needs a healthy node: {lacks}. Wait for it, or delete the cluster.")
    return Rebooted(run_id=run_id, node=node, started_ticks=_started_ticks(cluster, node))


def _started_ticks(cluster: Cluster, node: str) -> int:
    said = cluster.exec(node, ["cat", "/proc/1/stat"], timeout_s=_NODE_S)
    fields = said.rpartition(")")[2].split()
    if len(fields) <= _START_TICKS:
        raise HarnessError(f"/proc/1/stat of node {node} is {said!r}; expected the state of a process.")
    return int(fields[_START_TICKS])
