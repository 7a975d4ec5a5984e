"""The deaths of a process: how each is done, and how someone other than its actor sees that it landed."""

from collections.abc import Sequence

from clusters.cluster import Cluster
from clusters.model import Component
from clusters.runtime import HarnessError, UsageError, wait_until
from drills.run.faults import processes
from drills.run.faults.answer import Answer, ask
from drills.run.faults.injury import TABLES, TCP, Hurt, Receipt, both
from drills.run.faults.views import ContainerView, containers, pod_addresses, service_address, workload
from drills.run.undo_entry import Undo

_KILLED = 137  # 128 + SIGKILL
_GONE_S = 40.0  # longer than the grace period that a pod usually has


class Stop(Hurt):
    """Scaled to zero through the API; seen in the process tables of the nodes and by TCP from a node."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        super().__init__(cluster, component, replicas)
        self._address = service_address(cluster, component)
        homes = {process.node for process in processes.find(cluster, component)}
        self._nodes = sorted(cluster.nodes, key=lambda node: node not in homes)  # where it ran before, first

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
        self._cluster.kube.scale(self._component, 0)
        return f"{self._title} scaled from {self._replicas} to 0"

    def observe(self) -> Receipt:
        """Landed: no node runs the process, and nobody replies behind its Service."""
        for node in self._nodes:
            alive = processes.find_on(self._cluster, node, self._component)
            if alive:
                return self._receipt((node,), alive, ())
        return self._receipt(self._nodes, (), self._ask())

    def glance(self, turn: int) -> Receipt | None:
        """Look at one node's process table, or at the Service."""
        parts = (*self._cluster.nodes, *((None,) if self._address else ()))
        node = parts[turn % len(parts)]
        if node is None:
            return self._receipt((), (), self._ask())
        return self._receipt((node,), processes.find_on(self._cluster, node, self._component), ())

    def _receipt(self, nodes: Sequence[str], alive: Sequence[processes.Process], answers: Sequence[Answer]) -> Receipt:
        landed = not alive and not any(answer.replied for answer in answers)
        found = ", ".join(f"{process.pod} on {process.node} ({process.state})" for process in alive)
        nobody = f"none on {', '.join(nodes)}"
        words = [f"process {self._component.process!r}: {found or nobody}"] if nodes else []
        words += [answer.words for answer in answers]
        return Receipt(landed, f"{TABLES}, {TCP}", "; ".join(words))

    def _ask(self) -> tuple[Answer, ...]:
        if not self._address:
            return ()
        return (ask(self._cluster, self._cluster.nodes[0], self._address, self._component.port),)


class Remove(Stop):
    """Its workload deleted through the API; seen like a stop, from which the pods themselves may tell it.

    An agent that finds its own DaemonSet gone may clean its node up, which it never does when only its pod goes.
    """

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        super().__init__(cluster, component, replicas)
        found = workload(cluster, component)
        kept = {key: found["metadata"].get(key) for key in ("name", "namespace", "labels", "annotations")}
        self._manifest = {
            "apiVersion": "apps/v1",
            "kind": component.kind,
            "metadata": {key: value for key, value in kept.items() if value},
            "spec": found["spec"],
        }

    def undo(self, run_id: str) -> Undo:
        """Create it again, as it was."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="create",
            subject=f"{self._title} there again",
            component=self._component,
            replicas=self._replicas,
            manifest=self._manifest,
        )

    def inject(self) -> str:
        """Delete it, and with it its pods."""
        self._cluster.kube.delete(self._manifest).demand(f"Deleting {self._title}")
        return f"{self._title} deleted"


class RestartWithout(Stop):
    """A role stopped, then SIGKILL to who enforces its word; seen as the stop and as the crash are, both at once."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int, enforcer: "Crash") -> None:
        super().__init__(cluster, component, replicas)
        self._enforcer = enforcer

    def inject(self) -> str:
        """Scale to zero, and kill the enforcer once nobody is left whom it could ask."""
        stopped = super().inject()
        wait_until(super().observe, lambda seen: seen.landed, what=f"{self._title} gone", within_s=_GONE_S)
        return f"{stopped}; {self._enforcer.inject()}"

    def observe(self) -> Receipt:
        """Landed: nobody plays the role, and the enforcer was ended by SIGKILL."""
        return both(super().observe(), self._enforcer.observe())


