"""`partition`: drops every packet between a component's pods and all others, while the processes keep running.

The rules are in the pod's network namespace, which every packet of the pod passes, whatever carries it outside (routes,
tunnels, eBPF that bypasses the node's own rules). All of them are in one chain with a fixed name, so that a sweep finds
them on any node without knowing the pod. They survive a container restart. A replaced pod has a new network namespace
without them, and its receipt fails.

Two things pass: the pod's loopback, and its gateway, through which the kubelet of its node probes readiness. So the pod
stays Ready: no restart repairs it, and Kubernetes reports no loss. Other programs of the node outside pods reach it
through the gateway, too. A component with host networking is rejected, because its packets are those of the node. Only
IPv4 is cut.
"""

import re

import msgspec

from clusters.cluster import Cluster
from clusters.model import Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults.base import TCP, BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.tcp import Answer, ask
from drills.run.faults.views import pod_addresses
from drills.run.timing import Timing
from drills.run.undo_entry import Name

_CHAIN = "MESHDRILL"
_COUNTERS = "packet counters in the pods' networks"
_NODE_S = 20.0
_DROPPED = re.compile(r"^\s*(\d+)\s+\d+\s+DROP\b", re.MULTILINE)
_GATEWAY = re.compile(r"^default via (\S+)", re.MULTILINE)
# One transaction: it is never half in force.
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
# The runtime keeps every pod's network namespace in this folder, even if no program of the pod runs.
_NETWORKS = "for net in /run/netns/*; do test -e $net || continue; "
_FIND = f'{_NETWORKS} nsenter --net=$net iptables -w -n -L {_CHAIN} >/dev/null 2>&1 && echo "$net"; done; true'
_REMOVE = (
    f"{_NETWORKS} for hook in INPUT OUTPUT; do"
    f" while nsenter --net=$net iptables -w -D $hook -j {_CHAIN} 2>/dev/null; do :; done; done;"
    f" nsenter --net=$net sh -c 'iptables -w -F {_CHAIN} && iptables -w -X {_CHAIN}' 2>/dev/null; done; true"
)


class Partition(BaseFault, tag="partition", frozen=True, kw_only=True):
    """Cut a role's pods off from everything except their kubelets."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Partitioned":
        """Find each pod's network namespace and gateway; every pod must reply on its port before the fault."""
        component = self.component(mesh)
        cut = Partitioned(run_id=run_id, component=component, replicas=healthy(cluster, component, self.title), pods=())
        if not component.port:
            raise UsageError(f"partition needs a port on which {cut.title} replies; the mesh names none.")
        if len(cluster.nodes) == 1:
            raise HarnessError("partition needs a second node, to observe that no pod is reachable.")
        addresses = pod_addresses(cluster, component)
        found = {process.pod: process for process in cut.found(cluster)}
        cut.pods = tuple(
            CutPod(
                process.node,
                name,
                process.pid,
                addresses.get(name, ""),
                next(node for node in cluster.nodes if node != process.node),
                _gateway(cluster, process.node, process.pid, name),
            )
            for name, process in sorted(found.items())
        )
        for pod in cut.pods:
            answer = cut.ask(cluster, pod)
            if not answer.replied:
                raise HarnessError(f"partition: before the fault {answer.words} to {pod.watcher}; expected a reply.")
        return cut


class CutPod(msgspec.Struct, frozen=True):
    """One pod to cut off."""

    node: Name
    name: Name
    pid: int  # of a process in its network namespace
    address: Name
    watcher: Name  # a node that must not reach it
    gateway: Name


