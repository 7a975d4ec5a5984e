"""The double of a cluster with a node agent on each node, for faults that hit one node or one pod after the other.

Like the double under it, it is no mesh and proves nothing about one.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec

from clusters.kube import Admission, Json
from clusters.model import Component, Role
from clusters.runtime import HarnessError
from drills.run import faults
from drills.run.faults import Fault
from drills.selftest.doubles.cluster_double import FileCluster, status_of
from drills.selftest.doubles.cluster_world import NODES, Process
from drills.selftest.doubles.node_programs import PROGRAMS
from drills.selftest.doubles.node_world import ADDRESSES, RANGES, NodeWorld

AGENT = Component(
    role=Role.NODE_AGENT,
    kind="DaemonSet",
    namespace="system",
    name="agent",
    selector="app=agent",
    process="agent-server",
    port=9090,
)
_EACH: tuple[Fault, ...] = (
    faults.keep_off_node(Role.NODE_AGENT),
    faults.rolling_restart(Role.NODE_AGENT),
    faults.stop_api_server(),
    faults.block_api(),
    faults.reboot(),
    faults.reboot_without_api(),
    faults.delete_workload(Role.NODE_AGENT),
    faults.partition(Role.NODE_AGENT),
    faults.restart_enforcer_without(Role.CONTROL_PLANE, "ledger"),
)
FAULTS: dict[str, Fault] = {fault.kind: fault for fault in _EACH}


class NodeCluster(FileCluster):
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
            world = self._living()
            return None if world.is_removed else cast("dict[str, object]", world.daemon)
        if kind == "Node":
            return _node(name, self._living())
        return super().get(api_version, kind, name, namespace)

    def delete(self, manifest: Mapping[str, object], *, grace_s: int | None = None) -> Admission:
        """Delete the DaemonSet, and its pods with it, or an object of the double under it."""
        if manifest["kind"] != "DaemonSet":
            return super().delete(manifest, grace_s=grace_s)
        return self._set_removed(is_removed=True)

    def create(self, manifest: Mapping[str, object]) -> Admission:
        """Create the DaemonSet again."""
        assert manifest["spec"] == self.load().daemon["spec"]
        return self._set_removed(is_removed=False)

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """List the nodes that carry a label, or what the double under it lists."""
        if kind != "Node":
            return super().find(api_version, kind, namespace, selector)
        world = self._living()
        return [_node(name, world) for name in NODES if selector in ("", *world.labels[name])]

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, object]]:
        """List pods as the API does."""
        if selector != AGENT.selector:
            return super().pods(namespace, selector)
        return [_pod(agent) for agent in self._living().agents()]

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Answer the programs that faults of nodes run there, and those of the double under it."""
        if node in self.load().off:
            raise HarnessError(f"node {node} is not running")
        line = " ".join(argv)
        for words, program in PROGRAMS.items():
            if words in line:
                with self._lock:
                    world = self.load()
                    said = program(world, node, line)
                    self.save(world)
                return said
        return super().exec(node, argv, timeout_s=timeout_s, check=check)

    def delete_pod(self, namespace: str, name: str, *, grace_s: int | None = None) -> Admission:
        """End an agent's pod, and let its controller act; or a pod of the double under it."""
        if not name.startswith("agent-"):
            return super().delete_pod(namespace, name, grace_s=grace_s)
        world = self._living()
        if not world.survives:
            world.processes = [process for process in world.processes if process.pod != name]
        world.reconcile()
        self.save(world)
        return Admission("accepted")

    def power_off(self, node: str) -> None:
        """Let a node lose what it has in memory."""
        world = self.load()
        if not world.survives:
            world.off.append(node)
            world.routes[node] = ""
            self.save(world)

    def power_on(self, node: str) -> None:
        """Start a node that is off."""
        world = self.load()
        if node in world.off:
            world.off.remove(node)
            world.boots[node] += 1
            self.save(world)

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge changes into the DaemonSet, and let its controller act; or as the double under it."""
        if changes["kind"] != "DaemonSet":
            super().patch(changes)
            return
        world = self._living()
        if "spec" in changes:
            world.daemon["spec"] = merged(world.daemon["spec"], cast("Json", changes["spec"]))
            world.daemon["metadata"]["generation"] += 1
        if not world.is_controller_late:
            world.daemon["status"]["observedGeneration"] = world.daemon["metadata"]["generation"]
            world.reconcile()
        self.save(world)

    def _set_removed(self, *, is_removed: bool) -> Admission:
        world = self._living()
        world.is_removed = is_removed
        world.reconcile()
        self.save(world)
        return Admission("accepted")

    def _living(self) -> NodeWorld:
        self._alive()
        return self.load()


def _node(name: str, world: NodeWorld) -> Json:
    boot = world.boots[name] - (name in world.mute)
    reported = datetime.fromtimestamp(boot * 1000 + 10, UTC).isoformat()
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": RANGES[name]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ADDRESSES[name]}],
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": reported}],
        },
    }


def merged(before: Json, changes: Json) -> Json:
    """Return what a merge patch (RFC 7386) makes of an object."""
    found = {key: value for key, value in before.items() if changes.get(key, value) is not None}
    for key, value in changes.items():
        if isinstance(value, dict):
            found[key] = merged(found.get(key) or {}, value)
        elif value is not None:
            found[key] = value
    return found


def _pod(agent: Process) -> dict[str, object]:
    ready = "True" if agent.state == "S" else "False"
    status = {"conditions": [{"type": "Ready", "status": ready}], **status_of(agent)}
    return {"metadata": {"name": agent.pod, "uid": agent.uid}, "spec": {"nodeName": agent.node}, "status": status}
