"""Claims: a check with a quantifier, a phase and the alerts that excuse a failure; and the judge that answers them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import polars as pl

from clusters.model import Reference
from drills.judge import checks
from drills.judge.checks.signals import Sighting, sighting
from drills.judge.files import FileError
from drills.judge.history import History
from drills.judge.measure import Check, Invariant, Measurement, Number, Occurrence, Parameter, Truth
from drills.judge.quantifiers import Quantifier, Ruling, rule, rule_eventually
from drills.judge.records import NOT_PROMISED, NS_PER_S, Defect, StoredCheck, StoredClaim, Window
from drills.judge.verdict import Answer, Finding, Verdict, judge_passed, overall

MAX_CLAIMS = 500
"""Ten times those of the largest drill: each takes up to some tenths of a second to judge."""


@dataclass(frozen=True)
class Claim:
    """A check with a quantifier and a phase, which a history can refute. Its id is its key in a drill's claims.

    alerts: any of these signals excuses a failure if it appears within within_s of the phase's start or of the first
    harm, whichever is later; for `eventually`, of the start. must_hold: no alert excuses a failure. fails_on_control:
    the control must violate this claim. promise: what the mesh's documents say about it; drills leave it out, and the
    mesh's promises.toml supplies it by the claim's id.
    """

    quantifier: Quantifier
    check: Check
    during: str
    within_s: float = 0.0
    hold_s: float = 0.0
    alerts: tuple[str, ...] = ()
    must_hold: bool = False
    fails_on_control: bool = False
    promise: Reference | None = None

    def promised_by(self, reference: Reference | None) -> "Claim":
        """Return the same claim with what the mesh's documents say about it."""
        return replace(self, promise=reference)

    def sentence(self) -> str:
        """Return the claim in words, without its edges."""
        bound = f" within {self.within_s:g} s" if self.quantifier is Quantifier.EVENTUALLY else ""
        return f"{self.quantifier} during {self.during}{bound}: {self.check.says}"


def always(
    check: Invariant,
    during: str = "fault",
    *,
    alert: str | Sequence[str] = (),
    within_s: float = 0.0,
    must_hold: bool = False,
    fails_on_control: bool | None = None,
    promise: Reference | None = None,
) -> Claim:
    """Claim that the check is true over the whole window."""
    _require(check, Invariant, "always")
    alerts = _names(alert, must_hold=must_hold)
    fails = must_hold if fails_on_control is None else fails_on_control
    return Claim(Quantifier.ALWAYS, check, during, within_s, 0.0, alerts, must_hold, fails, promise)


def never(
    check: Occurrence,
    during: str = "fault",
    *,
    alert: str | Sequence[str] = (),
    within_s: float = 0.0,
    must_hold: bool = False,
    fails_on_control: bool | None = None,
    promise: Reference | None = None,
) -> Claim:
    """Claim that it never happened in the window, and that it would have been seen."""
    _require(check, Occurrence, "never")
    alerts = _names(alert, must_hold=must_hold)
    fails = must_hold if fails_on_control is None else fails_on_control
    return Claim(Quantifier.NEVER, check, during, within_s, 0.0, alerts, must_hold, fails, promise)


def eventually(
    check: Invariant,
    within_s: float,
    during: str = "recovery",
    *,
    hold_s: float = 1.0,
    alert: str | Sequence[str] = (),
    must_hold: bool = False,
    fails_on_control: bool | None = None,
    promise: Reference | None = None,
) -> Claim:
    """Claim that the check is true from some instant within within_s of the window's start until its end.

    hold_s: it must be seen true for at least this long. An alert excuses a failure if it fires within within_s.
    """
    _require(check, Invariant, "eventually")
    alerts = _names(alert, must_hold=must_hold)
    fails = must_hold if fails_on_control is None else fails_on_control
    return Claim(Quantifier.EVENTUALLY, check, during, within_s, hold_s, alerts, must_hold, fails, promise)


def sometimes(
    check: Occurrence,
    during: str = "fault",
    *,
    must_hold: bool = False,
    fails_on_control: bool | None = None,
    promise: Reference | None = None,
) -> Claim:
    """Claim that it happened at least once in the window."""
    _require(check, Occurrence, "sometimes")
    fails = must_hold if fails_on_control is None else fails_on_control
    return Claim(Quantifier.SOMETIMES, check, during, must_hold=must_hold, fails_on_control=fails, promise=promise)


def reached(check: Occurrence, during: str = "fault", *, promise: Reference | None = None) -> Claim:
    """Claim that the situation under test occurred; when it did not, the drill proved nothing: INCONCLUSIVE."""
    _require(check, Occurrence, "reached")
    return Claim(Quantifier.REACHED, check, during, promise=promise)


