"""The objects that the parts of one run share."""

from dataclasses import dataclass
from functools import cached_property

from clusters.cluster import Cluster
from clusters.model import Mesh
from drills.run.phase import CurrentPhase
from drills.run.policies import PolicyLog
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.timing import REAL, Timing
from drills.run.undo import UndoLog


@dataclass(frozen=True)
class Context:
    """The cluster of a run, where the run records events and undo entries, and how long it waits."""

    run_id: str
    cluster: Cluster
    mesh: Mesh
    recorder: Recorder
    undo_log: UndoLog
    phase: CurrentPhase
    tail: Tail
    takes_api: bool = False  # the run's own fault makes the Kubernetes API unreachable
    timing: Timing = REAL

    @cached_property
    def policies(self) -> PolicyLog:
        """The mesh's policy objects as last seen."""
        return PolicyLog(self.recorder)
