"""Every packet between a component's pods and everyone else is dropped; the processes live on and know of nothing.

The rules stand in the pod's own network, where every packet of it passes whatever carries it outside (routes,
tunnels, eBPF that goes round the node's own rules). All of them are in one chain that bears our name, so that a sweep
finds them on any node without knowing the pod. They outlive a container that starts anew in its pod; a pod that is
replaced has a network without them, and loses the receipt.

Two things pass: the pod's own loopback, and its gateway, from where the kubelet of its node asks whether it is ready.
The pod therefore stays Ready: no restart heals it, and Kubernetes tells nobody. Other programs of that node that are
in no pod reach it through the gateway, too. A component in the network of its node cannot be told from the node, and
is refused. Only IPv4 is cut.
"""

import re
from dataclasses import dataclass

from clusters.cluster import Cluster
from clusters.model import Component
from clusters.runtime import HarnessError, UsageError
from drills.run.faults.answer import Answer, ask
from drills.run.faults.injury import TCP, Hurt, Receipt
from drills.run.faults.views import pod_addresses
from drills.run.undo_entry import Undo

_CHAIN = "MESHDRILL"
_COUNTERS = "packet counters in the pods' networks"
_NODE_S = 20.0
_DROPPED = re.compile(r"^\s*(\d+)\s+\d+\s+DROP\b", re.MULTILINE)
_GATEWAY = re.compile(r"^default via (\S+)", re.MULTILINE)
# One transaction: there is no moment at which half of it is in force.
_RULES = f"""*filter
:{_CHAIN} - [0:0]
-A {_CHAIN} -i lo -j RETURN
-A {_CHAIN} -o lo -j RETURN
-A {_CHAIN} -s {{gateway}} -j RETURN
-A {_CHAIN} -d {{gateway}} -j RETURN
-A {_CHAIN} -j DROP
-I INPUT -j {_CHAIN}
-I OUTPUT -j {_CHAIN}
COMMIT"""
# The runtime keeps every pod's network under this folder, whether or not a program of the pod lives.
_NETWORKS = "for net in /run/netns/*; do test -e $net || continue; "
_FIND = f'{_NETWORKS} nsenter --net=$net iptables -w -n -L {_CHAIN} >/dev/null 2>&1 && echo "$net"; done; true'
_REMOVE = (
    f"{_NETWORKS} for hook in INPUT OUTPUT; do"
    f" while nsenter --net=$net iptables -w -D $hook -j {_CHAIN} 2>/dev/null; do :; done; done;"
    f" nsenter --net=$net sh -c 'iptables -w -F {_CHAIN} && iptables -w -X {_CHAIN}' 2>/dev/null; done; true"
)


@dataclass(frozen=True)
class _Pod:
    """One pod that is cut off."""

    node: str
    name: str
    pid: int  # of a process in its network
    address: str
    watcher: str  # a node that must not reach it