_OF_INVARIANTS = frozenset({Quantifier.ALWAYS, Quantifier.EVENTUALLY})


def stored(claims: Mapping[str, Claim]) -> tuple[StoredClaim, ...]:
    """Return the claims as data, in their order."""
    return tuple(
        StoredClaim(
            id=name,
            quantifier=claim.quantifier,
            check=StoredCheck(claim.check.name, claim.check.edges, dict(claim.check.params)),
            during=claim.during,
            within_s=claim.within_s,
            hold_s=claim.hold_s,
            alerts=claim.alerts,
            must_hold=claim.must_hold,
            fails_on_control=claim.fails_on_control,
            promise=claim.promise,
        )
        for name, claim in claims.items()
    )


def restored(claims: Iterable[StoredClaim]) -> dict[str, Claim]:
    """Return stored claims; FileError for one that this version cannot evaluate, an id given twice, or too many."""
    found: dict[str, Claim] = {}
    for number, it in enumerate(claims):
        if number == MAX_CLAIMS:
            raise FileError(f"The run stores more than {MAX_CLAIMS} claims: no drill asks so many.")
        if it.id in found:
            raise FileError(f"The run holds two claims {it.id!r}; expected one claim for each id.")
        quantifier = _quantifier(it)
        found[it.id] = Claim(
            quantifier,
            _check(it, quantifier),
            it.during,
            it.within_s,
            it.hold_s,
            it.alerts,
            it.must_hold,
            it.fails_on_control,
            it.promise,
        )
    return found


def _quantifier(claim: StoredClaim) -> Quantifier:
    try:
        return Quantifier(claim.quantifier)
    except ValueError as error:
        raise _unusable(claim, f"{claim.quantifier!r} is not a quantifier") from error


def _check(claim: StoredClaim, quantifier: Quantifier) -> Check:
    stored = claim.check
    if stored.name not in checks.__all__:
        raise _unusable(claim, f"there is no check {stored.name!r}")
    try:
        check: Check = getattr(checks, stored.name)(*stored.edges, **stored.params)
        _require(check, Invariant if quantifier in _OF_INVARIANTS else Occurrence, quantifier)
    except (TypeError, ValueError) as error:
        raise _unusable(claim, str(error)) from error
    return check


def _unusable(claim: StoredClaim, reason: str) -> FileError:
    return FileError(
        f"Claim {claim.id!r} of the run cannot be evaluated: {reason}. Another version of meshdrill stored it; "
        "`meshdrill judge --current` evaluates the claims of today's drill."
    )


def judge(history: History, claims: Mapping[str, Claim]) -> Verdict:
    """Answer every claim from the history alone. The same history and claims give the same verdict, byte for byte."""
    facts, defects = history.facts, history.completeness()
    findings = tuple(_find(history, name, claim, defects) for name, claim in claims.items())
    return Verdict(
        drill=facts.drill,
        mesh=facts.mesh,
        run_id=facts.run_id,
        is_control=facts.is_control,
        verdict=overall(findings),
        passed=judge_passed(findings, defects, is_control=facts.is_control),
        findings=findings,
        defects=defects,
    )


def _require(check: Check, kind: type[Check], quantifier: str) -> None:
    if not isinstance(check, kind):
        raise TypeError(f"{quantifier} takes an {kind.__name__}, {check.name} is an {type(check).__name__}")


def _names(alert: str | Sequence[str], *, must_hold: bool) -> tuple[str, ...]:
    if alert and must_hold:
        raise ValueError("no alert excuses a claim that must hold: give alert or must_hold, not both")
    return (alert,) if isinstance(alert, str) else tuple(alert)


@dataclass(frozen=True)
class _Decision:
    answer: Answer
    reason: str
    signal: Sighting | None = None


def _find(history: History, name: str, claim: Claim, defects: tuple[Defect, ...]) -> Finding:
    window = history.window(claim.during)
    if window is None:
        ruling = _unknown(f"the record has no {claim.during} window")
        return _finding(name, claim, None, ruling, _Decision(Answer.INCONCLUSIVE, ruling.reason))
    try:
        ruling = _rule(history, claim, window)
        decision = _decide(history, claim, window, ruling, defects)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - a check that raises is an answer
        ruling = _unknown(f"check {claim.check.name} raised {type(error).__name__}: {error}")
        decision = _Decision(Answer.INCONCLUSIVE, ruling.reason)
    return _finding(name, claim, window, ruling, decision)


