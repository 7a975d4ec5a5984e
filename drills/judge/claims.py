"""Claims: a check with a quantifier, a phase and the alerts that excuse a failure; and the judge that answers them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_type_hints

import msgspec
import polars as pl

from clusters.model import Reference
from drills.judge import checks
from drills.judge.checks.signals import Sighting, alert_for, sighting
from drills.judge.files import FileError
from drills.judge.history import History
from drills.judge.measure import Check, Harm, Invariant, Measurement, Number, Occurrence, Parameter, Truth
from drills.judge.quantifiers import Quantifier, Ruling, rule, rule_eventually
from drills.judge.records import NS_PER_S, Defect, StoredCheck, StoredClaim, Window
from drills.judge.verdict import Finding, Outcome, Verdict, judge_passed, judge_without_fault, of_promises, worst

MAX_CLAIMS = 500
"""Ten times those of the largest drill: each takes up to some tenths of a second to judge."""


@dataclass(frozen=True)
class Claim:
    """A check with a quantifier and a phase, which a history can refute. Its id is its key in a drill's claims.

    alerts: a failure is excused if one of these signals covers each episode of harm: it is up when the harm begins, or
    appears at most within_s later; for `eventually`, at most within_s after the phase's start. must_hold: no alert
    excuses a failure. fails_on_control: the control must violate this claim. promise: what the mesh's documents say
    about it; drills leave it out, and the mesh's promises.toml supplies it by the claim's id. needs_fault: only the
    fault can make it true, so the no-fault control does not ask it.
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
    needs_fault: bool = False

    def needing_fault(self) -> "Claim":
        """Return the same claim, which the no-fault control does not ask: only the fault can make it true."""
        return replace(self, needs_fault=True)

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
    needs_fault = check.name in _BROUGHT_BY_FAULT
    return Claim(Quantifier.ALWAYS, check, during, within_s, 0.0, alerts, must_hold, fails, promise, needs_fault)


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
    needs_fault = check.name in _BROUGHT_BY_FAULT
    return Claim(Quantifier.EVENTUALLY, check, during, within_s, hold_s, alerts, must_hold, fails, promise, needs_fault)


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
    return Claim(
        Quantifier.SOMETIMES,
        check,
        during,
        must_hold=must_hold,
        fails_on_control=fails,
        promise=promise,
        needs_fault=check.name in _BROUGHT_BY_FAULT,
    )


def reached(check: Occurrence, during: str = "fault", *, promise: Reference | None = None) -> Claim:
    """Claim that the situation under test occurred; when it did not, the drill proved nothing: INCONCLUSIVE."""
    _require(check, Occurrence, "reached")
    return Claim(Quantifier.REACHED, check, during, promise=promise, needs_fault=check.name in _BROUGHT_BY_FAULT)


_OF_INVARIANTS = frozenset({Quantifier.ALWAYS, Quantifier.EVENTUALLY})

_BROUGHT_BY_FAULT = frozenset({"drift_found", "issuer_taken_up", "leaf_ended", "outside_mesh", "signal_seen"})
"""Checks of what only a fault brings: a claim that it happens needs a fault, a claim that it never happens does not."""


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
            needs_fault=claim.needs_fault,
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
            it.needs_fault,
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
        make = getattr(checks, stored.name)
        _require_types(get_type_hints(make), stored.params)
        check: Check = make(*stored.edges, **stored.params)
        _require(check, Invariant if quantifier in _OF_INVARIANTS else Occurrence, quantifier)
    except (TypeError, ValueError) as error:
        raise _unusable(claim, str(error)) from error
    return check


def _require_types(hints: Mapping[str, object], params: Mapping[str, Parameter]) -> None:
    """Raise ValueError for a parameter of another type; one that the check lacks is left to it."""
    for name, value in params.items():
        try:
            msgspec.convert(value, hints.get(name, object))
        except msgspec.ValidationError as error:
            raise ValueError(f"its parameter {name} is {value!r}: {error}") from error


def _unusable(claim: StoredClaim, reason: str) -> FileError:
    return FileError(
        f"Claim {claim.id!r} of the run cannot be evaluated: {reason}. Another version of meshdrill stored it; "
        "`meshdrill judge --current` evaluates the claims of today's drill."
    )


