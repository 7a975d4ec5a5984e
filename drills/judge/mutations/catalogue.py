"""Every mutation by name, and which mutations a claim must notice, by its check and quantifier."""

from drills.judge.events import CertificateShown, MembershipSeen, NewPod, PolicyChangeStep
from drills.judge.mutations import calls, events, record
from drills.judge.mutations.target import Mutation
from drills.judge.quantifiers import Quantifier
from drills.judge.verdict import Finding, Outcome


def _all(*given: Mutation) -> dict[str, Mutation]:
    return {mutation.name: mutation for mutation in given}


WORLD = _all(
    Mutation("fail-all", "every call of the edge fails", calls.fail_all),
    Mutation("fail-everywhere", "every call of every edge fails", calls.fail_all, on_every_edge=True),
    Mutation(
        "one-outage",
        "all calls of the edge fail for longer than allowed",
        calls.one_outage,
        ("max_gap_s", "max_outage_s"),
        in_each_phase=True,
    ),
    Mutation("delay-recovery", "no call of the edge succeeds until the end", calls.fail_all),
    Mutation("slow-down", "every answer comes ten seconds later", calls.slow_down),
    Mutation("drop-calls", "the calls of the edge are not made", calls.drop_calls),
    Mutation("serve-refused", "a server serves one refused call", calls.serve_refused, in_each_phase=True),
    Mutation("let-one-in", "one refused call succeeds", calls.let_one_in, in_each_phase=True),
    Mutation("let-last-in", "the last refused call succeeds", calls.let_last_in),
    Mutation("disown-call", "one served call certainly failed for its caller", calls.disown_call, in_each_phase=True),
    Mutation(
        "lose-posting",
        "one call that succeeded for its caller reached no server",
        calls.lose_posting,
        in_each_phase=True,
    ),
    Mutation(
        "serve-twice", "one call is served more often than allowed", calls.serve_twice, ("at_most",), in_each_phase=True
    ),
    Mutation("swap-peer", "one served call shows another service's identity", calls.swap_peer, in_each_phase=True),
    Mutation("hide-peer", "one served call shows no identity", calls.hide_peer, in_each_phase=True),
    Mutation("serve-one-version", "one version serves everything", calls.serve_one_version, ("version", "weight")),
    Mutation("pool-connections", "every call travels on a reused connection", calls.pool_connections),
    Mutation(
        "ignore-changes", "policy changes are accepted and not enforced", calls.ignore_changes, in_each_phase=True
    ),
    Mutation("refuse-changes", "the API refuses every policy change", events.refuse_changes),
    Mutation("forget-changes", "no policy is changed", events.forget(PolicyChangeStep)),
    Mutation("readable-call", "one call is readable on the wire", events.readable_call, in_each_phase=True),
    Mutation("blind-observers", "the plaintext that must be seen is not seen", events.blind_observers),
    Mutation(
        "admit-unmeshed", "one new pod is admitted outside the mesh", events.admit_unmeshed, ("on",), in_each_phase=True
    ),
    Mutation("overlook-unmeshed", "no new pod outside the mesh is found", events.overlook_unmeshed),
    Mutation("refuse-new-pods", "the API refuses every new pod", events.refuse_new_pods, ("on",)),
    Mutation("block-new-pods", "no new pod starts", events.block_new_pods, ("on",)),
    Mutation("new-pod-is-dark", "no call of a new pod succeeds", calls.darken_new_pods, ("on",), given="by_call"),
    Mutation("serve-unmeshed-pod", "one call of a pod outside the mesh is served", calls.serve_unmeshed_pod),
    Mutation("readable-unmeshed-pod", "one call to a pod outside the mesh is readable", events.readable_unmeshed_pod),
    Mutation("silence-pod", "no call of one pod succeeds", calls.silence_pod, given="by_call"),
    Mutation("start-elsewhere", "new pods run on another node", events.start_elsewhere, ("on",), given="on"),
    Mutation("forget-new-pods", "no pod is created", events.forget(NewPod), ("on",)),
    Mutation("miss-drops", "the mesh logs no drop for longer than allowed", events.miss_drops, ("on", "max_gap_s")),
    Mutation("forget-drops", "the mesh logs no drop of the edge", events.forget_drops, ("on",)),
    Mutation("misname-drops", "the mesh logs another reason", events.misname_drops, ("on",), given="reasons"),
    Mutation("blind-drops", "the mesh's drop log cannot be read", events.blind_drops),
    Mutation("hide-signals", "no signal appears", events.hide_signals),
    Mutation("blind-signals", "no source of a signal can be read", events.blind_signals),
    Mutation("raise-signals", "every signal appears at every look", events.raise_signals),
    Mutation("unmesh-pod", "the membership of one pod is wrong", events.unmesh_pod, in_each_phase=True),
    Mutation("forget-membership", "mesh membership is not read", events.forget(MembershipSeen)),
    Mutation("expire-certificate", "one certificate has expired", events.expire_certificate),
    Mutation("renew-certificates", "every certificate outlives the window", events.renew_certificates),
    Mutation("keep-signer", "no certificate is signed by the new issuer", events.keep_signer),
    Mutation("forget-certificates", "no certificate is read", events.forget(CertificateShown)),
)

