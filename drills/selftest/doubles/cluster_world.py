"""The state of the double of a cluster, as one JSON file holds it."""

from typing import cast

import msgspec

NODES = ("node-a", "node-b")
_UID = "{:08x}-0000-4000-8000-000000000000"


class Process(msgspec.Struct):
    """One row of a node's process table, and the pod it belongs to."""

    pid: int
    node: str
    args: str
    pod: str
    namespace: str
    uid: str
    address: str
    state: str = "S"
    restarts: int = 0
    ended: str = ""
    exit_code: int = 0


class World(msgspec.Struct):
    """The whole state of the double."""

    processes: list[Process] = []
    desired: int = 1
    next_pid: int = 100
    objects: dict[str, dict[str, object]] = {}
    is_api_dead: bool = False
    survives: bool = False  # the component's processes outlive whatever is done to them
    is_removed: bool = False  # its workload is gone
    stays_dead: bool = False  # no controller starts them again
    pods: list[dict[str, object]] = []  # the lab's, as the API shows them

    def is_refused(self, name: str, node: str = "") -> bool:
        """Whether an admission policy of the harness refuses the pods of a workload. node: for which one is made."""
        policy = f"/None/meshdrill-unavailable-system-{name}"
        if f"ValidatingAdmissionPolicyBinding{policy}" not in self.objects:
            return False
        spec = cast("dict[str, list[dict[str, str]]]", self.objects[f"ValidatingAdmissionPolicy{policy}"]["spec"])
        admits = spec["validations"][0]["expression"]
        return admits == "false" or (bool(node) and f"'{node}'" in admits)

    def reconcile_brains(self) -> None:
        """Start as many pods of the component as are wanted, as its controller does when it tries."""
        while len(self.brains()) < self.desired and not self.stays_dead and not self.is_refused("brain"):
            self.start_brain()

    def brains(self) -> list[Process]:
        """Return the component's own processes."""
        return [process for process in self.processes if process.pod.startswith("brain-5f")]

    def start_brain(self, node: str = NODES[0]) -> None:
        """Start one pod of the component."""
        self.next_pid += 1
        pid = self.next_pid
        self.processes.append(
            Process(
                pid,
                node,
                "/usr/bin/brain-server --serve",
                f"brain-5f{pid}-abcde",
                "system",
                _UID.format(pid),
                f"10.0.0.{pid % 250}",
            )
        )
