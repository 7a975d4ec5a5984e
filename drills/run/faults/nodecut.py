"""New connections of a node's own programs to the Kubernetes API are refused; those that stand go on.

A refusal comes at once, as from an API server that is gone for a moment; silence would only keep programs waiting.
So the kubelet, which has its connection, hears of new pods and starts them, while a program that begins anew with each
pod, as a CNI plugin does, reaches nobody. Pods have networks of their own, which the rule does not touch.
"""

import re

from clusters.cluster import Cluster
from clusters.runtime import HarnessError
from drills.run.faults.answer import ask
from drills.run.faults.apiserver import API_PORT, control_plane
from drills.run.faults.injury import TCP, Injury, Receipt, both
from drills.run.undo_entry import Undo

_MARK = "meshdrill-api"
_COUNTERS = "packet counters of the node"
_NODE_S = 10.0
_REFUSED = re.compile(rf"^\s*(\d+)\s+\d+\s+REJECT\b.*{_MARK}", re.MULTILINE)
_RULE = f"OUTPUT -p tcp --syn --dport {API_PORT} -m comment --comment {_MARK} -j REJECT --reject-with tcp-reset"
_TABLE = "iptables -w -n -v -x -L OUTPUT; echo asked"


class CutApi(Injury):
    """One rule on the node; seen by TCP from that node, and by the rule's own counter."""

    def __init__(self, cluster: Cluster, node: str) -> None:
        self._cluster = cluster
        self._node = node
        api_node, self._address = control_plane(cluster)
        if node == api_node:
            raise HarnessError(f"cut-api: {node} carries the API server itself; name another node.")
        answer = ask(cluster, node, self._address, API_PORT)
        if not answer.accepted:
            raise HarnessError(f"cut-api: before the fault {answer.words} to {node}; expected a connection.")

    def undo(self, run_id: str) -> Undo:
        """Remove the rule."""
        subject = f"node {self._node} reaches the API again"
        return Undo(id="fault", run_id=run_id, action="reach-api", subject=subject, node=self._node)

    def inject(self) -> str:
        """Put the rule first."""
        self._cluster.exec(self._node, ["sh", "-c", f"iptables -w -I {_RULE}"], timeout_s=_NODE_S)
        return f"new connections of node {self._node} to port {API_PORT} refused"

    def observe(self) -> Receipt:
        """Landed: the API accepts no connection from the node, and the rule counts what it refused."""
        return both(self._unreached(), self._counted())

    def glance(self, turn: int) -> Receipt | None:
        """Try to connect in one turn, look at the counter in the next."""
        return self._unreached() if turn % 2 == 0 else self._counted()

    def _unreached(self) -> Receipt:
        answer = ask(self._cluster, self._node, self._address, API_PORT)
        return Receipt(answer.refused, TCP, f"{answer.words}, asked from {self._node}")

    def _counted(self) -> Receipt:
        refused = _REFUSED.search(_table(self._cluster, self._node))
        words = f"{refused[1]} packets refused on {self._node}" if refused else f"no rule on {self._node}"
        return Receipt(refused is not None and int(refused[1]) > 0, _COUNTERS, words)


def reach(cluster: Cluster, node: str) -> None:
    """Remove the rule, however often it is there."""
    script = f"while iptables -w -D {_RULE} 2>/dev/null; do :; done"
    cluster.exec(node, ["sh", "-c", script], timeout_s=_NODE_S)


def unreached(cluster: Cluster, node: str) -> str:
    """Say that the rule still stands on the node, "" when it does not."""
    return f"node {node} still has the rule {_MARK}" if _MARK in _table(cluster, node) else ""


def _table(cluster: Cluster, node: str) -> str:
    table = cluster.exec(node, ["sh", "-c", _TABLE], timeout_s=_NODE_S, check=False)
    if "asked" not in table:
        raise HarnessError(f"The packet rules of node {node} could not be looked at: {table!r}.")
    return table
