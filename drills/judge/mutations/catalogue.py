"""Every mutation by name, and which of them a claim must notice: it follows from its check and its quantifier."""

from drills.judge.events import CertificateShown, MembershipSeen, NewPod, PolicyChangeStep, ReplicaCount
from drills.judge.mutations import calls, events, record
from drills.judge.mutations.target import Mutation
from drills.judge.quantifiers import Quantifier
from drills.judge.verdict import Answer, Finding


def _all(*given: Mutation) -> dict[str, Mutation]:
    return {mutation.name: mutation for mutation in given}


WORLD = _all(
    Mutation("fail-all", "every call of the edge fails", calls.fail_all, ("kinds",)),
    Mutation("fail-everywhere", "every call of every edge fails", calls.fail_all, on_every_edge=True),
    Mutation(
        "one-outage",
        "all calls of the edge fail for longer than may be",
        calls.one_outage,
        ("max_gap_s", "max_outage_s"),
    ),
    Mutation("fail-last", "the last call fails", calls.fail_last),
    Mutation("delay-recovery", "no call of the edge succeeds until the end", calls.fail_all),
    Mutation("slow-down", "every answer comes ten seconds later", calls.slow_down),
    Mutation("drop-calls", "nobody makes the calls of the edge", calls.drop_calls),
    Mutation("serve-refused", "a server serves one refused call", calls.serve_refused),
    Mutation("let-one-in", "one refused call succeeds", calls.let_one_in),
    Mutation("let-last-in", "the last refused call succeeds", calls.let_last_in),
    Mutation("lose-answer", "one served call times out for its caller", calls.lose_answer),
    Mutation("disown-call", "the caller of one served call knows that it was never served", calls.disown_call),
    Mutation("lose-posting", "one call that is done for its caller reached no server", calls.lose_posting),
    Mutation("serve-twice", "one call is served more often than may be", calls.serve_twice, ("at_most",)),
    Mutation("swap-peer", "one served call shows another's identity", calls.swap_peer),
    Mutation("hide-peer", "one served call shows no identity", calls.hide_peer),
    Mutation("shift-split", "one version serves everything", calls.shift_split, ("version", "weight")),
    Mutation("pool-connections", "every call travels on an old connection", calls.pool_connections),
    Mutation("ignore-changes", "policy changes are accepted and not enforced", calls.ignore_changes),
    Mutation("refuse-changes", "the API refuses every policy change", events.refuse_changes),
    Mutation("forget-changes", "nobody changes a policy", events.forget(PolicyChangeStep)),
    Mutation("readable-call", "one call is readable on the wire", events.readable_call),
    Mutation("blind-observers", "nobody sees the plaintext that must be seen", events.blind_observers),
    Mutation("admit-unmeshed", "one new pod is admitted without the mesh", events.admit_unmeshed, ("on",)),
    Mutation("overlook-strays", "nobody finds a new pod that is outside the mesh", events.overlook_strays),
    Mutation("refuse-new-pods", "the API refuses every new pod", events.refuse_new_pods, ("on",)),
    Mutation("block-new-pods", "no new pod starts", events.block_new_pods, ("on",)),
    Mutation("start-elsewhere", "new pods come to another node", events.start_elsewhere, ("on",), given="on"),
    Mutation("forget-new-pods", "nobody creates a pod", events.forget(NewPod), ("on",)),
    Mutation("miss-drops", "the mesh notes no drop for longer than may be", events.miss_drops, ("on", "max_gap_s")),
    Mutation("forget-drops", "the mesh notes no drop of the edge", events.forget_drops, ("on",)),
    Mutation("misname-drops", "the mesh gives another reason", events.misname_drops, ("on",), given="reasons"),
    Mutation("blind-drops", "nobody can read what the mesh notes of drops", events.blind_drops),
    Mutation("hide-signals", "no signal appears", events.hide_signals),
    Mutation("blind-signals", "no source of a signal can be read", events.blind_signals),
    Mutation("raise-signals", "every signal appears at every look", events.raise_signals),
    Mutation("unmesh-pod", "one pod is where it does not belong", events.unmesh_pod),
    Mutation("forget-membership", "nobody looks who is in the mesh", events.forget(MembershipSeen)),
    Mutation("unready-workload", "a workload has no replica at one look", events.unready_workload, ("subject",)),
    Mutation("forget-conditions", "nobody looks at a workload", events.forget(ReplicaCount)),
    Mutation("expire-certificate", "one certificate is out of date", events.expire_certificate),
    Mutation("renew-certificates", "every certificate outlives the window", events.renew_certificates),
    Mutation("keep-signer", "no certificate is signed by the new issuer", events.keep_signer),
    Mutation("forget-certificates", "nobody looks at certificates", events.forget(CertificateShown)),
)

