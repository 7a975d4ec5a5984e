"""No fault: the method of a no-fault control, which has the length of a drill's fault and breaks nothing."""

from typing import cast

from clusters.cluster import Cluster
from clusters.model import Mesh
from drills.run.faults.base import BaseFault, PreparedFault, Receipt, prepare
from drills.run.faults.breaking import BreakingFault, PreparedBreakingFault
from drills.run.timing import Timing


class NoFault(BaseFault, tag="no-fault", frozen=True, kw_only=True):
    """Leave everything as it is for hold_s, where a drill would inject a fault.

    instead_of: that fault. Its observer looks at the same places and must not see it: a control during which the
    component fails by itself is no control.
    """

    instead_of: BreakingFault

    breaks = False

    @property
    def variant(self) -> str:
        """The fault that is left out."""
        return f"instead of {self.instead_of.title}"

    def demand(self, mesh: Mesh) -> None:
        """Raise UsageError when the mesh lacks the role that the fault would break."""
        self.instead_of.demand(mesh)

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "Untouched":
        """Prepare the fault that is left out, so that its observer knows what to look at. Raises as it does."""
        left_out = cast("PreparedBreakingFault", prepare(self.instead_of, cluster, mesh, run_id))
        return Untouched(run_id=run_id, instead_of=left_out)


class Untouched(PreparedFault, tag="no-fault", kw_only=True):
    """A cluster in which nothing is broken; observed by the observer of the fault that is left out."""

    instead_of: PreparedBreakingFault

    @property
    def subject(self) -> str:
        """The cluster is as it was: nothing was changed."""
        return "nothing, because nothing is broken"

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Do nothing, and report that."""
        return "nothing was broken: this run is the no-fault control"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the observer sees that the fault that is left out is not in force.

        Every look is a whole one: on a healthy component it ends at the first sign of life, so it costs no more than a
        turn.
        """
        seen = self.instead_of.receipt(cluster)
        state = f"{self.instead_of.kind} is {'' if seen.landed else 'not '}in force"
        return Receipt(not seen.landed, seen.observer, f"the harness broke nothing; {state}: {seen.evidence}")

    def revert(self, cluster: Cluster) -> None:
        """Do nothing: nothing was changed."""

    def reverted(self, cluster: Cluster) -> str:
        """Return "": nothing was changed, so nothing differs."""
        return ""


def no_fault(instead_of: BreakingFault) -> NoFault:
    """Break nothing, for as long as this fault would be held."""
    return NoFault(hold_s=instead_of.hold_s, instead_of=instead_of)
