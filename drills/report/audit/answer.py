"""The audit of one edge at one instant of a stored run: allowed, encrypted, identity, certificates, policies.

Each part of the answer is read from the record alone, never inferred from another part: that policy objects select a
pod does not show that they admit a call, and an admitted call does not show which object admitted it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec
import polars as pl

from drills.judge import checks
from drills.judge.checks.lanes import SUCCEEDED, WAS_MADE, on_edges
from drills.judge.events import CertificateShown, DropCount, DropLogRead
from drills.judge.measure import Measurement, Truth
from drills.judge.records import NS_PER_S, Window
from drills.report.audit.objects import (
    NOT_RECORDED,
    RECORDED,
    Certificates,
    Policies,
    Select,
    certificates_of,
    pods_of,
    policies_of,
)
from drills.report.bundles import Run

HALF_S: Final = 2.5
"""Calls within this time of the instant count for it: the slowest caller of a drill calls a few times a second."""

ALLOWED, REFUSED, NOT_CERTAIN = "allowed", "refused", "not certain"
READABLE, NOT_READABLE = "readable on the wire", "not readable on the wire"
PROVEN, NOT_PROVEN = "shown", "not shown, or another"

_RUN_WIDE: Final = "run"
_CALLS: Final = 5
_ROUTES: Final = frozenset({"/", "POST /"})  # the lab's callers ask for nothing else


class Question(msgspec.Struct, frozen=True):
    """The edge, the instant, and the HTTP route ("" for any) that the audit asks about."""

    at_ns: int
    source: str
    target: str
    route: str = ""


class Answered(msgspec.Struct, frozen=True):
    """One part of the answer: a fixed word, and a sentence with the numbers behind it."""

    answer: str
    says: str


class Peer(msgspec.Struct, frozen=True):
    """An identity as servers saw it, its number of calls, and the pods whose recorded certificate it names."""

    header: str
    calls: int
    certificate_of: tuple[str, ...]


class Identity(msgspec.Struct, frozen=True):
    """The identity of the source as servers saw it."""

    answer: str
    says: str
    expected: str  # "" if the mesh gives the service none
    peers: tuple[Peer, ...]


class ShownCall(msgspec.Struct, frozen=True):
    """One call near the instant, from both ends. after_s: its scheduled start minus the instant."""

    id: str
    after_s: float
    outcome: str
    status: int | None
    error: str
    served_by: str  # "" if no server recorded it
    served_status: int | None


class Audit(msgspec.Struct, frozen=True):
    """The whole answer, and the run that it is from."""

    drill: str
    mesh: str
    run_id: str
    bundle: str
    statement_sha256: str
    signature: str
    question: Question
    after_start_s: float
    during: tuple[str, ...]  # windows of the run that contain the instant
    allowed: Answered
    encrypted: Answered
    identity: Identity
    certificates: Certificates
    policies: Policies
    decided: Answered
    calls: tuple[ShownCall, ...]

    @property
    def is_answered(self) -> bool:
        """Whether the record shows if calls were allowed at that instant."""
        return self.allowed.answer in {ALLOWED, REFUSED}


def start_ns(run: Run) -> int:
    """Return the instant from which offsets into a run count: the start of its baseline."""
    whole = run.history.windows().get(_RUN_WIDE)
    return whole.start_ns if whole else min(event.at_ns for event in run.history.events)


def ask(run: Run, question: Question, select: Select) -> Audit:
    """Answer from the record of the run. select: whether a policy object applies to a pod."""
    at_ns, edge = question.at_ns, (question.source, question.target)
    around = Window("around", at_ns - round(HALF_S * NS_PER_S), at_ns + round(HALF_S * NS_PER_S))
    calls = run.history.calls_in(around).filter(on_edges((edge,)), WAS_MADE).collect()
    called = _servers(calls) or tuple(sorted(pods_of(run.history, question.target)))
    return Audit(
        drill=run.verdict.drill,
        mesh=run.verdict.mesh,
        run_id=run.verdict.run_id,
        bundle=run.bundle.name,
        statement_sha256=run.statement_sha256,
        signature=run.signature,
        question=question,
        after_start_s=round((at_ns - start_ns(run)) / NS_PER_S, 3),
        during=tuple(name for name, window in run.history.windows().items() if window.holds(at_ns)),
        allowed=_allowed(run, question, around, calls),
        encrypted=_encrypted(run, edge, around),
        identity=_identity(run, edge, around, calls),
        certificates=certificates_of(run.history, called, at_ns),
        policies=policies_of(run.history, question.target, at_ns, select),
        decided=_decided(run, edge, around),
        calls=_shown(calls, at_ns),
    )


def _allowed(run: Run, question: Question, around: Window, calls: pl.DataFrame) -> Answered:
    edge = (question.source, question.target)
    name = f"{question.source} -> {question.target}"
    if question.route and question.route not in _ROUTES:
        return Answered(NOT_RECORDED, f"no call on route {question.route} is recorded: the lab calls POST / only")
    if calls.is_empty():
        return Answered(NOT_RECORDED, f"no call {name} is recorded within {HALF_S:g} s; {_called(run)}")
    made = calls.filter(pl.col("scheduled_ns").is_not_null())
    ok = made.filter(SUCCEEDED).height
    served = calls.filter(pl.col("served_ns").is_not_null()).height
    counted = f"of {made.height} calls within {HALF_S:g} s {ok} succeeded, and servers recorded {served}"
    if ok and ok == made.height:
        return Answered(ALLOWED, counted)
    failed = f"{counted}; {_errors(made)}"
    refused = checks.denied(edge, min_samples=1, max_gap_s=2 * HALF_S).evaluate(run.history, around)
    if refused.truth is Truth.TRUE:
        return Answered(REFUSED, f"{failed}; {question.target} served others meanwhile")
    reason = "some succeeded and some did not" if ok or served else _reason(refused)
    return Answered(NOT_CERTAIN, f"{failed}; {reason}")


def _decided(run: Run, edge: tuple[str, str], around: Window) -> Answered:
    """Return the mesh's own record of refused calls, in its words; the rules are not evaluated here."""
    written = run.history.of_kind(DropCount)
    if not written and not run.history.of_kind(DropLogRead):
        return Answered(NOT_RECORDED, "the run read no record of the mesh that names both ends of a refused call")
    said: Counter[tuple[str, str]] = Counter()
    for event in written:
        first_ns, last_ns = event.instants
        if event.subject == "->".join(edge) and first_ns < around.end_ns and last_ns >= around.start_ns:
            said[event.detail.node, event.detail.reason] += event.detail.count
    if not said:
        return Answered(NOT_RECORDED, f"within {HALF_S:g} s the mesh's own record has no refusal of it")
    words = (f"{node} refused {count} with {reason!r}" for (node, reason), count in sorted(said.items()))
    return Answered(RECORDED, f"in records of these seconds {'; '.join(words)}")


