"""`kill` and `pause`: SIGKILL and SIGSTOP to a component's processes, sent on their nodes, not through the API."""

from clusters.cluster import Cluster, find_node
from clusters.model import Component, Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import process_table
from drills.run.faults.base import TABLES, TCP, BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.process_table import Process
from drills.run.faults.tcp import Answer, ask
from drills.run.faults.views import ContainerView, containers, pod_addresses
from drills.run.timing import Timing
from drills.run.undo_entry import Name

_KILLED = 137  # 128 + SIGKILL


class Kill(BaseFault, tag="kill", frozen=True, kw_only=True):
    """Send SIGKILL to every process of a role, or to those on one node."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Killed":
        """Find the processes, and the last ended container of each."""
        node = find_node(cluster, self.node) if self.node else ""
        return killed(cluster, self.component(mesh), node, run_id, self.title)


class Killed(ComponentFault, tag="kill", kw_only=True):
    """Processes ended by SIGKILL; observed through the API: a container of the same pod exited with code 137."""

    node: Name = ""  # "" for all nodes
    ended: dict[str, str]  # pod UID and container name -> runtime id of its last ended container

    is_watched = False

    @property
    def nodes(self) -> tuple[str, ...]:
        """The node on which processes are killed, if one is named."""
        return (self.node,) if self.node else ()

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Send SIGKILL, as the kernel does when memory runs out."""
        found = self.found(cluster, self.node)
        process_table.signal(cluster, found, "KILL")
        return f"SIGKILL to {_listed(found)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: SIGKILL has ended a container of the same pod since the fault was prepared."""
        dead = [view for view in containers(cluster, self.component) if self._was_killed(view)]
        evidence = "; ".join(f"{view.key}: exit {view.exit_code}, restarts {view.restarts}" for view in dead)
        return Receipt(bool(dead), "Kubernetes API", evidence or "no container was restarted", momentary=True)

    def _was_killed(self, view: ContainerView) -> bool:
        before = self.ended.get(view.key)
        return before is not None and view.ended_container != before and view.exit_code == _KILLED


def killed(cluster: Cluster, component: Component, node: str, run_id: str, title: str) -> Killed:
    """Return the kill of a component's processes, on one node if one is named; HarnessError when there is none."""
    replicas = healthy(cluster, component, title)
    ended = {view.key: view.ended_container for view in containers(cluster, component)}
    prepared = Killed(run_id=run_id, component=component, replicas=replicas, node=node, ended=ended)
    prepared.found(cluster, node)
    return prepared


class Pause(BaseFault, tag="pause", frozen=True, kw_only=True):
    """Send SIGSTOP to every process of a role."""

    role: Role

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Paused":
        """Find the processes and the addresses of their pods."""
        component = self.component(mesh)
        paused = Paused(
            run_id=run_id,
            component=component,
            replicas=healthy(cluster, component, self.title),
            processes=(),
            addresses=pod_addresses(cluster, component),
        )
        if not component.port:
            raise UsageError(f"pause needs a port on which {paused.title} replies when healthy; the mesh names none.")
        paused.processes = paused.found(cluster)
        return paused


class Paused(ComponentFault, tag="pause", kw_only=True):
    """Stopped processes; observed by TCP: the kernel accepts the connection, the process does not reply."""

    processes: tuple[Process, ...]
    addresses: dict[str, str]  # pod -> IP address

    @property
    def subject(self) -> str:
        """Every process runs."""
        return f"{self.title} resumed"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which processes are stopped."""
        return tuple(process.node for process in self.processes)

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Send SIGSTOP."""
        self.processes = self.found(cluster)
        process_table.signal(cluster, self.processes, "STOP")
        return f"SIGSTOP to {_listed(self.processes)}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the processes are the same as before, and no pod's port replies.

        A turn is one process: whether it replies, or, in the next turn, whether it still exists and is stopped.
        """
        if turn is None:
            return self._all(cluster)
        process = self.processes[turn // 2 % len(self.processes)]
        if turn % 2 == 0:
            answer = self._ask(cluster, process)
            return Receipt(not answer.replied, TCP, answer.words)
        state = process_table.look_again(cluster, process)
        return Receipt(state == "T", TABLES, f"pid {process.pid} on {process.node}: {state or 'gone'}")

    def revert(self, cluster: Cluster) -> None:
        """Send SIGCONT to every stopped process of the component, on every node."""
        process_table.resume(cluster, self.component)

    def _all(self, cluster: Cluster) -> Receipt:
        answers = [self._ask(cluster, process) for process in self.processes]
        now = process_table.find(cluster, self.component)
        same = {process.pid for process in now} == {process.pid for process in self.processes}
        states = ", ".join(f"{process.pid} {process.state}" for process in now)
        words = [*(answer.words for answer in answers), f"processes: {states or 'none'}"]
        landed = same and not any(answer.replied for answer in answers)
        return Receipt(landed, TCP, "; ".join(words))

    def _ask(self, cluster: Cluster, process: Process) -> Answer:
        address = self.addresses.get(process.pod)
        if address is None:
            raise HarnessError(f"Pod {process.pod} of {self.title} has no address to connect to.")
        return ask(cluster, process.node, address, self.component.port)


def kill(role: Role, node: str = "", *, hold_s: float = 20.0) -> Kill:
    """SIGKILL the role's processes, on one node if one is named; the kubelet restarts their containers at once."""
    return Kill(role=role, node=node, hold_s=hold_s)


def pause(role: Role, *, hold_s: float = 30.0) -> Pause:
    """SIGSTOP the role's processes: they accept connections and do not reply until the undo."""
    return Pause(role=role, hold_s=hold_s)


def _listed(found: tuple[Process, ...]) -> str:
    return ", ".join(f"pid {process.pid} of {process.pod} on {process.node}" for process in found)
