"""The state of the double of nodes and node agents, and what the DaemonSet controller makes of it."""

import json
from typing import cast

import msgspec

from clusters.cluster import PLACED
from clusters.kube import Json
from clusters.model import BYSTANDER, VICTIM
from drills.run.faults.api_server import CONTROL_PLANE_LABEL
from drills.selftest.doubles.cluster_world import NODES, Process, World

CONTROL_PLANE = NODES[0]
PARTS = {BYSTANDER: NODES[0], VICTIM: NODES[1]}
ADDRESSES = {NODES[0]: "172.18.0.2", NODES[1]: "172.18.0.3"}
RANGES = {NODES[0]: "10.244.0.0/24", NODES[1]: "10.244.1.0/24"}
_STRATEGY: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
_UID = "{:08x}-0000-4000-8000-00000000000a"


def _daemon() -> Json:
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "system", "generation": 1},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "updateStrategy": _STRATEGY,
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"priority": 7}},
        },
        "status": {"observedGeneration": 1},
    }


class NodeWorld(World):
    """The state of the double, nodes and their agents included."""

    daemon: Json = msgspec.field(default_factory=_daemon)
    made_of: dict[str, str] = msgspec.field(default_factory=dict)  # pod UID -> the template that it was made of
    boots: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(NODES, 1))
    labels: dict[str, list[str]] = msgspec.field(default_factory=lambda: {node: _labels_of(node) for node in NODES})
    off: list[str] = msgspec.field(default_factory=list)
    mute: list[str] = msgspec.field(default_factory=list)  # nodes whose kubelet has not reported since the boot
    routes: dict[str, str] = msgspec.field(default_factory=lambda: {node: _route_of(node) for node in NODES})
    api_cut: dict[str, int] = msgspec.field(default_factory=dict)  # node -> new connections to the API refused on it
    cut: dict[str, int] = msgspec.field(default_factory=dict)  # pod UID -> packets dropped in its network
    is_in_node_network: bool = False  # the agent's pods have no network of their own
    is_parked: bool = False  # the API server's manifest is out of the kubelet's sight
    is_stuck: bool = False  # the controller replaces one pod and no more
    is_controller_late: bool = False  # it has not taken up the last change
    is_furnished: bool = False

    def agents(self) -> list[Process]:
        """Return the processes of the agent."""
        return [process for process in self.processes if process.pod.startswith("agent-")]

    def start_agent(self, node: str) -> None:
        """Start the agent's pod of one node."""
        self.next_pid += 1
        pid = self.next_pid
        uid, address = _UID.format(pid), f"10.0.1.{pid % 250}"
        self.processes.append(Process(pid, node, "/agent-server", f"agent-{pid:05}", "system", uid, address))
        self.made_of[uid] = _text(self.template)

    @property
    def template(self) -> Json:
        """The pod template in force."""
        return cast("Json", self.daemon["spec"]["template"])

    def wanted(self) -> list[str]:
        """Return the nodes that the template's node selector takes."""
        selector = self.template["spec"].get("nodeSelector", {})
        return [node for node in NODES if not self.is_removed and selector.keys() <= set(self.labels[node])]

    def reconcile(self) -> None:
        """Do what the DaemonSet controller does after a change."""
        if self.survives:
            return
        replaces = self.daemon["spec"]["updateStrategy"]["type"] == "RollingUpdate"
        stays = [
            agent
            for agent in self.agents()
            if agent.node in self.wanted() and (not replaces or self.made_of[agent.uid] == _text(self.template))
        ]
        going = [agent for agent in self.agents() if agent not in stays]
        going = going[:1] if self.is_stuck else going
        self.processes = [process for process in self.processes if process not in going]
        for node in self.wanted():
            if node not in {agent.node for agent in self.agents()} and not (
                self.stays_dead or self.is_refused("agent", node)
            ):
                self.start_agent(node)


def _labels_of(node: str) -> list[str]:
    found = [f"{PLACED}={part}" for part, home in PARTS.items() if home == node]
    return [*found, CONTROL_PLANE_LABEL] if node == CONTROL_PLANE else found


def _route_of(node: str) -> str:
    (other,) = set(NODES) - {node}
    return f"{RANGES[other]} via {ADDRESSES[other]}"


def _text(template: Json) -> str:
    return json.dumps(template, sort_keys=True)