class Partitioned(ComponentFault, tag="partition", kw_only=True):
    """Pods cut off by firewall rules; observed by TCP from another node, and by the rules' packet counters."""

    pods: tuple[CutPod, ...]

    @property
    def subject(self) -> str:
        """No rule is left."""
        return f"{self.title} reached again"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the pods and their watchers."""
        return tuple(node for pod in self.pods for node in (pod.node, pod.watcher))

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Load the rules in the network namespace of each pod."""
        for pod in self.pods:
            rules = _RULES.format(gateway=pod.gateway)
            _within(cluster, pod.node, pod.pid, f"iptables-restore --noflush <<'RULES'\n{rules}\nRULES")
        return f"packets dropped in the networks of {', '.join(f'{pod.name} on {pod.node}' for pod in self.pods)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: TCP to each pod from another node is neither accepted nor refused, and each pod's rules count.

        A turn is one pod: its reachability, or its counter.
        """
        if turn is not None:
            pod = self.pods[turn // 2 % len(self.pods)]
            return self._unreached(cluster, pod) if turn % 2 == 0 else self._counted(cluster, pod)
        seen = [look for pod in self.pods for look in (self._unreached(cluster, pod), self._counted(cluster, pod))]
        words = "; ".join(receipt.evidence for receipt in seen)
        return Receipt(all(receipt.landed for receipt in seen), f"{TCP}, {_COUNTERS}", words)

    def revert(self, cluster: Cluster) -> None:
        """Remove the chain from every network namespace of every node; harmless where there is none."""
        for node in cluster.nodes:
            cluster.exec(node, ["sh", "-c", _REMOVE], timeout_s=_NODE_S)

    def reverted(self, cluster: Cluster) -> str:
        """Return which network namespaces still have the chain, or how many replicas are not ready."""
        for node in cluster.nodes:
            found = cluster.exec(node, ["sh", "-c", _FIND], timeout_s=_NODE_S).split()
            if found:
                return f"rules {_CHAIN} still drop packets on node {node} in {', '.join(found)}"
        return super().reverted(cluster)

    def ask(self, cluster: Cluster, pod: CutPod) -> Answer:
        """Connect to the pod's port from its watcher."""
        return ask(cluster, pod.watcher, pod.address, self.component.port)

    def _unreached(self, cluster: Cluster, pod: CutPod) -> Receipt:
        answer = self.ask(cluster, pod)
        return Receipt(not answer.accepted and not answer.refused, TCP, f"{answer.words}, asked from {pod.watcher}")

    @staticmethod
    def _counted(cluster: Cluster, pod: CutPod) -> Receipt:
        # Without the chain the output has only the last word; a dead node prints nothing.
        table = _within(cluster, pod.node, pod.pid, f"iptables -w -n -v -x -L {_CHAIN} 2>/dev/null; echo asked")
        if "asked" not in table:
            raise HarnessError(f"The network of pod {pod.name} on {pod.node} could not be read: {table!r}.")
        dropped = _DROPPED.search(table)
        words = f"{pod.name}: {f'{dropped[1]} packets dropped' if dropped else 'no rule in its network'}"
        return Receipt(dropped is not None and int(dropped[1]) > 0, _COUNTERS, words)


def partition(role: Role, *, hold_s: float = 30.0) -> Partition:
    """Drop every packet of the role's pods except those of their own kubelet: alive, Ready, and cut off."""
    return Partition(role=role, hold_s=hold_s)


def _gateway(cluster: Cluster, node: str, pid: int, name: str) -> str:
    same = f"readlink /proc/1/ns/net; readlink /proc/{pid}/ns/net"
    nets = cluster.exec(node, ["sh", "-c", same], timeout_s=_NODE_S).split()
    if len(set(nets)) == 1:
        raise UsageError(
            f"partition: pod {name} is in the network of node {node}; its packets are those of the node. Use "
            "keep_off_node, kill or pause."
        )
    routes = _within(cluster, node, pid, "ip -4 route show default")
    gateway = _GATEWAY.search(routes)
    if gateway is None:
        raise HarnessError(f"Pod {name} on {node} has no default gateway: its routes are {routes!r}.")
    return gateway[1]


def _within(cluster: Cluster, node: str, pid: int, script: str) -> str:
    """Run a script in the network namespace of a process on a node."""
    command = ["nsenter", "--target", str(pid), "--net", "sh", "-c", script]
    return cluster.exec(node, command, timeout_s=_NODE_S)
