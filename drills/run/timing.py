"""How long a run waits for what, and how often it looks meanwhile."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """The waits of one run, in seconds. The defaults are those of a real cluster.

    A bound (`..._within_s`) is the longest time that something may take: beyond it the run fails, or records it as
    unknown. An interval (`..._every_s`) is the time between two looks: each costs the callers processor time. An extra
    (`..._extra_s`) is added to `land_within_s` for one kind of fault. No such value is part of an undo entry.
    """

    poll_every_s: float = 0.5
    """Between two looks of every wait that names no interval of its own."""

    # Before the fault.
    workload_ready_within_s: float = 30.0
    """Until each program of the lab has read the plan, and each edge carries calls."""
    steady_state_within_s: float = 60.0
    """Until the steady state holds; written into experiment.json."""
    steady_state_every_s: float = 2.0
    """Between two checks of the steady state: a check reads the logs of every caller."""
    steady_state_length_s: float = 3.0
    """The shortest part of the workload that such a check judges."""
    call_ends_within_s: float = 2.5
    """After a call was due, until its outcome is in the log: the 2 s that a call may take, and 0.5 s to write it."""

    # Fault.
    land_within_s: float = 45.0
    """From the injection until a receipt says that the fault landed: longer than a pod's usual grace period, 30 s."""
    land_every_s: float = 1.0
    """Between two receipts until the fault lands."""
    receipt_every_s: float = 2.0
    """Between two receipts while the fault stands. A receipt costs a tenth of a second of a core."""
    policy_in_force_within_s: float = 15.0
    """Until the API server enforces a new admission policy; it loads new ones once a second."""
    component_gone_within_s: float = 40.0
    """Until a component that was made unavailable is gone, before its enforcer is killed: longer than a pod's usual
    grace period."""
    api_stops_within_s: float = 90.0
    """Until a stopped API server is gone: the kubelet reads its folder every 20 s at worst, and open requests have a
    grace period."""
    api_stops_extra_s: float = 45.0
    """How much longer than another fault a stopped API server may take to land, for the same two reasons."""
    secret_updated_extra_s: float = 75.0
    """How much longer a replaced issuer may take: a kubelet updates the Secrets of a pod every 60 s to 90 s."""
    issuer_expired_extra_s: float = 15.0
    """How much longer than its own lifetime an expiring issuer may take to land."""
    rollout_begins_extra_s: float = 90.0
    """How much longer a rolling restart may take: a Deployment starts the new pod before it ends the first old one."""

    # Probes, and what else runs beside the calls.
    probe_every_s: float = 0.2
    """Between two looks of a probe at the clock."""
    probe_recovery_every_s: float = 10.0
    """The longest interval between two attempts in the recovery, whose end must be seen."""
    attempt_within_s: float = 80.0
    """The longest attempt of a probe: two webhook timeouts, a pod that never starts, and its removal."""
    probe_ends_within_s: float = 45.0
    """From the end of the run until a probe's thread ends: two webhook timeouts, and a pod that never starts."""
    conditions_every_s: float = 1.0
    """Between two rounds of queries of what Kubernetes reports."""
    policies_every_s: float = 5.0
    """Between two lists of each kind of policy object; a probe reports its own changes at once."""
    watch_ends_within_s: float = 15.0
    """Until a thread that queries the API ends: the request in progress, and one more."""
    progress_every_s: float = 5.0
    """Between two lines of progress."""
    progress_ends_within_s: float = 10.0
    """Until the thread that writes those lines ends."""

    # Recovery and rollback.
    stable_for_s: float = 10.0
    """How long the mesh must be healthy until the recovery is complete, at least."""
    stable_share: float = 0.2
    """The same as a share of the time that the mesh took to become healthy. Node proxies once renewed expired
    certificates pod by pod over three minutes, and 5 s without a failed call in between ended the watch too early."""
    pods_start_within_s: float = 60.0
    """Until pods that the fault ended have started again; some wait out a back-off for their network."""
    undo_within_s: float = 120.0
    """Until an undo is accepted, and again until it is verified: the fault may have taken the API away."""
    probe_undo_within_s: float = 20.0
    """The same for an object that a probe created."""
    probe_undo_without_api_within_s: float = 1.0
    """The same while the run's own fault keeps the API away: the removal is retried after the fault."""
    calls_end_within_s: float = 20.0
    """From the stop of the calls until each program of the lab has written its end line."""


REAL = Timing()
"""The waits of a real run."""
