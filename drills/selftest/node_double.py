"""The double of a cluster with a node agent on each node, for faults that hit one node or one pod after the other.

It knows of the DaemonSet controller what those faults rely on: who is left out by affinity, and who is replaced when
the template changes. Like the double under it, it is no mesh and proves nothing about one.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from clusters.kube import Json
from clusters.mesh import Component, Role
from drills.run import faults
from drills.run.faults import Fault, FaultKind
from drills.run.faults.apiserver import CONTROL_PLANE_LABEL
from drills.run.placement import BYSTANDER, PLACED, VICTIM
from drills.selftest.place_double import COMPONENT, NODES, FilePlace, Process, World

AGENT = Component(
    role=Role.NODE_AGENT,
    kind="DaemonSet",
    namespace="system",
    name="agent",
    selector="app=agent",
    process="agent-server",
    port=9090,
)
PARTS = {BYSTANDER: NODES[0], VICTIM: NODES[1]}
FAULTS = {
    FaultKind.KEEP_OFF: faults.keep_off(Role.NODE_AGENT),
    FaultKind.ROLLING_RESTART: faults.rolling_restart(Role.NODE_AGENT),
    FaultKind.STOP_APISERVER: faults.stop_apiserver(),
}
CONTROL_PLANE = NODES[0]
ADDRESSES = {NODES[0]: "172.18.0.2", NODES[1]: "172.18.0.3"}
_STRATEGY: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
_UID = "{:08x}-0000-4000-8000-00000000000a"


def _daemon() -> Json:
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "system", "generation": 1},
        "spec": {"updateStrategy": _STRATEGY, "template": {"metadata": {}, "spec": {"priority": 7}}},
        "status": {"observedGeneration": 1},
    }


class NodeWorld(World):
    """The state of the double, nodes and their agents included."""

    daemon: Json = msgspec.field(default_factory=_daemon)
    made_of: dict[str, str] = msgspec.field(default_factory=dict)  # pod UID -> the template that it was made of
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
        """Return the nodes that the template's affinity takes."""
        required = self.template["spec"].get("affinity", {}).get("nodeAffinity", {})
        terms = required.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [{}])
        return [node for node in NODES if any(_takes(term, node) for term in terms)]

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
            if node not in {agent.node for agent in self.agents()} and not self.stays_dead:
                self.start_agent(node)


class NodePlace(FilePlace):
    """The double with an agent on each node."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        world = self.load()
        if not world.is_furnished:
            world.is_furnished = True
            world.reconcile()
            self.save(world)

    def load(self) -> NodeWorld:
        """Return the state as the file has it."""
        return msgspec.json.decode(self._file.read_bytes(), type=NodeWorld)

    def replicas(self, component: Component) -> tuple[int, int]:
        """Return desired and ready."""
        if component.name != AGENT.name:
            return super().replicas(component)
        world = self._living()
        return len(world.wanted()), sum(agent.state == "S" for agent in world.agents())

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, object] | None:
        """Return the DaemonSet, or what the double under it has."""
        if kind == "DaemonSet":
            return cast("dict[str, object]", self._living().daemon)
        return super().get(api_version, kind, name, namespace)

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """List the nodes that play a part."""
        del api_version, namespace
        self._living()
        assert kind == "Node"
        labels = {node: [f"{PLACED}={part}"] for part, node in PARTS.items()}
        labels[CONTROL_PLANE].append(CONTROL_PLANE_LABEL)
        return [_node(name) for name in NODES if selector in ("", *labels[name])]

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, object]]:
        """List pods as the API does."""
        if selector != AGENT.selector:
            return super().pods(namespace, selector)
        return [_pod(agent) for agent in self._living().agents()]

    def on_node(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Answer the programs that faults of nodes run there, and those of the double under it."""
        world = self.load()
        match [*argv]:
            case ["mv", *_]:
                world.is_parked = True
                world.is_api_dead = not world.survives
                self.save(world)
                return ""
            case ["sh", "-c", script] if "mv -f" in script:
                world.is_parked = world.is_api_dead = False
                self.save(world)
                return ""
            case ["ps", "-C", *_]:
                return "    PID\n" if world.is_api_dead else "    PID\n    712\n"
            case ["curl", *_, "https://127.0.0.1:6443/readyz"]:
                return "" if world.is_api_dead else "ok"
            case ["curl", *_, url] if ":6443/" in url:
                assert ADDRESSES[CONTROL_PLANE] in url
                assert node != CONTROL_PLANE
                return "000 7 0.000000" if world.is_api_dead else "400 0 0.000300"
        return super().on_node(node, argv, timeout_s=timeout_s, check=check)

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge changes into the DaemonSet, and let its controller act."""
        world = self._living()
        assert changes["kind"] == "DaemonSet"
        world.daemon["spec"] = merged(world.daemon["spec"], cast("Json", changes["spec"]))
        world.daemon["metadata"]["generation"] += 1
        if not world.is_controller_late:
            world.daemon["status"]["observedGeneration"] = world.daemon["metadata"]["generation"]
            world.reconcile()
        self.save(world)

    def _living(self) -> NodeWorld:
        self._alive()
        return self.load()


def victim_of(root: Path, kind: str) -> tuple[FilePlace, Fault, Component | None]:
    """Return a healthy double, a fault of that kind, and the component that it hurts."""
    fault = FAULTS.get(FaultKind(kind))
    if fault is None:
        return FilePlace(root), Fault(FaultKind(kind), Role.CONTROL_PLANE, 1.0), COMPONENT
    return NodePlace(root), fault, AGENT if fault.role else None


def _node(name: str) -> Json:
    return {
        "metadata": {"name": name},
        "status": {"addresses": [{"type": "InternalIP", "address": ADDRESSES[name]}]},
    }


def _takes(term: Json, node: str) -> bool:
    fields = term.get("matchFields", [])
    assert all((rule["key"], rule["operator"]) == ("metadata.name", "NotIn") for rule in fields)
    return all(node not in rule["values"] for rule in fields)


def merged(before: Json, changes: Json) -> Json:
    """Return what a merge patch (RFC 7386) makes of an object."""
    found = {key: value for key, value in before.items() if changes.get(key, value) is not None}
    for key, value in changes.items():
        if isinstance(value, dict):
            found[key] = merged(found.get(key) or {}, value)
        elif value is not None:
            found[key] = value
    return found


def _text(template: Json) -> str:
    return json.dumps(template, sort_keys=True)


def _pod(agent: Process) -> dict[str, object]:
    ready = "True" if agent.state == "S" else "False"
    status = {"podIP": agent.address, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": agent.pod, "uid": agent.uid}, "spec": {"nodeName": agent.node}, "status": status}
