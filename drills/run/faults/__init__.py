"""Faults: what a drill may break. Each fault is reversible, and an observer other than its actor confirms it.

A drill calls one of the functions below; the facts of the mesh say which component plays the role. Each fault is one
file: the struct that a drill requests, the prepared struct that is its undo-log entry, and the function. breaking.py is
the registry: only its classes, and those of the no-fault control, can be read from experiment.json and the undo log.

How a component fails matters. `kill` is SIGKILL: the kubelet restarts the container at once. `pause` is SIGSTOP: the
process accepts connections and does not reply. `make_unavailable` is a lasting loss that Kubernetes reports.
`scale_to_zero` is a requested absence, so Kubernetes reports none. `partition` leaves the pod alive, Ready and cut off.
"""

from drills.run.faults.admission import ignore_webhook, remove_enrolment, replace_webhook_ca
from drills.run.faults.api_access import block_api
from drills.run.faults.api_server import stop_api_server
from drills.run.faults.breaking import BreakingFault, PreparedBreakingFault
from drills.run.faults.enforcer import restart_enforcer_without
from drills.run.faults.issuer import EXPIRED, ROTATED, UNTRUSTED, rotate_issuer
from drills.run.faults.network_partition import partition
from drills.run.faults.no_fault import NoFault, Untouched
from drills.run.faults.node_exclusion import keep_off_node
from drills.run.faults.objects import apply_objects, apply_then_delete
from drills.run.faults.power import reboot, reboot_without_api
from drills.run.faults.process import kill, pause
from drills.run.faults.rollout import rolling_restart
from drills.run.faults.unavailable import make_unavailable
from drills.run.faults.workload import delete_workload, scale_to_zero

Fault = BreakingFault | NoFault
"""Every fault that a run can request."""

Prepared = PreparedBreakingFault | Untouched
"""Every prepared fault that the undo log can hold."""

__all__ = [
    "EXPIRED",
    "ROTATED",
    "UNTRUSTED",
    "Fault",
    "NoFault",
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
