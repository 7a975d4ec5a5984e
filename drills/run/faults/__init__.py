"""Faults: one reversible injury each. A drill names the role; the mesh's facts say which component plays it.

The kind of death matters: `stop` is an absence that lasts, `kill` an orderly end with an immediate successor,
`crash` a death without goodbye, `hang` a process that is alive, accepts connections, and says nothing.
"""

from dataclasses import dataclass
from enum import StrEnum

from clusters.mesh import Role


class FaultKind(StrEnum):
    """How a component is hurt."""

    STOP = "stop"
    KILL = "kill"
    CRASH = "crash"
    HANG = "hang"


@dataclass(frozen=True)
class Fault:
    """What is done to which role, and how long the drill then watches, in seconds."""

    kind: FaultKind
    role: Role
    hold_s: float

    @property
    def title(self) -> str:
        """The words by which events and people call this fault."""
        return f"{self.kind.value} {self.role.value}"


def stop(role: Role, *, hold_s: float = 30.0) -> Fault:
    """Scale to zero and hold there: nobody plays the role until the undo."""
    return Fault(FaultKind.STOP, role, hold_s)


def kill(role: Role, *, hold_s: float = 20.0) -> Fault:
    """Delete the pods, gracefully; their controller starts successors at once."""
    return Fault(FaultKind.KILL, role, hold_s)


def crash(role: Role, *, hold_s: float = 20.0) -> Fault:
    """SIGKILL the process on its node; the kubelet restarts its container."""
    return Fault(FaultKind.CRASH, role, hold_s)


def hang(role: Role, *, hold_s: float = 30.0) -> Fault:
    """SIGSTOP the process on its node: alive and silent until the undo."""
    return Fault(FaultKind.HANG, role, hold_s)
