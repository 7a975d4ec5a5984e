"""`block_api`: new connections of a node's own programs to the Kubernetes API are refused; established ones continue.

The refusal is immediate, as from an API server that is briefly down; dropped packets would only delay programs. The
kubelet keeps its connection, so it learns of new pods and starts them. A program that starts with each pod, such as a
CNI plugin, cannot connect. The rule does not affect pods with a network namespace of their own.
"""

import re

from clusters.cluster import Cluster, find_node
from clusters.model import VICTIM, Mesh
from clusters.runtime import HarnessError
from drills.run.faults.api_server import API_PORT, control_plane
from drills.run.faults.base import TCP, BaseFault, PreparedFault, Receipt, both
from drills.run.faults.tcp import ask
from drills.run.timing import Timing
from drills.run.undo_entry import Name

_MARK = "meshdrill-api"
_COUNTERS = "packet counters of the node"
_NODE_S = 10.0
_REFUSED = re.compile(rf"^\s*(\d+)\s+\d+\s+REJECT\b.*{_MARK}", re.MULTILINE)
_RULE = f"OUTPUT -p tcp --syn --dport {API_PORT} -m comment --comment {_MARK} -j REJECT --reject-with tcp-reset"
_TABLE = "iptables -w -n -v -x -L OUTPUT; echo asked"


class BlockApi(BaseFault, tag="block-api", frozen=True, kw_only=True):
    """Refuse the new connections of one node's programs to the API."""

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "BlockedApi":
        """Find the node, which must reach the API before the fault; HarnessError for the API server's own node."""
        node = find_node(cluster, self.node)
        api_node, address = control_plane(cluster)
        if node == api_node:
            raise HarnessError(f"block-api: {node} runs the API server itself; name another node.")
        answer = ask(cluster, node, address, API_PORT)
        if not answer.accepted:
            raise HarnessError(f"block-api: before the fault {answer.words} to {node}; expected a connection.")
        return BlockedApi(run_id=run_id, node=node, address=address)


class BlockedApi(PreparedFault, tag="block-api", kw_only=True):
    """One firewall rule on a node; observed by TCP from that node, and by the rule's packet counter."""

    node: Name
    address: Name

    @property
    def subject(self) -> str:
        """The rule is gone."""
        return f"node {self.node} reaches the API again"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node with the rule."""
        return (self.node,)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Insert the rule at the top of the chain."""
        cluster.exec(self.node, ["sh", "-c", f"iptables -w -I {_RULE}"], timeout_s=_NODE_S)
        return f"new connections of node {self.node} to port {API_PORT} refused"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: connections from the node are refused, and the rule counts them. A turn is one of the two."""
        if turn is None:
            return both(self._unreached(cluster), self._counted(cluster))
        return self._unreached(cluster) if turn % 2 == 0 else self._counted(cluster)

    def revert(self, cluster: Cluster) -> None:
        """Remove every copy of the rule."""
        script = f"while iptables -w -D {_RULE} 2>/dev/null; do :; done"
        cluster.exec(self.node, ["sh", "-c", script], timeout_s=_NODE_S)

    def reverted(self, cluster: Cluster) -> str:
        """Return that the rule still exists, "" when it does not."""
        return f"node {self.node} still has the rule {_MARK}" if _MARK in self._table(cluster) else ""

    def _unreached(self, cluster: Cluster) -> Receipt:
        answer = ask(cluster, self.node, self.address, API_PORT)
        return Receipt(answer.refused, TCP, f"{answer.words}, asked from {self.node}")

    def _counted(self, cluster: Cluster) -> Receipt:
        refused = _REFUSED.search(self._table(cluster))
        words = f"{refused[1]} packets refused on {self.node}" if refused else f"no rule on {self.node}"
        return Receipt(refused is not None and int(refused[1]) > 0, _COUNTERS, words)

    def _table(self, cluster: Cluster) -> str:
        table = cluster.exec(self.node, ["sh", "-c", _TABLE], timeout_s=_NODE_S, check=False)
        if "asked" not in table:
            raise HarnessError(f"The packet rules of node {self.node} could not be read: {table!r}.")
        return table


def block_api(node: str = VICTIM, *, hold_s: float = 30.0) -> BlockApi:
    """Refuse new connections of a node's own programs to the Kubernetes API; established ones continue."""
    return BlockApi(node=node, hold_s=hold_s)
