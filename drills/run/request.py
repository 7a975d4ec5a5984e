"""What one drill asks for, as data: enough to run it again from experiment.json."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from clusters.model import Component, Mesh, SignalSpec
from clusters.runtime import UsageError
from drills.run.calls import Calls
from drills.run.faults import Fault
from drills.run.probes import NewPodsWish, PolicyChangeWish, Signals, Wire, Wish


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """A drill's probes, one field per kind."""

    wire: bool = False
    new_pods: NewPodsWish | None = None
    policy_change: PolicyChangeWish | None = None
    signals: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one drill on one mesh."""

    run_id: str
    cluster: str  # where it runs; kept, it can run there again
    drill: str
    mesh: str
    hypothesis: str
    workload: tuple[Calls, ...]
    fault: Fault
    probes: Wishes
    baseline_s: float
    recovery_s: float
    recovery_at_least_s: float = 10.0  # however well all is before
    leaf_ttl_s: int = 0  # how long a workload's certificate lives there

    @property
    def title(self) -> str:
        """One line for the experiment and for people."""
        return f"{self.drill} on {self.mesh}"


def sort_wishes(wishes: Sequence[Wish], mesh: Mesh) -> Wishes:
    """Return the probes by kind; UsageError for two of a kind or a signal that the mesh does not have."""
    found = Wishes()
    kinds = [type(wish) for wish in wishes]
    if len(set(kinds)) < len(kinds):
        raise UsageError(f"A drill may ask for one probe of each kind; this one asks for {wishes}.")
    for wish in wishes:
        match wish:
            case Wire():
                found = replace(found, wire=True)
            case NewPodsWish():
                found = replace(found, new_pods=wish)
            case PolicyChangeWish():
                found = replace(found, policy_change=wish)
            case Signals():
                found = replace(found, signals=_signal_names(wish, mesh))
    return found


def signals_of(request: Request, mesh: Mesh) -> tuple[SignalSpec, ...]:
    """Return the signals that the run records."""
    return tuple(mesh.signals[name] for name in request.probes.signals)


def component_of(request: Request, mesh: Mesh) -> Component | None:
    """Return the part of the mesh that the fault hurts, None when it hurts none.

    Raises UsageError when the mesh has no part that plays the fault's role.
    """
    role = request.fault.role
    if role is None:
        return None
    component = mesh.component(role)
    if component is None:
        raise UsageError(f"{mesh.title} has no {role.value}: the drill must say @requires({role!s}).")
    return component


def _signal_names(wish: Signals, mesh: Mesh) -> tuple[str, ...]:
    unknown = [name for name in wish.names if name not in mesh.signals]
    if unknown:
        raise UsageError(
            f"{mesh.title} has no signal {', '.join(unknown)}; it has {', '.join(sorted(mesh.signals)) or 'none'}."
        )
    return wish.names or tuple(sorted(mesh.signals))
