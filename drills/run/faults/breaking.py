"""The registry of faults that break something: a new fault is added here."""

from drills.run.faults.admission import IgnoreWebhook, RemoveEnrolment, ReplaceWebhookCa, Uninjected
from drills.run.faults.api_access import BlockApi, BlockedApi
from drills.run.faults.api_server import StopApiServer, StoppedApiServer
from drills.run.faults.enforcer import RestartedEnforcer, RestartEnforcerWithout
from drills.run.faults.issuer import ReplacedIssuer, RotateIssuer
from drills.run.faults.network_partition import Partition, Partitioned
from drills.run.faults.node_exclusion import KeepOffNode, KeptOffNode
from drills.run.faults.objects import AppliedObjects, AppliedThenDeleted, ApplyObjects, ApplyThenDelete
from drills.run.faults.power import Reboot, Rebooted, RebootedWithoutApi, RebootWithoutApi
from drills.run.faults.process import Kill, Killed, Pause, Paused
from drills.run.faults.rollout import Restarted, RollingRestart
from drills.run.faults.unavailable import MadeUnavailable, MakeUnavailable
from drills.run.faults.workload import DeletedWorkload, DeleteWorkload, ScaledToZero, ScaleToZero

BreakingFault = (
    Kill
    | Pause
    | MakeUnavailable
    | ScaleToZero
    | DeleteWorkload
    | RollingRestart
    | KeepOffNode
    | Partition
    | BlockApi
    | StopApiServer
    | Reboot
    | RebootWithoutApi
    | RestartEnforcerWithout
    | ReplaceWebhookCa
    | IgnoreWebhook
    | RemoveEnrolment
    | RotateIssuer
    | ApplyObjects
    | ApplyThenDelete
)
"""Every fault that breaks something."""

PreparedBreakingFault = (
    Killed
    | Paused
    | MadeUnavailable
    | ScaledToZero
    | DeletedWorkload
    | Restarted
    | KeptOffNode
    | Partitioned
    | BlockedApi
    | StoppedApiServer
    | Rebooted
    | RebootedWithoutApi
    | RestartedEnforcer
    | Uninjected
    | ReplacedIssuer
    | AppliedObjects
    | AppliedThenDeleted
)
"""The same faults, prepared for one cluster."""
