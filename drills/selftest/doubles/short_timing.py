"""The waits of a run on the doubles, where everything happens at once."""

from drills.run.timing import Timing

SHORT = Timing(
    poll_every_s=0.05,
    steady_state_every_s=0.1,
    steady_state_length_s=0.25,
    call_ends_within_s=0.1,
    land_within_s=0.3,
    land_every_s=0.05,
    receipt_every_s=0.1,
    policy_in_force_within_s=0.1,
    component_gone_within_s=0.1,
    api_stops_within_s=0.1,
    probe_every_s=0.02,
)