def _encrypted(run: Run, edge: tuple[str, str], around: Window) -> Answered:
    seen = checks.plaintext(edge, min_samples=1).evaluate(run.history, around)
    if seen.truth is Truth.TRUE:
        return Answered(READABLE, _reason(seen))
    if seen.truth is Truth.UNKNOWN:
        return Answered(NOT_RECORDED, _reason(seen))
    ok = sum(int(row.numbers["ok"] or 0) for row in seen.rows)
    return Answered(
        NOT_READABLE,
        f"no node saw the canary of any of {ok} successful calls, and each saw that of an unmeshed call",
    )


def _identity(run: Run, edge: tuple[str, str], around: Window, calls: pl.DataFrame) -> Identity:
    expected = run.history.facts.identities.get(edge[0], "")
    served = calls.filter(pl.col("served_ns").is_not_null())
    peers = _peers(run, edge[0], served["peer"].fill_null("").to_list())
    if served.is_empty():
        return Identity(NOT_RECORDED, "no server recorded a call, so none saw a peer", expected, peers)
    if not expected:
        return Identity(NOT_RECORDED, f"the mesh gives {edge[0]} no identity that a server could see", expected, peers)
    seen = checks.unauthenticated(edge, min_samples=1).evaluate(run.history, around)
    if seen.truth is Truth.FALSE:
        return Identity(PROVEN, f"each of {served.height} served calls showed it", expected, peers)
    answer = NOT_PROVEN if seen.truth is Truth.TRUE else NOT_RECORDED
    return Identity(answer, _reason(seen), expected, peers)


def _reason(seen: Measurement) -> str:
    """Return the reason without the name of the edge."""
    return next((row.reason for row in seen.rows if row.truth is seen.truth and row.reason), seen.reason)


def _peers(run: Run, source: str, headers: list[str]) -> tuple[Peer, ...]:
    """Return each identity header that servers saw, with the pods whose certificate's SHA-256 it names."""
    pods = pods_of(run.history, source)
    owners: dict[str, set[str]] = {}
    for event in run.history.of_kind(CertificateShown):
        if event.subject in pods and event.detail.fingerprint:
            owners.setdefault(event.detail.fingerprint, set()).add(event.subject)
    return tuple(
        Peer(header, count, _owners(header, owners)) for header, count in sorted(Counter(headers).items()) if header
    )


def _owners(header: str, owners: Mapping[str, set[str]]) -> tuple[str, ...]:
    named = header.lower()
    return tuple(sorted({pod for fingerprint, pods in owners.items() if fingerprint in named for pod in pods}))


def _servers(calls: pl.DataFrame) -> tuple[str, ...]:
    """Return the pods that served, by their own record or by the response."""
    found = calls.select(pl.coalesce("served_pod", "server_pod").alias("pod")).to_series()
    return tuple(sorted({str(pod) for pod in found if pod}))


def _errors(made: pl.DataFrame) -> str:
    errors = Counter(made.filter(~SUCCEEDED)["error"].fill_null("").to_list())
    return ", ".join(f"{count} ended with {error or 'no error class'}" for error, count in errors.most_common())


def _called(run: Run) -> str:
    edges = sorted({f"{caller.source}->{caller.target}" for caller in run.history.facts.callers})
    return f"the run called {', '.join(edges) or 'no service'}"


def _shown(calls: pl.DataFrame, at_ns: int) -> tuple[ShownCall, ...]:
    """Return the calls nearest to the instant."""
    due = pl.coalesce("scheduled_ns", "served_ns")
    nearest = calls.with_columns(due_ns=due).sort((pl.col("due_ns") - at_ns).abs(), "id").head(_CALLS)
    return tuple(
        ShownCall(
            id=row["id"],
            after_s=round((row["due_ns"] - at_ns) / NS_PER_S, 3),
            outcome=row["outcome"] or "recorded by a server only",
            status=row["status"],
            error=row["error"] or "",
            served_by=row["served_pod"] or "",
            served_status=row["served_status"],
        )
        for row in nearest.sort("due_ns", "id").to_dicts()
    )
