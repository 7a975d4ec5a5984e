"""What the parts of one run share."""

from dataclasses import dataclass
from functools import cached_property

from clusters.cluster import Cluster
from clusters.model import Mesh
from drills.run.phase import CurrentPhase
from drills.run.policies import PolicyLog
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.undo import UndoLog


@dataclass(frozen=True)
class Context:
    """On which cluster the run is and where it writes things down."""

    run_id: str
    cluster: Cluster
    mesh: Mesh
    recorder: Recorder
    undo_log: UndoLog
    phase: CurrentPhase
    tail: Tail
    takes_api: bool = False  # the run's own fault takes the Kubernetes API away

    @cached_property
    def policies(self) -> PolicyLog:
        """What is known of the mesh's policy objects so far."""
        return PolicyLog(self.recorder)