RECORD = _all(
    Mutation("erase-receipts", "no proof that the fault landed", record.erase_receipts),
    Mutation("erase-undo", "no proof that the fault was undone", record.erase_undo),
    Mutation("erase-caller-ends", "callers never reported their end", record.erase_caller_ends),
    Mutation("erase-server-ends", "servers never reported their end", record.erase_server_ends),
    Mutation("lose-one-call", "one row is missing", record.lose_one_call),
    Mutation("lose-failures", "the row of every call that failed is missing", record.lose_failures),
    Mutation("lose-one-serving", "one line of a server's log is missing", record.lose_one_serving),
    Mutation("repeat-one-row", "one row is repeated", record.repeat_one_row),
    Mutation("reverse-rows", "the rows of the table are reversed", record.reverse_rows),
    Mutation("skew-server-clock", "the servers' clock is a second behind", record.skew_server_clock),
    Mutation("skew-caller-clock", "calls end before they begin", record.skew_caller_clock),
    Mutation("starve-callers", "every call begins too late", record.starve_callers),
    Mutation("restart-a-witness", "a server's program restarted", record.restart_a_witness),
    Mutation("stall-a-witness", "a server's program stood still", record.stall_a_witness),
    Mutation("trouble-the-harness", "the harness had trouble", record.trouble_the_harness),
)
"""A damaged record proves nothing: no claim may pass on it."""

_HARMS: dict[str, tuple[str, ...]] = {
    "attempts_per_request": ("serve-twice", "drop-calls"),
    "availability": ("fail-all", "one-outage", "drop-calls"),
    "blast_radius": ("fail-everywhere",),
    "calls_fast": ("slow-down", "drop-calls"),
    "certificate_validity": ("expire-certificate", "forget-certificates"),
    "change_enforced": ("ignore-changes", "refuse-changes", "forget-changes"),
    "conservation": ("serve-twice", "lose-posting", "disown-call", "drop-calls"),
    "denied": ("serve-refused", "let-one-in", "drop-calls"),
    "drift_found": ("overlook-unmeshed", "forget-new-pods"),
    "drops_witnessed": ("miss-drops", "misname-drops", "blind-drops", "drop-calls"),
    "mesh_membership": ("unmesh-pod", "forget-membership", "silence-pod"),
    "new_pod_meshed": (
        *("admit-unmeshed", "refuse-new-pods", "block-new-pods", "start-elsewhere", "forget-new-pods"),
        "new-pod-is-dark",
    ),
    "signal_absent": ("raise-signals", "blind-signals"),
    "split_ratio": ("serve-one-version", "drop-calls"),
    "unmeshed_pods_refused": ("serve-unmeshed-pod", "forget-new-pods"),
    "success_rate": ("fail-all", "one-outage", "drop-calls"),
}
"""What an invariant must notice under `always`."""

_DELAYS: dict[str, tuple[str, ...]] = {
    **_HARMS,
    "availability": ("delay-recovery", "drop-calls"),
    "denied": ("let-last-in", "drop-calls"),
    "drops_witnessed": ("forget-drops", "misname-drops", "blind-drops", "drop-calls"),
    "success_rate": ("delay-recovery", "drop-calls"),
    "new_pod_meshed": (
        *("refuse-new-pods", "block-new-pods", "start-elsewhere", "forget-new-pods"),
        "new-pod-is-dark",
    ),
    "mesh_membership": ("forget-membership", "silence-pod"),
    "certificate_validity": ("forget-certificates",),
}
"""What an invariant must notice under `eventually`."""

_HAPPENINGS: dict[str, tuple[str, ...]] = {
    "change_ignored": ("ignore-changes", "forget-changes"),
    "outside_mesh": ("admit-unmeshed", "start-elsewhere", "forget-new-pods"),
    "plaintext": ("readable-call", "blind-observers", "drop-calls"),
    "plaintext_to_unmeshed_pods": ("readable-unmeshed-pod", "blind-observers", "forget-new-pods"),
    "plaintext_tried": ("readable-call", "blind-observers", "drop-calls"),
    "signal_seen": ("raise-signals", "blind-signals"),
    "unauthenticated": ("swap-peer", "hide-peer", "drop-calls"),
}
"""What an occurrence must notice under `never`."""

_ABSENCES: dict[str, tuple[str, ...]] = {
    "addressed": ("drop-calls",),
    "attempted": ("drop-calls",),
    "change_tried": ("forget-changes",),
    "handshake": ("pool-connections", "drop-calls"),
    "issuer_taken_up": ("keep-signer", "forget-certificates"),
    "leaf_ended": ("renew-certificates",),
    "new_pod_tried": ("start-elsewhere", "forget-new-pods"),
    "outside_mesh": ("start-elsewhere", "forget-new-pods"),
    "signal_seen": ("hide-signals", "blind-signals"),
}
"""What an occurrence must notice under `sometimes` and `reached`."""

_BY_QUANTIFIER = {
    Quantifier.ALWAYS: _HARMS,
    Quantifier.EVENTUALLY: _DELAYS,
    Quantifier.NEVER: _HAPPENINGS,
    Quantifier.SOMETIMES: _ABSENCES,
    Quantifier.REACHED: _ABSENCES,
}


def covered_by(finding: Finding) -> tuple[Mutation, ...]:
    """Return what a passing finding must notice; FAILED_OBSERVABLY depends on its alert alone."""
    if finding.outcome is Outcome.FAILED_OBSERVABLY:
        return (WORLD["hide-signals"],)
    names = _BY_QUANTIFIER[Quantifier(finding.quantifier)].get(finding.check, ())
    return tuple(WORLD[name] for name in names if WORLD[name].suits(finding))
