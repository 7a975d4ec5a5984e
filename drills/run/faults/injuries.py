"""How each kind of fault is done, and how someone other than its actor sees that it landed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from clusters.errors import HarnessError, UsageError
from clusters.mesh import Component
from clusters.place import Place
from drills.run.faults import Fault, FaultKind, processes
from drills.run.faults.answer import Answer, ask
from drills.run.faults.views import ContainerView, containers, pod_addresses, service_address
from drills.run.undo import Undo

_KILLED = 137  # 128 + SIGKILL
_TABLES = "process tables of the nodes"
_TCP = "TCP from a node"


@dataclass(frozen=True)
class Receipt:
    """One look of an independent observer at the injury."""

    landed: bool
    observer: str
    evidence: str
    momentary: bool = False  # the injury is an instant (kill, crash), not a state that must last


class Injury(Protocol):
    """One fault against one component, ready to be done."""

    def undo(self, run_id: str) -> Undo:
        """Return what reverses it; written to disk before `inject`."""

    def inject(self) -> str:
        """Do it, and return the actor's own account."""

    def observe(self) -> Receipt:
        """Look, through another channel than the actor's; HarnessError when the observer itself is blind."""

    def glance(self, turn: int) -> Receipt | None:
        """Look at one part of what `observe` looks at, another each turn; None when there is nothing that must last.

        A hold is watched by glances: each program run on a node takes processor time from the calls under test.
        """


def prepare(place: Place, fault: Fault, component: Component) -> Injury:
    """Look at the healthy component and return the fault, ready to be done.

    Raises HarnessError when the component is not healthy, or when the observer sees the injury already: such a
    receipt would prove nothing.
    """
    desired, ready = place.kube.replicas(component)
    if desired < 1 or ready != desired:
        raise HarnessError(
            f"{fault.title} needs a healthy {component.kind} {component.namespace}/{component.name}; it has "
            f"{ready} of {desired} replicas ready. Wait for it, or reinstall the mesh."
        )
    if fault.kind is FaultKind.STOP and component.kind == "DaemonSet":
        raise UsageError(f"{fault.title}: a DaemonSet has no number of replicas to set to zero. Use crash or hang.")
    injury = _KINDS[fault.kind](place, component, desired)
    seen = injury.observe()
    if seen.landed:
        raise HarnessError(
            f"Before {fault.title} its observer ({seen.observer}) already reports it as done: {seen.evidence}. "
            "Its receipt would prove nothing; check the component's process name and port in the mesh's facts."
        )
    return injury


class _Hurt:
    """What all kinds share: where, what, and how many replicas there were."""

    def __init__(self, place: Place, component: Component, replicas: int) -> None:
        self._place = place
        self._component = component
        self._replicas = replicas

    @property
    def _title(self) -> str:
        return f"{self._component.kind} {self._component.namespace}/{self._component.name}"

    def _found(self) -> tuple[processes.Process, ...]:
        found = processes.find(self._place, self._component)
        if not found:
            raise HarnessError(f"No node runs a process {self._component.process!r} of {self._title}.")
        return found

    def glance(self, turn: int) -> Receipt | None:
        """Nothing must last: the injury is an instant."""
        del turn
        return None

    def undo(self, run_id: str) -> Undo:
        """Nothing to reverse, but the component must be ready again."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="await-ready",
            subject=f"{self._title} with {self._replicas} ready",
            component=self._component,
            replicas=self._replicas,
        )


class Stop(_Hurt):
    """Scaled to zero through the API; seen in the process tables of the nodes and by TCP from a node."""

    def __init__(self, place: Place, component: Component, replicas: int) -> None:
        super().__init__(place, component, replicas)
        self._address = service_address(place, component)
        homes = {process.node for process in processes.find(place, component)}
        self._nodes = sorted(place.nodes, key=lambda node: node not in homes)  # where it ran before, first

    def undo(self, run_id: str) -> Undo:
        """Put the number of replicas back."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="scale",
            subject=f"{self._title} back to {self._replicas}",
            component=self._component,
            replicas=self._replicas,
        )

    def inject(self) -> str:
        """Scale to zero."""
        self._place.kube.scale(self._component, 0)
        return f"{self._title} scaled from {self._replicas} to 0"

    def observe(self) -> Receipt:
        """Landed: no node runs the process, and nobody replies behind its Service."""
        for node in self._nodes:
            alive = processes.find_on(self._place, node, self._component)
            if alive:
                return self._receipt((node,), alive, ())
        return self._receipt(self._nodes, (), self._ask())

    def glance(self, turn: int) -> Receipt | None:
        """Look at one node's process table, or at the Service."""
        parts = (*self._place.nodes, *((None,) if self._address else ()))
        node = parts[turn % len(parts)]
        if node is None:
            return self._receipt((), (), self._ask())
        return self._receipt((node,), processes.find_on(self._place, node, self._component), ())

    def _receipt(self, nodes: Sequence[str], alive: Sequence[processes.Process], answers: Sequence[Answer]) -> Receipt:
        landed = not alive and not any(answer.replied for answer in answers)
        found = ", ".join(f"{process.pod} on {process.node} ({process.state})" for process in alive)
        nobody = f"none on {', '.join(nodes)}"
        words = [f"process {self._component.process!r}: {found or nobody}"] if nodes else []
        words += [answer.words for answer in answers]
        return Receipt(landed, f"{_TABLES}, {_TCP}", "; ".join(words))

    def _ask(self) -> tuple[Answer, ...]:
        if not self._address:
            return ()
        return (ask(self._place, self._place.nodes[0], self._address, self._component.port),)