class Partition(Hurt):
    """Cut off by rules in the pods' networks; seen by TCP from another node, and by the rules' own counters."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        super().__init__(cluster, component, replicas)
        if not component.port:
            raise UsageError(
                f"partition needs a port of {self._title} that answers while it is reached; none is named."
            )
        self._pods = self._take()
        self._gateways = {pod: self._gateway(pod) for pod in self._pods}
        for pod in self._pods:
            self._demand_answer(pod)

    def undo(self, run_id: str) -> Undo:
        """Remove every rule of ours on every node."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="heal",
            subject=f"{self._title} reached again",
            component=self._component,
            replicas=self._replicas,
        )

    def inject(self) -> str:
        """Put the rules in force in the network of each pod."""
        for pod in self._pods:
            rules = _RULES.format(gateway=self._gateways[pod])
            self._within(pod, f"iptables-restore --noflush <<'RULES'\n{rules}\nRULES")
        return f"packets dropped in the networks of {', '.join(f'{pod.name} on {pod.node}' for pod in self._pods)}"

    def observe(self) -> Receipt:
        """Landed: TCP to each pod from another node is neither accepted nor refused, and each pod's rules count."""
        seen = [receipt for pod in self._pods for receipt in (self._unreached(pod), self._counted(pod))]
        words = "; ".join(receipt.evidence for receipt in seen)
        return Receipt(all(receipt.landed for receipt in seen), f"{TCP}, {_COUNTERS}", words)

    def glance(self, turn: int) -> Receipt | None:
        """Look at one pod: whether it is reached in one turn, and what its rules count in the next."""
        pod = self._pods[turn // 2 % len(self._pods)]
        return self._unreached(pod) if turn % 2 == 0 else self._counted(pod)

    def _take(self) -> tuple[_Pod, ...]:
        addresses = pod_addresses(self._cluster, self._component)
        found = {process.pod: process for process in self._found()}
        if len(self._cluster.nodes) == 1:
            raise HarnessError("partition needs a second node from which to see that nobody is reached.")
        return tuple(
            _Pod(
                process.node,
                name,
                process.pid,
                addresses.get(name, ""),
                next(node for node in self._cluster.nodes if node != process.node),
            )
            for name, process in sorted(found.items())
        )

    def _gateway(self, pod: _Pod) -> str:
        same = f"readlink /proc/1/ns/net; readlink /proc/{pod.pid}/ns/net"
        nets = self._cluster.exec(pod.node, ["sh", "-c", same], timeout_s=_NODE_S).split()
        if len(set(nets)) == 1:
            raise UsageError(
                f"partition: pod {pod.name} is in the network of node {pod.node}; its packets cannot be told from the "
                "node's. Use keep_off, crash or hang."
            )
        routes = self._within(pod, "ip -4 route show default")
        gateway = _GATEWAY.search(routes)
        if gateway is None:
            raise HarnessError(f"Pod {pod.name} on {pod.node} has no default gateway: its routes are {routes!r}.")
        return gateway[1]

    def _demand_answer(self, pod: _Pod) -> None:
        answer = self._ask(pod)
        if not answer.replied:
            raise HarnessError(f"partition: before the fault {answer.words} to {pod.watcher}; expected a reply.")

    def _unreached(self, pod: _Pod) -> Receipt:
        answer = self._ask(pod)
        return Receipt(not answer.accepted and not answer.refused, TCP, f"{answer.words}, asked from {pod.watcher}")

    def _counted(self, pod: _Pod) -> Receipt:
        # A chain that is absent is what the answer "no rule" looks like; a node that is gone fails to run the rest.
        table = self._within(pod, f"iptables -w -n -v -x -L {_CHAIN} 2>/dev/null; echo asked")
        if "asked" not in table:
            raise HarnessError(f"The network of pod {pod.name} on {pod.node} could not be looked at: {table!r}.")
        dropped = _DROPPED.search(table)
        words = f"{pod.name}: {f'{dropped[1]} packets dropped' if dropped else 'no rule in its network'}"
        return Receipt(dropped is not None and int(dropped[1]) > 0, _COUNTERS, words)

    def _ask(self, pod: _Pod) -> Answer:
        return ask(self._cluster, pod.watcher, pod.address, self._component.port)

    def _within(self, pod: _Pod, script: str) -> str:
        command = ["nsenter", "--target", str(pod.pid), "--net", "sh", "-c", script]
        return self._cluster.exec(pod.node, command, timeout_s=_NODE_S)


def heal(cluster: Cluster) -> None:
    """Remove every rule of ours from every network of every node; harmless where there is none."""
    for node in cluster.nodes:
        cluster.exec(node, ["sh", "-c", _REMOVE], timeout_s=_NODE_S)


def cut(cluster: Cluster) -> str:
    """Say which networks still have rules of ours, "" when none has."""
    for node in cluster.nodes:
        found = cluster.exec(node, ["sh", "-c", _FIND], timeout_s=_NODE_S).split()
        if found:
            return f"rules {_CHAIN} still drop packets on node {node} in {', '.join(found)}"
    return ""