RECORD = _all(
    Mutation("erase-receipts", "no proof that the fault landed", record.erase_receipts),
    Mutation("erase-undo", "no proof that the fault was undone", record.erase_undo),
    Mutation("erase-caller-ends", "callers never reported their end", record.erase_caller_ends),
    Mutation("erase-server-ends", "servers never reported their end", record.erase_server_ends),
    Mutation("lose-one-call", "one row is missing", record.lose_one_call),
    Mutation("lose-failures", "the row of every call that failed is missing", record.lose_failures),
    Mutation("lose-one-serving", "one line of a server's log is missing", record.lose_one_serving),
    Mutation("repeat-one-row", "one row stands twice", record.repeat_one_row),
    Mutation("reverse-rows", "the table is upside down", record.reverse_rows),
    Mutation("shift-server-clock", "the servers' clock is a second behind", record.shift_server_clock),
    Mutation("shift-caller-clock", "calls end before they begin", record.shift_caller_clock),
    Mutation("starve-callers", "every call begins too late", record.starve_callers),
    Mutation("restart-a-witness", "a server's program started anew", record.restart_a_witness),
    Mutation("trouble-the-harness", "the harness had trouble", record.trouble_the_harness),
)
"""A harmed record proves nothing: no claim may pass on it."""

_HARMS: dict[str, tuple[str, ...]] = {
    "attempts_per_request": ("serve-twice", "drop-calls"),
    "availability": ("fail-all", "one-outage", "drop-calls"),
    "blast_radius": ("fail-everywhere",),
    "certificate_validity": ("expire-certificate", "forget-certificates"),
    "change_enforced": ("ignore-changes", "refuse-changes", "forget-changes"),
    "condition": ("unready-workload", "forget-conditions"),
    "conservation": ("serve-twice", "lose-posting", "disown-call", "drop-calls"),
    "denied": ("serve-refused", "let-one-in", "drop-calls"),
    "drift_found": ("overlook-strays", "forget-new-pods"),
    "drops_witnessed": ("miss-drops", "misname-drops", "blind-drops", "drop-calls"),
    "errors": ("fail-all", "drop-calls"),
    "latency": ("slow-down", "fail-all", "drop-calls"),
    "mesh_membership": ("unmesh-pod", "forget-membership"),
    "new_pod_meshed": ("admit-unmeshed", "refuse-new-pods", "block-new-pods", "start-elsewhere", "forget-new-pods"),
    "recovery_time": ("fail-last", "fail-all", "drop-calls"),
    "signal_absent": ("raise-signals", "blind-signals"),
    "split_ratio": ("shift-split", "drop-calls"),
    "success_rate": ("fail-all", "one-outage", "drop-calls"),
    "time_to_signal": ("hide-signals", "blind-signals"),
}
"""What an invariant must notice when it is claimed of a whole window."""

_DELAYS: dict[str, tuple[str, ...]] = {
    **_HARMS,
    "availability": ("delay-recovery", "drop-calls"),
    "denied": ("let-last-in", "drop-calls"),
    "drops_witnessed": ("forget-drops", "misname-drops", "blind-drops", "drop-calls"),
    "success_rate": ("delay-recovery", "drop-calls"),
    "new_pod_meshed": ("refuse-new-pods", "block-new-pods", "start-elsewhere", "forget-new-pods"),
    "condition": ("forget-conditions",),
    "mesh_membership": ("forget-membership",),
    "certificate_validity": ("forget-certificates",),
}
"""What an invariant must notice when it need be true at the end only."""

_HAPPENINGS: dict[str, tuple[str, ...]] = {
    "change_ignored": ("ignore-changes", "forget-changes"),
    "change_refused": ("refuse-changes", "forget-changes"),
    "denied_but_served": ("serve-refused", "drop-calls"),
    "new_pod_refused": ("refuse-new-pods", "forget-new-pods"),
    "outside_mesh": ("admit-unmeshed", "start-elsewhere", "forget-new-pods"),
    "plaintext": ("readable-call", "blind-observers", "drop-calls"),
    "plaintext_tried": ("readable-call", "blind-observers", "drop-calls"),
    "served_but_failed": ("lose-answer", "drop-calls"),
    "signal_seen": ("raise-signals", "blind-signals"),
    "unauthenticated": ("swap-peer", "hide-peer", "drop-calls"),
}
"""What an occurrence must notice when it is claimed never to happen."""

_ABSENCES: dict[str, tuple[str, ...]] = {
    "addressed": ("drop-calls",),
    "attempted": ("drop-calls",),
    "change_refused": ("forget-changes",),
    "change_tried": ("forget-changes",),
    "handshake": ("pool-connections", "drop-calls"),
    "issuer_taken_up": ("keep-signer", "forget-certificates"),
    "leaf_ended": ("renew-certificates",),
    "new_pod_refused": ("forget-new-pods",),
    "new_pod_tried": ("start-elsewhere", "forget-new-pods"),
    "outside_mesh": ("start-elsewhere", "forget-new-pods"),
    "signal_seen": ("hide-signals", "blind-signals"),
}
"""What an occurrence must notice when it is claimed to happen."""

_BY_QUANTIFIER = {
    Quantifier.ALWAYS: _HARMS,
    Quantifier.EVENTUALLY: _DELAYS,
    Quantifier.NEVER: _HAPPENINGS,
    Quantifier.SOMETIMES: _ABSENCES,
    Quantifier.REACHED: _ABSENCES,
}


def covered_by(finding: Finding) -> tuple[Mutation, ...]:
    """Return what a finding that passes must notice; a failure that a signal excused depends on that signal alone."""
    if finding.verdict is Answer.FAILED_OBSERVABLY:
        return (WORLD["hide-signals"],)
    names = _BY_QUANTIFIER[Quantifier(finding.quantifier)].get(finding.check, ())
    return tuple(WORLD[name] for name in names if WORLD[name].suits(finding))
