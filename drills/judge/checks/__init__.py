"""Every check that a drill can use: functions that return a frozen Check. Edges are (source, target)."""

from drills.judge.checks.drops import drops_witnessed
from drills.judge.checks.membership import mesh_membership
from drills.judge.checks.new_pods import drift_found, new_pod_meshed, new_pod_tried, outside_mesh
from drills.judge.checks.policy_changes import change_enforced, change_ignored, change_tried
from drills.judge.checks.reach import blast_radius, handshake
from drills.judge.checks.security import denied, unauthenticated
from drills.judge.checks.signals import signal_absent, signal_seen
from drills.judge.checks.slow import calls_fast
from drills.judge.checks.traffic import attempted, availability, split_ratio, success_rate
from drills.judge.checks.unmeshed_pods import plaintext_to_unmeshed_pods, unmeshed_pods_refused
from drills.judge.checks.wire import addressed, plaintext, plaintext_tried
from drills.judge.checks.witnesses import attempts_per_request, conservation
from drills.judge.checks.workloads import certificate_validity, issuer_taken_up, leaf_ended

__all__ = [
    "addressed",
    "attempted",
    "attempts_per_request",
    "availability",
    "blast_radius",
    "calls_fast",
    "certificate_validity",
    "change_enforced",
    "change_ignored",
    "change_tried",
    "conservation",
    "denied",
    "drift_found",
    "drops_witnessed",
    "handshake",
    "issuer_taken_up",
    "leaf_ended",
    "mesh_membership",
    "new_pod_meshed",
    "new_pod_tried",
    "outside_mesh",
    "plaintext",
    "plaintext_to_unmeshed_pods",
    "plaintext_tried",
    "signal_absent",
    "signal_seen",
    "split_ratio",
    "success_rate",
    "unauthenticated",
    "unmeshed_pods_refused",
]
