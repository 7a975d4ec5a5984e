"""What an injury is: the steps of its life, what its observer says, and what injuries of a component share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from clusters.cluster import Cluster
from clusters.model import Component
from clusters.runtime import HarnessError
from drills.run.faults import processes
from drills.run.undo_entry import Undo

TABLES = "process tables of the nodes"
TCP = "TCP from a node"


@dataclass(frozen=True)
class Receipt:
    """One look of an independent observer at the injury."""

    landed: bool
    observer: str
    evidence: str
    momentary: bool = False  # the injury is an instant (kill, crash), not a state that must last


def both(first: Receipt, second: Receipt) -> Receipt:
    """Return one look at an injury that has landed only where two observers say so, each in its own words."""
    return Receipt(
        first.landed and second.landed,
        f"{first.observer}, {second.observer}",
        f"{first.evidence}; {second.evidence}",
    )


class Injury(ABC):
    """One fault, ready to be done."""

    land_extra_s: float = 0.0
    """How much longer than most injuries it may take until the first receipt, in seconds."""

    @abstractmethod
    def undo(self, run_id: str) -> Undo:
        """Return what reverses it; written to disk before `inject`."""

    @abstractmethod
    def inject(self) -> str:
        """Do it, and return the actor's own account."""

    @abstractmethod
    def observe(self) -> Receipt:
        """Look, through another channel than the actor's; HarnessError when the observer itself is blind."""

    @property
    def signer(self) -> str:
        """Key id of the issuer that the fault puts in, for the checks; "" where it puts in none."""
        return ""

    def glance(self, turn: int) -> Receipt | None:
        """Look at one part of what `observe` looks at, another each turn; None when there is nothing that must last.

        A hold is watched by glances: each program run on a node takes processor time from the calls under test.
        """
        del turn
        return None

    def is_over(self) -> bool:
        """Tell whether the injury has run its course, so that holding on would only watch what comes after."""
        return False


class Hurt(Injury):
    """What all injuries of a component share: where, what, and how many replicas there were."""

    def __init__(self, cluster: Cluster, component: Component, replicas: int) -> None:
        self._cluster = cluster
        self._component = component
        self._replicas = replicas

    @property
    def _title(self) -> str:
        return f"{self._component.kind} {self._component.namespace}/{self._component.name}"

    def _found(self) -> tuple[processes.Process, ...]:
        found = processes.find(self._cluster, self._component)
        if not found:
            raise HarnessError(f"No node runs a process {self._component.process!r} of {self._title}.")
        return found

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
