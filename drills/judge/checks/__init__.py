"""Every check a drill may ask; each is a small function that returns a frozen Check. Edges are (source, target)."""

from drills.judge.checks.changes import change_enforced, change_ignored, change_refused, change_tried
from drills.judge.checks.newpods import new_pod_meshed, new_pod_refused, new_pod_tried, outside_mesh
from drills.judge.checks.security import denied, unauthenticated
from drills.judge.checks.signals import signal_seen
from drills.judge.checks.traffic import attempted, availability, split_ratio, success_rate
from drills.judge.checks.wire import plaintext

__all__ = [
    "attempted",
    "availability",
    "change_enforced",
    "change_ignored",
    "change_refused",
    "change_tried",
    "denied",
    "new_pod_meshed",
    "new_pod_refused",
    "new_pod_tried",
    "outside_mesh",
    "plaintext",
    "signal_seen",
    "split_ratio",
    "success_rate",
    "unauthenticated",
]
