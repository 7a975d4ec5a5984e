"""`reboot` and `reboot_without_api`: a node loses power and comes back, without its processes and pod networks.

A kind node is a container, so its kernel does not boot. Everything else that a reboot means to Kubernetes happens: the
kubelet, the runtime and all containers are killed and restart, and what was only in memory is lost (/run, routes,
firewall rules). kind's entry point restores kind's own settings; this harness restores the routes that it had added.
Volumes, the shared directory and the Node object with its labels survive.
"""

from datetime import datetime

from clusters import network
from clusters.cluster import Cluster, find_node
from clusters.model import VICTIM, Mesh
from clusters.runtime import HarnessError, UsageError, wait_until
from drills.run.faults.api_server import CONTROL_PLANE_LABEL, StoppedApiServer, stopped_api_server
from drills.run.faults.base import BaseFault, PreparedFault, Receipt, both
from drills.run.timing import Timing
from drills.run.undo_entry import Name

_NODE_S = 10.0
_START_TICKS = 19  # field 22 of /proc/PID/stat, counted after the name, which may contain spaces
# The old kubelet may report in the very second of the boot; the new one needs longer than this.
_REPORT_AFTER_S = 2


class Reboot(BaseFault, tag="reboot", frozen=True, kw_only=True):
    """Power a node off and on again."""

    ends_pods = True

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Rebooted":
        """Find the healthy node; UsageError for the control plane's."""
        return _rebooted(cluster, find_node(cluster, self.node), run_id)


class Rebooted(PreparedFault, tag="reboot", kw_only=True):
    """A node that the container engine killed and started; observed in its /proc: process 1 is a new one."""

    node: Name
    started_ticks: int  # start time of process 1, in clock ticks since the host's boot

    is_watched = False

    @property
    def subject(self) -> str:
        """The node is Ready."""
        return f"node {self.node} up and Ready"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node."""
        return (self.node,)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Power the node off and on."""
        cluster.power_off(self.node)
        cluster.power_on(self.node)
        return f"node {self.node} killed and started again"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: process 1 of the node started later than before the fault."""
        now = _started_ticks(cluster, self.node)
        words = (
            f"process 1 of {self.node} started {now} clock ticks after its host; before the fault: {self.started_ticks}"
        )
        return Receipt(now > self.started_ticks, "/proc of the node", words, momentary=True)

    def revert(self, cluster: Cluster) -> None:
        """Start the node if it is down, and restore its routes; HarnessError while its kubelet is not back."""
        cluster.power_on(self.node)
        lacks = unready(cluster, self.node)
        if lacks:
            raise HarnessError(lacks)
        network.restore_routes(cluster)  # only now does the API know the node's address, which may be a new one

    def reverted(self, cluster: Cluster) -> str:
        """Return what the node still lacks, "" when it is Ready and every node has its routes.

        Whether its pods come back is for the drill's claims, not for the undo.
        """
        return unready(cluster, self.node) or network.missing_routes(cluster)


class RebootWithoutApi(BaseFault, tag="reboot-without-api", frozen=True, kw_only=True):
    """Stop the API server, then power a node off and on."""

    takes_api = True
    ends_pods = True

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "RebootedWithoutApi":
        """Find the API server and the node."""
        api, node = stopped_api_server(cluster, run_id), find_node(cluster, self.node)
        return RebootedWithoutApi(run_id=run_id, api=api, reboot=_rebooted(cluster, node, run_id))


class RebootedWithoutApi(PreparedFault, tag="reboot-without-api", kw_only=True):
    """A stopped API server, and then a rebooted node; observed as each of the two is."""

    api: StoppedApiServer
    reboot: Rebooted

    comes_first = True

    def land_extra_s(self, timing: Timing) -> float:
        """As for the API server."""
        return self.api.land_extra_s(timing)

    @property
    def subject(self) -> str:
        """The API answers, then the node is Ready: only the API knows what a node lacks."""
        return f"{self.api.subject}, then {self.reboot.subject}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of both."""
        return (*self.api.nodes, *self.reboot.nodes)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Stop the API server, and reboot the node once the API is gone."""
        stopped = self.api.inject(cluster, timing)
        wait_until(
            lambda: self.api.receipt(cluster),
            lambda seen: seen.landed,
            what="The API server gone",
            within_s=timing.api_stops_within_s,
            every_s=timing.poll_every_s,
        )
        return f"{stopped}; {self.reboot.inject(cluster, timing)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the API's port refuses, and process 1 of the node is a new one.

        A turn is the API server: its absence lasts, a reboot is momentary.
        """
        seen = self.api.receipt(cluster, turn)
        return both(seen, self.reboot.receipt(cluster)) if turn is None else seen

    def revert(self, cluster: Cluster) -> None:
        """Bring the API server back, then the node."""
        self.api.revert(cluster)
        self.reboot.revert(cluster)

    def reverted(self, cluster: Cluster) -> str:
        """Return what the API server lacks, or what the node lacks."""
        return self.api.reverted(cluster) or self.reboot.reverted(cluster)


def unready(cluster: Cluster, node: str) -> str:
    """Return why the node is not Ready according to its current kubelet, "" when it is.

    For most of a minute the API still has the last report from before the reboot.
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
    """Power a node off and on again; never the control plane's."""
    return Reboot(node=node, hold_s=hold_s)


def reboot_without_api(node: str = VICTIM, *, hold_s: float = 30.0) -> RebootWithoutApi:
    """Stop the Kubernetes API server, then power the node off and on; the undo brings the API back.

    Until then its kubelet knows no pod; then it starts all of them at once, including the mesh's own.
    """
    return RebootWithoutApi(node=node, hold_s=hold_s)


def _rebooted(cluster: Cluster, node: str, run_id: str) -> Rebooted:
    of_control_plane = cluster.kube.find("v1", "Node", selector=CONTROL_PLANE_LABEL)
    if node in {found["metadata"]["name"] for found in of_control_plane}:
        raise UsageError(f"reboot: {node} runs the control plane, and with it the API. Use stop_api_server.")
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
