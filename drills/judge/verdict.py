"""The verdict of a run: one finding per claim, and their stable encoding."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from clusters.model import Reference
from drills.judge import files, inert, migration, storage
from drills.judge.bundle_files import RUN_FILE, VERDICT_FILE
from drills.judge.measure import Example, Number, Resolution, Row, Truth
from drills.judge.quantifiers import Quantifier
from drills.judge.records import NOT_PROMISED, NS_PER_S, Defect, Window


class Outcome(StrEnum):
    """What happened, of one claim or of a run: measured the same way on every mesh, whatever the mesh promises."""

    HELD = "HELD"
    FAILED_OBSERVABLY = "FAILED_OBSERVABLY"
    INCONCLUSIVE = "INCONCLUSIVE"
    VIOLATED = "VIOLATED"


SEVERITY = tuple(Outcome)
"""The outcomes, the best first."""

MAX_DEFECT_LINES = 5
MAX_LINE_CHARS = 240

PASSING = frozenset({Outcome.HELD, Outcome.FAILED_OBSERVABLY})

FAILING = frozenset({Outcome.VIOLATED, Outcome.FAILED_OBSERVABLY})
"""Outcomes that show that a check can fail, with or without an alert."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst outcome; INCONCLUSIVE when there is none."""
    return max(outcomes, key=SEVERITY.index, default=Outcome.INCONCLUSIVE)


