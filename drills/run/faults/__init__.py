"""Faults: what a drill may break. Each fault is reversible, and an observer other than its actor confirms it.

A drill calls one of the functions below; the facts of the mesh say which component plays the role. Each fault is one
file: the struct that a drill requests, the prepared struct that is its undo-log entry, and the function. The two unions
are the registry: only their classes can be read from experiment.json and from the undo log.

How a component fails matters. `kill` is SIGKILL: the kubelet restarts the container at once. `pause` is SIGSTOP: the
process accepts connections and does not reply. `make_unavailable` is a lasting loss that Kubernetes reports.
`scale_to_zero` is a requested absence, so Kubernetes reports none. `partition` leaves the pod alive, Ready and cut off.
"""

from drills.run.faults.admission import (
    IgnoreWebhook,
    RemoveEnrolment,
    ReplaceWebhookCa,
    Uninjected,
    ignore_webhook,
    remove_enrolment,
    replace_webhook_ca,
)
from drills.run.faults.api_access import BlockApi, BlockedApi, block_api
from drills.run.faults.api_server import StopApiServer, StoppedApiServer, stop_api_server
from drills.run.faults.enforcer import RestartedEnforcer, RestartEnforcerWithout, restart_enforcer_without
from drills.run.faults.issuer import EXPIRED, ROTATED, UNTRUSTED, ReplacedIssuer, RotateIssuer, rotate_issuer
from drills.run.faults.network_partition import Partition, Partitioned, partition
from drills.run.faults.node_exclusion import KeepOffNode, KeptOffNode, keep_off_node
from drills.run.faults.objects import (
    AppliedObjects,
    AppliedThenDeleted,
    ApplyObjects,
    ApplyThenDelete,
    apply_objects,
    apply_then_delete,
)
from drills.run.faults.power import (
    Reboot,
    Rebooted,
    RebootedWithoutApi,
    RebootWithoutApi,
    reboot,
    reboot_without_api,
)
from drills.run.faults.process import Kill, Killed, Pause, Paused, kill, pause
from drills.run.faults.rollout import Restarted, RollingRestart, rolling_restart
from drills.run.faults.unavailable import MadeUnavailable, MakeUnavailable, make_unavailable
from drills.run.faults.workload import (
    DeletedWorkload,
    DeleteWorkload,
    ScaledToZero,
    ScaleToZero,
    delete_workload,
    scale_to_zero,
)

Fault = (
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
"""Every fault that a drill can request."""

Prepared = (
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
"""Every prepared fault that the undo log can hold."""

__all__ = [
    "EXPIRED",
    "ROTATED",
    "UNTRUSTED",
    "Fault",
    "Prepared",
    "apply_objects",
    "apply_then_delete",
    "block_api",
    "delete_workload",
    "ignore_webhook",
    "keep_off_node",
    "kill",
    "make_unavailable",
    "partition",
    "pause",
    "reboot",
    "reboot_without_api",
    "remove_enrolment",
    "replace_webhook_ca",
    "restart_enforcer_without",
    "rolling_restart",
    "rotate_issuer",
    "scale_to_zero",
    "stop_api_server",
]