def _unknown(reason: str) -> Ruling:
    return Ruling(Truth.UNKNOWN, Measurement(Truth.UNKNOWN, reason), reason)


def _rule(history: History, claim: Claim, window: Window) -> Ruling:
    if claim.quantifier is Quantifier.EVENTUALLY:
        return rule_eventually(claim.check, history, window, claim.within_s, claim.hold_s)
    return rule(claim.quantifier, claim.check, history, window)


def _decide(history: History, claim: Claim, window: Window, ruling: Ruling, defects: tuple[Defect, ...]) -> _Decision:
    if ruling.truth is Truth.UNKNOWN:
        return _Decision(Answer.INCONCLUSIVE, ruling.reason)
    if ruling.truth is Truth.TRUE:
        return _unless_defective(_Decision(Answer.HELD, ruling.reason), defects)
    excuses = tuple(defect for defect in defects if defect.excuses)
    if excuses and not ruling.measurement.is_proof:
        return _unless_defective(_Decision(Answer.VIOLATED, ruling.reason), excuses)
    return _excuse(history, claim, window, ruling, excuses)


def _unless_defective(decision: _Decision, defects: tuple[Defect, ...]) -> _Decision:
    if not defects:
        return decision
    more = f" (and {len(defects) - 1} more)" if len(defects) > 1 else ""
    reason = f"{decision.answer} if the record were complete, but {defects[0].message}{more}; {decision.reason}"
    return _Decision(Answer.INCONCLUSIVE, reason.removesuffix("; "), decision.signal)


def _excuse(history: History, claim: Claim, window: Window, ruling: Ruling, excuses: tuple[Defect, ...]) -> _Decision:
    # `eventually` does no harm before its bound.
    first_ns = None if claim.quantifier is Quantifier.EVENTUALLY else ruling.measurement.at_ns
    harm_ns = max(window.start_ns, first_ns or window.start_ns)
    deadline_ns = harm_ns + round(claim.within_s * NS_PER_S)
    sightings = tuple(sighting(history, name, window.start_ns, deadline_ns) for name in claim.alerts)
    seen = min((s for s in sightings if s.at_ns is not None), key=lambda s: (s.at_ns, s.name), default=None)
    if seen is not None:
        return _unless_defective(_Decision(Answer.FAILED_OBSERVABLY, ruling.reason, seen), excuses)
    blind = next((s for s in sightings if s.truth is Truth.UNKNOWN), None)
    if blind is not None:
        return _Decision(Answer.INCONCLUSIVE, f"{ruling.reason}; and {blind.reason}")
    unseen = "".join(f"; {s.reason}" for s in sightings)
    return _Decision(Answer.VIOLATED, f"{ruling.reason}{unseen}")


def _finding(name: str, claim: Claim, window: Window | None, ruling: Ruling, decision: _Decision) -> Finding:
    measured, signal = ruling.measurement, decision.signal
    signal_ns = signal.at_ns if signal else None
    is_promised = _is_promised(claim)
    return Finding(
        id=name,
        claim=claim.sentence(),
        quantifier=claim.quantifier,
        check=claim.check.name,
        params={name: _shown(value) for name, value in claim.check.params.items()},
        edges=tuple(f"{source}->{target}" for source, target in claim.check.edges),
        during=claim.during,
        window=window,
        verdict=decision.answer if is_promised else Answer.NOT_PROMISED,
        reason=decision.reason if is_promised else _unpromised(decision),
        must_hold=claim.must_hold,
        fails_on_control=claim.fails_on_control,
        alerts=claim.alerts,
        within_s=float(claim.within_s),  # as after a round trip through JSON
        source=claim.promise,
        rows=measured.rows,
        counter_examples=measured.examples,
        resolving=measured.resolution,
        signal=signal.name if signal else None,
        time_to_signal_s=round((signal_ns - window.start_ns) / NS_PER_S, 3) if signal_ns and window else None,
        recovery_s=None if ruling.recovery_s is None else round(ruling.recovery_s, 3),
        measured=msgspec.UNSET if is_promised else decision.answer,
    )


def _shown(value: Parameter) -> Number:
    return ", ".join(value) if isinstance(value, tuple) else value


def _is_promised(claim: Claim) -> bool:
    """Whether the answer counts. `reached` always does: it is a condition of the drill, not a promise of the mesh."""
    return claim.quantifier is Quantifier.REACHED or claim.promise is None or claim.promise.kind != NOT_PROMISED


def _unpromised(decision: _Decision) -> str:
    measured = ", ".join(filter(None, (decision.answer, decision.reason)))
    return f"not promised by the mesh; measured: {measured}"