class Standing(msgspec.Struct, frozen=True):
    """An outcome, and whether a run passes or fails by it: False only where the mesh does not promise it."""

    outcome: Outcome
    is_promised: bool = True

    def __str__(self) -> str:
        """Return the outcome; where it is not good and no run fails by it, also that no promise stands behind it."""
        is_bare = self.is_promised or self.outcome is Outcome.HELD
        return self.outcome.value if is_bare else f"{self.outcome}, no promise"

    @property
    def rank(self) -> int:
        """Return how bad the outcome is; of equal outcomes, one that breaks a promise is worse."""
        return 2 * SEVERITY.index(self.outcome) + self.is_promised


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one claim, with the evidence that a reader needs to check it.

    id: the claim's key, by which runs are compared. claim: the same in words, for people. promise: what the mesh's
    documents say about the claim; None where they have no entry. alerts, within_s: which signals would have excused a
    failure, and within what time. fails_on_control: whether the control must violate this claim. time_to_signal_s: from
    the window's start to the signal. recovery_s: from the window's start to lasting truth. first_harm: the phase in
    which the first harm began; "" where there is none, or where it is not known.
    """

    id: str
    claim: str
    quantifier: str
    check: str
    params: dict[str, Number]
    edges: tuple[str, ...]
    during: str
    window: Window | None
    outcome: Outcome
    reason: str
    must_hold: bool
    fails_on_control: bool
    promise: Reference | None
    alerts: tuple[str, ...] = ()
    within_s: float = 0.0
    rows: tuple[Row, ...] = ()
    counter_examples: tuple[Example, ...] = ()
    resolving: Resolution | None = None
    signal: str | None = None
    time_to_signal_s: float | None = None
    recovery_s: float | None = None
    first_harm: str = ""

    @property
    def is_condition(self) -> bool:
        """Whether the claim only asks that the situation under test occurred."""
        return self.quantifier == Quantifier.REACHED

    @property
    def is_promised(self) -> bool:
        """Whether the run passes or fails by this claim.

        False only where the mesh's documents are known not to promise it. A condition always counts, and so does a
        claim without an entry: whoever writes a drill of their own asks it of their mesh.
        """
        return self.is_condition or self.promise is None or self.promise.kind != NOT_PROMISED

    @property
    def passes_without_fault(self) -> bool:
        """Whether a no-fault control passes by this claim: it holds, or the mesh never promised it.

        What a mesh never promised is excused where the run cannot know it, as in any run, and where the claim is about
        what a mesh adds, a security claim or one that fails without a mesh: the mesh as configured may lack that with
        and without a fault, and the control shows it. A call that is lost or slow without a fault is never excused.
        """
        if self.outcome is Outcome.HELD or self.is_promised:
            return self.outcome is Outcome.HELD
        return self.outcome is Outcome.INCONCLUSIVE or self.must_hold or self.fails_on_control

    @property
    def is_finding_without_promise(self) -> bool:
        """Whether something broke that the mesh does not promise."""
        return self.outcome in FAILING and not self.is_promised

    @property
    def standing(self) -> Standing:
        """Return the outcome, and whether a promise stands behind it."""
        return Standing(self.outcome, self.is_promised)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one drill on one mesh, with every finding and every defect of the record.

    outcome: the worst of all claims. promised: the worst of those by which the run passes or fails; None where the mesh
    promises none of them. passed: whether every promised claim held or failed observably, or, for a control, whether
    every claim that must fail there did. without_fault: a no-fault control, which passes only if every claim passes
    without a fault.
    """

    drill: str
    mesh: str
    run_id: str
    is_control: bool
    outcome: Outcome
    promised: Outcome | None
    passed: bool
    findings: tuple[Finding, ...]
    defects: tuple[Defect, ...]
    without_fault: bool = False

    @property
    def standing(self) -> Standing:
        """Return the worst outcome, and whether a promise stands behind it."""
        return Standing(self.outcome, self.outcome is self.promised)

    @property
    def counted_without_fault(self) -> Outcome:
        """Return the worst outcome by which a no-fault control passes or fails."""
        return worst(Outcome.HELD if it.passes_without_fault else it.outcome for it in self.findings)

    @property
    def detected(self) -> Outcome:
        """Return what a control shows in which nothing protects the lab: HELD where it passed.

        VIOLATED where a claim that must fail did not, or another failed; INCONCLUSIVE where the run cannot know.
        """
        if self.passed:
            return Outcome.HELD
        return Outcome.VIOLATED if any(map(_is_undetected, self.findings)) else Outcome.INCONCLUSIVE

    @property
    def excused_without_fault(self) -> tuple[str, ...]:
        """Return the claims by which a no-fault control passes although they do not hold, by id."""
        return tuple(it.id for it in self.findings if it.passes_without_fault and it.outcome is not Outcome.HELD)

    def accepts(self, *, strict: bool) -> bool:
        """Return whether the run passed and, with `strict`, broke nothing that the mesh does not promise either."""
        return self.passed and (not strict or self.is_control or self.outcome in PASSING)

    def encode(self) -> bytes:
        """Return the bytes of verdict.json: judging the same history again gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2) + b"\n"

    def explain(self) -> str:
        """Return a short summary for on-call, worst finding first."""
        return inert.lines(self._lines())

    def _as_control(self) -> str:
        if self.without_fault:
            return " as the no-fault control, in which every claim must hold"
        return " as the control, whose security claims must fail" if self.is_control else ""

    def _lines(self) -> Iterator[str]:
        outcome = "passed" if self.passed else "did not pass"
        yield f"{self.standing}: {self.drill} on {self.mesh} {outcome}{self._as_control()} (run {self.run_id})"
        count = 0 if self.without_fault else sum(finding.is_finding_without_promise for finding in self.findings)
        if count:
            yield f"  broken, without a promise of this mesh, so that the run does not fail by it: {count}"
        if self.promised is None and not self.without_fault:
            yield "  this mesh promises none of these claims, so the run cannot pass"
        for finding in sorted(self.findings, key=lambda finding: -SEVERITY.index(finding.outcome)):
            yield f"  {finding.standing}  {finding.claim}"
            yield from (f"    {line}" for line in _evidence(finding))
        yield from (f"  DEFECT  {_shorten(defect.message)}" for defect in self.defects[:MAX_DEFECT_LINES])
        if len(self.defects) > MAX_DEFECT_LINES:
            yield f"  and {len(self.defects) - MAX_DEFECT_LINES} more defects of the record"


def read_verdict(bundle: Path) -> Verdict:
    """Return the stored verdict of a bundle; FileError when there is none that this version can read."""
    path = bundle / VERDICT_FILE
    verdict, run = storage.read_json(path), storage.read_json(bundle / RUN_FILE)
    if storage.read_format(run, bundle / RUN_FILE) == migration.FORMAT:
        return files.decode(path, Verdict)
    old = storage.upgraded(lambda: migration.upgrade_verdict(verdict, run), Verdict, path)
    return msgspec.structs.replace(
        old, outcome=worst(it.outcome for it in old.findings), promised=of_promises(old.findings)
    )


def of_promises(findings: Sequence[Finding]) -> Outcome | None:
    """Return the worst outcome of the claims that count; None if all of them but the conditions are not promised."""
    counted = [finding for finding in findings if finding.is_promised]
    if len(counted) < len(findings) and all(finding.is_condition for finding in counted):
        return None
    return worst(finding.outcome for finding in counted)


def judge_without_fault(findings: Sequence[Finding], defects: Sequence[Defect]) -> bool:
    """Whether a no-fault control passed: no alert excuses a failure, and at least one claim holds."""
    return (
        all(it.passes_without_fault for it in findings)
        and not defects
        and any(it.outcome is Outcome.HELD for it in findings)
    )


def judge_passed(findings: tuple[Finding, ...], defects: tuple[Defect, ...], *, is_control: bool) -> bool:
    """Whether the findings pass; on a control: whether every claim that must fail there did, and no other claim did.

    On a control a failure counts with or without an alert: it proves that the check can fail. Every row of a claim that
    must fail must show it: one edge that fails says nothing of what the check sees on another.
    """
    if not is_control:
        return of_promises(findings) in PASSING
    must_fail = tuple(finding for finding in findings if finding.fails_on_control)
    others = tuple(finding for finding in findings if not finding.fails_on_control)
    return (
        not defects
        and bool(must_fail)
        and all(finding.outcome in FAILING and not _has_good_row(finding) for finding in must_fail)
        and all(finding.outcome in PASSING or not finding.is_promised for finding in others)
    )


def _is_undetected(finding: Finding) -> bool:
    """Whether a control shows by this finding that the drill does not detect what it looks for, or sees what is not."""
    if finding.fails_on_control:
        return finding.outcome is Outcome.HELD or (finding.outcome in FAILING and _has_good_row(finding))
    return finding.outcome is Outcome.VIOLATED and finding.is_promised


def _has_good_row(finding: Finding) -> bool:
    good = Truth.FALSE if finding.quantifier == Quantifier.NEVER else Truth.TRUE
    return any(row.truth is good for row in finding.rows)


def _evidence(finding: Finding) -> Iterator[str]:
    if finding.outcome is Outcome.HELD:
        return
    yield _shorten(finding.reason)
    if finding.signal is not None and finding.time_to_signal_s is not None:
        yield f"signal {finding.signal} after {finding.time_to_signal_s:.1f} s"
    for example in finding.counter_examples[:1]:
        start_ns = finding.window.start_ns if finding.window else example.at_ns
        offset_s = (example.at_ns - start_ns) / NS_PER_S
        what = f"{example.outcome} {example.error}".rstrip()
        yield f"for example {example.id} at {finding.during} +{offset_s:.3f} s: {_shorten(what)}"
    if finding.promise is not None:
        word = "promised" if finding.is_promised else "not promised"
        yield f"{word}: {finding.promise.title} ({finding.promise.version}) {finding.promise.url}"


def _shorten(text: str) -> str:
    return textwrap.shorten(text, MAX_LINE_CHARS, placeholder=" ...")
