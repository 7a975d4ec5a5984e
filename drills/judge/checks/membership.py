"""Mesh membership of the pods that exist from the start: as the API shows it, and as their calls prove it."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from drills.judge.checks.lanes import SUCCEEDED
from drills.judge.checks.looks import Look, measured, names
from drills.judge.checks.proofs import Proof, all_shown, evidence
from drills.judge.checks.tally import all_true
from drills.judge.events import MembershipSeen, PodListed
from drills.judge.history import History
from drills.judge.measure import MAX_EXAMPLES, Edge, Example, Invariant, Measurement, Need, Number, Row, Truth
from drills.judge.records import NS_PER_S, Window

DARK_CALLS = 40
"""So many calls that may succeed, and none that did, prove that nothing reaches a pod. One of two servers of a service
is missed by so many calls only if it takes none."""

RESTART_S = 20
"""After so long a restarted server is ready, and its callers know it."""

_PHASES = ("baseline", "fault", "recovery")


def mesh_membership(*, by_call: bool = False) -> Invariant:
    """Every pod of the lab that belongs in the mesh is provably in it, and no other pod is.

    Reads events MembershipSeen. Each server that the facts of the run name must have been seen in the window.

    by_call: also, in each phase of the window, a successful call of each such pod shows it in the mesh: its server saw
    the mesh identity of the source, or, where the mesh shows servers none, refused every caller from outside and, if
    the mesh encrypts, the call was not readable on the wire. A pod of which no call succeeded is not in the mesh; in
    the fault it is UNKNOWN, as the fault may have cut it off. A pod that no call may reach or leave is not asked, nor,
    from the fault on, is a pod that the fault itself ended, until it serves again.
    """
    says = "every pod is in the mesh exactly when it belongs there"
    if not by_call:
        return Invariant("mesh_membership", says, _membership)
    says = f"{says}, and its calls show it"
    needs = frozenset({Need.WIRE, Need.OUTSIDERS})
    return Invariant("mesh_membership", says, _membership_by_call, {"by_call": True}, needs=needs)


def _membership(history: History, window: Window) -> Measurement:
    looks = [_look_at(event) for event in history.events_in(window, MembershipSeen)]
    return measured("pods of the lab", looks, _unseen(history, looks))


def _membership_by_call(history: History, window: Window) -> Measurement:
    by_api = _membership(history, window)
    proofs = [(part, _proofs(history, part)) for part in _parts(history, window)]
    rows = tuple(_row(part, found) for part, found in proofs)
    truth = all_true([by_api.truth, *(row.truth for row in rows), *([] if rows else [Truth.UNKNOWN])])
    amiss = [(part, it) for part, found in proofs for it in found if it.truth is Truth.FALSE]
    examples = (Example(it.pod, part.start_ns, it.conclusion, it.reason) for part, it in amiss)
    harmed = [by_api.at_ns] if by_api.at_ns is not None else [part.start_ns for part, _ in amiss]
    every_row = (*by_api.rows, *rows)
    return Measurement(
        truth=truth,
        reason="; ".join(row.reason for row in every_row if row.truth is truth and row.reason),
        rows=every_row,
        examples=(*by_api.examples, *examples)[:MAX_EXAMPLES],
        at_ns=min(harmed, default=None),
        is_proof=by_api.is_proof,
    )


def _look_at(event: MembershipSeen) -> Look:
    meshed = event.detail.meshed
    if meshed is None:
        return event, None, "membership not known"
    return event, meshed == event.detail.expected, "in the mesh" if meshed else "outside the mesh"


def _unseen(history: History, looks: list[Look]) -> str:
    """Return which servers were not seen, "" when all were."""
    missing = sorted(set(history.facts.servers) - {event.subject for event, _, _ in looks})
    return f"not seen: {names(missing)}" if missing else ""


def _parts(history: History, window: Window) -> Iterator[Window]:
    """Yield the part of the window that lies in each phase."""
    for name in _PHASES:
        phase = history.windows().get(name)
        if phase is not None:
            start_ns, end_ns = max(phase.start_ns, window.start_ns), min(phase.end_ns, window.end_ns)
            if start_ns < end_ns:
                yield Window(name, start_ns, end_ns)


def _row(part: Window, proofs: tuple[Proof, ...]) -> Row:
    truth = all_shown(proofs) if proofs else Truth.UNKNOWN
    deciding = [f"{it.pod} {it.conclusion} ({it.reason})" for it in proofs if it.truth is truth and it.reason]
    unproven: dict[str, Number] = {"pods": len(proofs), "shown": sum(it.truth is Truth.TRUE for it in proofs)}
    reason = (
        f"calls in the {part.name}: {names(deciding) or 'no pod could be asked'}" if truth is not Truth.TRUE else ""
    )
    return Row("pods of the lab, by their calls", part.name, truth, unproven, reason)


@dataclass(frozen=True)
class _Lab:
    """The pods that belong in the mesh. called: each with the edges, open in this run, that lead to its service."""

    called: dict[str, frozenset[Edge]]
    edges: frozenset[Edge]
    made: dict[str, frozenset[Edge]]


def _proofs(history: History, part: Window) -> tuple[Proof, ...]:
    lab = history.once("members by call", lambda: _lab(history))
    found = evidence(history, part, edges=sorted(lab.edges))
    made = _made(history, part)
    again = {pod: _made(history, since) for pod, since in _restarted(history, part)}
    proofs = []
    for pod in _asked(history, part, lab):
        counted = again.get(pod, made)
        own = sum(count for edge, caller, count in counted if caller == pod and edge in lab.made[pod])
        asked = own or sum(count for edge, _, count in counted if edge in lab.called[pod])
        proof = found.proof(pod, asked=asked, enough=DARK_CALLS)
        proofs.append(proof.unless_cut_off() if part.name == "fault" else proof)
    return tuple(proofs)


def _made(history: History, part: Window) -> list[tuple[Edge, str, int]]:
    """Return the number of calls of each caller in a part of the run."""
    calls = history.due_in(part).group_by("source", "target", "pod").agg(pl.len()).sort("source", "target", "pod")
    return [((source, target), pod, count) for source, target, pod, count in calls.collect().iter_rows()]


def _restarted(history: History, part: Window) -> Iterator[tuple[str, Window]]:
    """Yield each pod that the fault ended, with the rest of the part from when it should serve again."""
    lost = history.lost_pods
    if lost is not None and part.name == "recovery":
        for pod in sorted(lost.pods):
            since_ns = max(lost.boots[pod], default=part.end_ns) + RESTART_S * NS_PER_S
            yield pod, part.since(min(max(part.start_ns, since_ns), part.end_ns))


def _asked(history: History, part: Window, lab: _Lab) -> list[str]:
    """Return the members of which calls can be asked in a part of the run."""
    lost = history.lost_pods
    gone = lost.pods if lost and part.end_ns > lost.injected_ns else frozenset[str]()
    asked = [pod for pod in sorted(lab.called) if lab.called[pod] or lab.made[pod]]
    # A lost pod makes no calls after its restart: it is asked as a server, once it is back.
    return [pod for pod in asked if pod not in gone or (part.name == "recovery" and lab.called[pod])]


def _lab(history: History) -> _Lab:
    seen = history.of_kind(MembershipSeen)
    services = {event.subject: event.detail.service for event in history.of_kind(PodListed)}
    is_outsider = pl.col("source").is_in(history.facts.unmeshed)
    open_edges, served, callers = pl.collect_all(
        [
            history.calls.filter(SUCCEEDED, ~is_outsider).select("source", "target").unique(),
            history.calls.filter(pl.col("served_pod").is_not_null()).select("served_pod", "target").unique(),
            history.calls.filter(pl.col("pod").is_not_null()).select("pod", "source").unique(),
        ],
        engine="streaming",
    )
    edges = frozenset(open_edges.iter_rows())
    targets: dict[str, set[str]] = {pod: {service} for pod, service in services.items()}
    for pod, target in served.iter_rows():
        targets.setdefault(pod, set()).add(target)
    sources = dict(callers.iter_rows())
    unmeshed = set(history.facts.unmeshed)
    members = {
        event.subject
        for event in seen
        if event.detail.expected
        and sources.get(event.subject) not in unmeshed
        and not unmeshed & targets.get(event.subject, set())
    }
    return _Lab(
        called={pod: frozenset(edge for edge in edges if edge[1] in targets.get(pod, set())) for pod in members},
        edges=edges,
        made={pod: frozenset(edge for edge in edges if edge[0] == sources.get(pod)) for pod in members},
    )