class Kill(_Hurt):
    """Pods deleted through the API; seen in the process tables: their processes are gone."""

    def __init__(self, place: Place, component: Component, replicas: int) -> None:
        super().__init__(place, component, replicas)
        self._victims = frozenset(process.pod_uid for process in self._found())

    def inject(self) -> str:
        """Delete every pod of the component, with its own grace period."""
        names = tuple(dict.fromkeys(process.pod for process in self._found()))
        for name in names:
            answer = self._place.kube.delete_pod(self._component.namespace, name)
            if answer.outcome != "accepted":
                raise HarnessError(f"Deleting pod {name} of {self._title} was {answer.outcome}: {answer.message}")
        return f"pods deleted: {', '.join(names)}"

    def observe(self) -> Receipt:
        """Landed: no process of the deleted pods is left on any node."""
        alive = processes.find(self._place, self._component)
        left = [process.pod for process in alive if process.pod_uid in self._victims]
        evidence = f"old processes: {', '.join(left) or 'none'}; new: {len(alive) - len(left)}"
        return Receipt(not left, _TABLES, evidence, momentary=True)


class Crash(_Hurt):
    """SIGKILL on the node; seen through the API: the kubelet reports a container that ended with 137."""

    def __init__(self, place: Place, component: Component, replicas: int) -> None:
        super().__init__(place, component, replicas)
        self._before = {view.key: view for view in containers(place, component)}

    def inject(self) -> str:
        """Kill the processes as the kernel would when memory runs out."""
        victims = self._found()
        processes.signal(self._place, victims, "KILL")
        return f"SIGKILL to {_listed(victims)}"

    def observe(self) -> Receipt:
        """Landed: a container of the same pod was ended by SIGKILL since the look before."""
        dead = [view for view in containers(self._place, self._component) if self._was_killed(view)]
        evidence = "; ".join(f"{view.key}: exit {view.exit_code}, restarts {view.restarts}" for view in dead)
        return Receipt(bool(dead), "Kubernetes API", evidence or "no container was restarted", momentary=True)

    def _was_killed(self, view: ContainerView) -> bool:
        before = self._before.get(view.key)
        return before is not None and view.ended_container != before.ended_container and view.exit_code == _KILLED


class Hang(_Hurt):
    """SIGSTOP on the node; seen by TCP: the kernel accepts the connection, the process says nothing."""

    def __init__(self, place: Place, component: Component, replicas: int) -> None:
        super().__init__(place, component, replicas)
        if not component.port:
            raise UsageError(f"hang needs a port of {self._title} that a healthy one answers on; the mesh names none.")
        self._victims: tuple[processes.Process, ...] = self._found()
        self._addresses = pod_addresses(place, component)

    def undo(self, run_id: str) -> Undo:
        """SIGCONT whatever is stopped."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="resume",
            subject=f"{self._title} resumed",
            component=self._component,
            replicas=self._replicas,
        )

    def inject(self) -> str:
        """Stop the processes where they stand."""
        self._victims = self._found()
        processes.signal(self._place, self._victims, "STOP")
        return f"SIGSTOP to {_listed(self._victims)}"

    def observe(self) -> Receipt:
        """Landed: the component's processes are those of before, and no pod's port replies."""
        answers = [self._ask(process) for process in self._victims]
        now = processes.find(self._place, self._component)
        same = {process.pid for process in now} == {process.pid for process in self._victims}
        states = ", ".join(f"{process.pid} {process.state}" for process in now)
        words = [*(answer.words for answer in answers), f"processes: {states or 'none'}"]
        landed = same and not any(answer.replied for answer in answers)
        return Receipt(landed, _TCP, "; ".join(words))

    def glance(self, turn: int) -> Receipt | None:
        """Look at one process: in one turn whether it replies, in the next whether it still is, and is stopped."""
        victim = self._victims[turn // 2 % len(self._victims)]
        if turn % 2 == 0:
            answer = self._ask(victim)
            return Receipt(not answer.replied, _TCP, answer.words)
        state = processes.look_again(self._place, victim)
        return Receipt(state == "T", _TABLES, f"pid {victim.pid} on {victim.node}: {state or 'gone'}")

    def _ask(self, process: processes.Process) -> Answer:
        address = self._addresses.get(process.pod)
        if address is None:
            raise HarnessError(
                f"Pod {process.pod} of {self._title} has no address, so nobody can tell whether it replies."
            )
        return ask(self._place, process.node, address, self._component.port)


_KINDS: dict[FaultKind, Callable[[Place, Component, int], Injury]] = {
    FaultKind.STOP: Stop,
    FaultKind.KILL: Kill,
    FaultKind.CRASH: Crash,
    FaultKind.HANG: Hang,
}


def _listed(victims: tuple[processes.Process, ...]) -> str:
    return ", ".join(f"pid {process.pid} of {process.pod} on {process.node}" for process in victims)