def judge(history: History, claims: Mapping[str, Claim]) -> Verdict:
    """Outcome every claim from the history alone. The same history and claims give the same verdict, byte for byte."""
    facts, defects = history.facts, history.completeness()
    findings = tuple(_find(history, name, claim, defects) for name, claim in claims.items())
    return Verdict(
        drill=facts.drill,
        mesh=facts.mesh,
        run_id=facts.run_id,
        is_control=facts.is_control,
        outcome=worst(finding.outcome for finding in findings),
        promised=of_promises(findings),
        passed=judge_without_fault(findings, defects)
        if facts.without_fault
        else judge_passed(findings, defects, is_control=facts.is_control),
        findings=findings,
        defects=defects,
        without_fault=facts.without_fault,
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
    outcome: Outcome
    reason: str
    signal: Sighting | None = None


def _find(history: History, name: str, claim: Claim, defects: tuple[Defect, ...]) -> Finding:
    window = history.window(claim.during)
    if window is None:
        ruling = _unknown(f"the record has no {claim.during} window")
        return _finding(history, name, claim, None, ruling, _Decision(Outcome.INCONCLUSIVE, ruling.reason))
    try:
        ruling = _rule(history, claim, window)
        decision = _decide(history, claim, window, ruling, defects)
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 - a check that raises is an answer
        ruling = _unknown(f"check {claim.check.name} raised {type(error).__name__}: {error}")
        decision = _Decision(Outcome.INCONCLUSIVE, ruling.reason)
    return _finding(history, name, claim, window, ruling, decision)


def _unknown(reason: str) -> Ruling:
    return Ruling(Truth.UNKNOWN, Measurement(Truth.UNKNOWN, reason), reason)


def _rule(history: History, claim: Claim, window: Window) -> Ruling:
    if claim.quantifier is Quantifier.EVENTUALLY:
        return rule_eventually(claim.check, history, window, claim.within_s, claim.hold_s)
    return rule(claim.quantifier, claim.check, history, window)


def _decide(history: History, claim: Claim, window: Window, ruling: Ruling, defects: tuple[Defect, ...]) -> _Decision:
    if ruling.truth is Truth.UNKNOWN:
        return _Decision(Outcome.INCONCLUSIVE, ruling.reason)
    if ruling.truth is Truth.TRUE:
        return _unless_defective(_Decision(Outcome.HELD, ruling.reason), defects)
    excuses = tuple(defect for defect in defects if defect.excuses)
    if excuses and not ruling.measurement.is_proof:
        return _unless_defective(_Decision(Outcome.VIOLATED, ruling.reason), excuses)
    return _excuse(history, claim, window, ruling, excuses)


def _unless_defective(decision: _Decision, defects: tuple[Defect, ...]) -> _Decision:
    if not defects:
        return decision
    more = f" (and {len(defects) - 1} more)" if len(defects) > 1 else ""
    reason = f"{decision.outcome} if the record were complete, but {defects[0].message}{more}; {decision.reason}"
    return _Decision(Outcome.INCONCLUSIVE, reason.removesuffix("; "), decision.signal)


def _excuse(history: History, claim: Claim, window: Window, ruling: Ruling, excuses: tuple[Defect, ...]) -> _Decision:
    """Decide a broken claim: FAILED_OBSERVABLY only if an alert of the claim covers every episode of harm."""
    found = [(harm, _alerts_for(history, claim, window, harm)) for harm in _harms(claim, window, ruling)]
    bare = [(harm, alerts) for harm, alerts in found if all(it.at_ns is None for it in alerts)]
    if not bare:
        seen = min((it for _, alerts in found for it in alerts if it.at_ns is not None), key=_by_instant)
        return _unless_defective(_Decision(Outcome.FAILED_OBSERVABLY, ruling.reason, seen), excuses)
    silent = next((it for it in bare if all(alert.truth is Truth.FALSE for alert in it[1])), None)
    harm, alerts = silent or bare[0]
    of = f" for {harm.subject} from +{(harm.start_ns - window.start_ns) / NS_PER_S:.1f} s on" if harm.subject else ""
    if silent is None:
        blind = next(it for it in alerts if it.truth is Truth.UNKNOWN)
        return _Decision(Outcome.INCONCLUSIVE, f"{ruling.reason}; and{of} {blind.reason}")
    unseen = "".join(f"; {it.reason}" for it in alerts)
    return _Decision(Outcome.VIOLATED, f"{ruling.reason}{unseen}{of if alerts else ''}")


def _harms(claim: Claim, window: Window, ruling: Ruling) -> tuple[Harm, ...]:
    """Return the episodes of harm. `eventually` does no harm before its bound: it has one, from the window's start."""
    measured = ruling.measurement
    if claim.quantifier is Quantifier.EVENTUALLY:
        return (Harm("", window.start_ns, window.end_ns),)
    at_ns = max(window.start_ns, measured.at_ns or window.start_ns)
    return measured.harms or (Harm("", at_ns, window.end_ns),)


def _alerts_for(history: History, claim: Claim, window: Window, harm: Harm) -> tuple[Sighting, ...]:
    if claim.quantifier is Quantifier.EVENTUALLY:
        deadline_ns = window.start_ns + round(claim.within_s * NS_PER_S)
        return tuple(sighting(history, name, window.start_ns, deadline_ns) for name in claim.alerts)
    return tuple(alert_for(history, name, harm, window.start_ns, claim.within_s) for name in claim.alerts)


def _by_instant(alert: Sighting) -> tuple[int, str]:
    return alert.at_ns or 0, alert.name


def _finding(
    history: History, name: str, claim: Claim, window: Window | None, ruling: Ruling, decision: _Decision
) -> Finding:
    measured, signal = ruling.measurement, decision.signal
    signal_ns = signal.at_ns if signal else None
    return Finding(
        id=name,
        claim=claim.sentence(),
        quantifier=claim.quantifier,
        check=claim.check.name,
        params={name: _shown(value) for name, value in claim.check.params.items()},
        edges=tuple(f"{source}->{target}" for source, target in claim.check.edges),
        during=claim.during,
        window=window,
        outcome=decision.outcome,
        reason=decision.reason,
        must_hold=claim.must_hold,
        fails_on_control=claim.fails_on_control,
        alerts=claim.alerts,
        within_s=float(claim.within_s),  # as after a round trip through JSON
        promise=claim.promise,
        rows=measured.rows,
        counter_examples=measured.examples,
        resolving=measured.resolution,
        signal=signal.name if signal else None,
        time_to_signal_s=round((signal_ns - window.start_ns) / NS_PER_S, 3) if signal_ns and window else None,
        recovery_s=None if ruling.recovery_s is None else round(ruling.recovery_s, 3),
        first_harm="" if measured.at_ns is None else history.phase_at(measured.at_ns),
    )


def _shown(value: Parameter) -> Number:
    return ", ".join(value) if isinstance(value, tuple) else value