class Kill(Hurt):
    """Pods deleted through the API; seen in the process tables: their processes are gone."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        super().__init__(cluster, component, replicas)
        self._victims = frozenset(process.pod_uid for process in self._found())

    def inject(self) -> str:
        """Delete every pod of the component, with its own grace period."""
        names = tuple(dict.fromkeys(process.pod for process in self._found()))
        for name in names:
            answer = self._cluster.kube.delete_pod(self._component.namespace, name)
            answer.demand(f"Deleting pod {name} of {self._title}")
        return f"pods deleted: {', '.join(names)}"

    def observe(self) -> Receipt:
        """Landed: no process of the deleted pods is left on any node."""
        alive = processes.find(self._cluster, self._component)
        left = [process.pod for process in alive if process.pod_uid in self._victims]
        evidence = f"old processes: {', '.join(left) or 'none'}; new: {len(alive) - len(left)}"
        return Receipt(not left, TABLES, evidence, momentary=True)


class Crash(Hurt):
    """SIGKILL on the node; seen through the API: the kubelet reports a container that ended with 137."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int, node: str = "") -> None:
        super().__init__(cluster, component, replicas)
        self._node = node
        self._before = {view.key: view for view in containers(cluster, component)}

    def inject(self) -> str:
        """Kill the processes, those of one node if one is named, as the kernel would when memory runs out."""
        victims = tuple(process for process in self._found() if self._node in ("", process.node))
        processes.signal(self._cluster, victims, "KILL")
        return f"SIGKILL to {_listed(victims)}"

    def observe(self) -> Receipt:
        """Landed: a container of the same pod was ended by SIGKILL since the look before."""
        dead = [view for view in containers(self._cluster, self._component) if self._was_killed(view)]
        evidence = "; ".join(f"{view.key}: exit {view.exit_code}, restarts {view.restarts}" for view in dead)
        return Receipt(bool(dead), "Kubernetes API", evidence or "no container was restarted", momentary=True)

    def _was_killed(self, view: ContainerView) -> bool:
        before = self._before.get(view.key)
        return before is not None and view.ended_container != before.ended_container and view.exit_code == _KILLED


class Hang(Hurt):
    """SIGSTOP on the node; seen by TCP: the kernel accepts the connection, the process says nothing."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        super().__init__(cluster, component, replicas)
        if not component.port:
            raise UsageError(f"hang needs a port of {self._title} that a healthy one answers on; the mesh names none.")
        self._victims: tuple[processes.Process, ...] = self._found()
        self._addresses = pod_addresses(cluster, component)

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
        processes.signal(self._cluster, self._victims, "STOP")
        return f"SIGSTOP to {_listed(self._victims)}"

    def observe(self) -> Receipt:
        """Landed: the component's processes are those of before, and no pod's port replies."""
        answers = [self._ask(process) for process in self._victims]
        now = processes.find(self._cluster, self._component)
        same = {process.pid for process in now} == {process.pid for process in self._victims}
        states = ", ".join(f"{process.pid} {process.state}" for process in now)
        words = [*(answer.words for answer in answers), f"processes: {states or 'none'}"]
        landed = same and not any(answer.replied for answer in answers)
        return Receipt(landed, TCP, "; ".join(words))

    def glance(self, turn: int) -> Receipt | None:
        """Look at one process: in one turn whether it replies, in the next whether it still is, and is stopped."""
        victim = self._victims[turn // 2 % len(self._victims)]
        if turn % 2 == 0:
            answer = self._ask(victim)
            return Receipt(not answer.replied, TCP, answer.words)
        state = processes.look_again(self._cluster, victim)
        return Receipt(state == "T", TABLES, f"pid {victim.pid} on {victim.node}: {state or 'gone'}")

    def _ask(self, process: processes.Process) -> Answer:
        address = self._addresses.get(process.pod)
        if address is None:
            raise HarnessError(
                f"Pod {process.pod} of {self._title} has no address, so nobody can tell whether it replies."
            )
        return ask(self._cluster, process.node, address, self._component.port)


def _listed(victims: tuple[processes.Process, ...]) -> str:
    return ", ".join(f"pid {process.pid} of {process.pod} on {process.node}" for process in victims)
