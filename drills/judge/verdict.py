"""The verdict of a run: one finding per claim, and their stable encoding."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from clusters.model import Reference
from drills.judge import files, inert, migration, storage
from drills.judge.bundle_files import RUN_FILE, VERDICT_FILE
from drills.judge.measure import Example, Number, Resolution, Row
from drills.judge.quantifiers import Quantifier
from drills.judge.records import NS_PER_S, Defect, Window


class Answer(StrEnum):
    """The answers to a claim. A verdict is the worst of its findings, without those that are NOT_PROMISED."""

    HELD = "HELD"
    NOT_PROMISED = "NOT_PROMISED"
    FAILED_OBSERVABLY = "FAILED_OBSERVABLY"
    INCONCLUSIVE = "INCONCLUSIVE"
    VIOLATED = "VIOLATED"


SEVERITY = (Answer.HELD, Answer.NOT_PROMISED, Answer.FAILED_OBSERVABLY, Answer.INCONCLUSIVE, Answer.VIOLATED)
MAX_DEFECT_LINES = 5
MAX_LINE_CHARS = 240

PASSING = frozenset({Answer.HELD, Answer.FAILED_OBSERVABLY})

FAILING = frozenset({Answer.VIOLATED, Answer.FAILED_OBSERVABLY})
"""Answers that show that a check can fail, with or without an alert."""


def worst(answers: Iterable[Answer]) -> Answer:
    """Return the worst answer. Ignores NOT_PROMISED; INCONCLUSIVE when no answer is left."""
    promised = (answer for answer in answers if answer is not Answer.NOT_PROMISED)
    return max(promised, key=SEVERITY.index, default=Answer.INCONCLUSIVE)


class Finding(msgspec.Struct, frozen=True):
    """The answer to one claim, with the evidence that a reader needs to check it.

    id: the claim's key, by which runs are compared. claim: the same in words, for people. alerts, within_s: which
    signals would have excused a failure, and within what time. fails_on_control: whether the control must violate this
    claim. time_to_signal_s: from the window's start to the signal. recovery_s: from the window's start to lasting
    truth. measured: the answer as if the mesh had promised it; set only when the mesh did not.
    """

    id: str
    claim: str
    quantifier: str
    check: str
    params: dict[str, Number]
    edges: tuple[str, ...]
    during: str
    window: Window | None
    verdict: Answer
    reason: str
    must_hold: bool
    fails_on_control: bool
    source: Reference | None
    alerts: tuple[str, ...] = ()
    within_s: float = 0.0
    rows: tuple[Row, ...] = ()
    counter_examples: tuple[Example, ...] = ()
    resolving: Resolution | None = None
    signal: str | None = None
    time_to_signal_s: float | None = None
    recovery_s: float | None = None
    measured: Answer | msgspec.UnsetType = msgspec.UNSET


class Verdict(msgspec.Struct, frozen=True):
    """The answer to one drill on one mesh, with every finding and every defect of the record."""

    drill: str
    mesh: str
    run_id: str
    is_control: bool
    verdict: Answer
    passed: bool
    findings: tuple[Finding, ...]
    defects: tuple[Defect, ...]

    def encode(self) -> bytes:
        """Return the bytes of verdict.json: judging the same history again gives the same bytes."""
        return msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2) + b"\n"

    def explain(self) -> str:
        """Return a short summary for on-call, worst finding first."""
        return inert.lines(self._lines())

    def _lines(self) -> Iterator[str]:
        outcome = "passed" if self.passed else "did not pass"
        control = " as the control, whose security claims must fail" if self.is_control else ""
        yield f"{self.verdict}: {self.drill} on {self.mesh} {outcome}{control} (run {self.run_id})"
        if count := count_not_promised(self.findings):
            yield f"  {count} of {len(self.findings)} claims are not promised by this mesh: they neither pass nor fail"
        for finding in sorted(self.findings, key=lambda finding: -SEVERITY.index(finding.verdict)):
            yield f"  {finding.verdict}  {finding.claim}"
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
    return storage.upgraded(lambda: migration.upgrade_verdict(verdict, run), Verdict, path)


def overall(findings: Sequence[Finding]) -> Answer:
    """Return the verdict of the findings; INCONCLUSIVE if all but those of `reached` are NOT_PROMISED."""
    asked = [finding for finding in findings if finding.quantifier != Quantifier.REACHED]
    if asked and count_not_promised(asked) == len(asked):
        return Answer.INCONCLUSIVE
    return worst(finding.verdict for finding in findings)


def count_not_promised(findings: Iterable[Finding]) -> int:
    """Return how many findings are about claims that the mesh does not promise."""
    return sum(finding.verdict is Answer.NOT_PROMISED for finding in findings)


def judge_passed(findings: tuple[Finding, ...], defects: tuple[Defect, ...], *, is_control: bool) -> bool:
    """Whether the findings pass; on a control: whether every claim that must fail there did, and no other claim did.

    On a control a failure counts with or without an alert: it proves that the check can fail.
    """
    if not is_control:
        return overall(findings) in PASSING
    must_fail = tuple(finding for finding in findings if finding.fails_on_control)
    others = tuple(finding for finding in findings if not finding.fails_on_control)
    return (
        not defects
        and bool(must_fail)
        and all(finding.verdict in FAILING for finding in must_fail)
        and all(finding.verdict in PASSING or finding.verdict is Answer.NOT_PROMISED for finding in others)
    )


def _evidence(finding: Finding) -> Iterator[str]:
    if finding.verdict is Answer.HELD:
        return
    yield _shorten(finding.reason)
    if finding.signal is not None and finding.time_to_signal_s is not None:
        yield f"signal {finding.signal} after {finding.time_to_signal_s:.1f} s"
    for example in finding.counter_examples[:1]:
        start_ns = finding.window.start_ns if finding.window else example.at_ns
        offset_s = (example.at_ns - start_ns) / NS_PER_S
        what = f"{example.outcome} {example.error}".rstrip()
        yield f"for example {example.id} at {finding.during} +{offset_s:.3f} s: {_shorten(what)}"
    if finding.source is not None:
        word = "not promised" if finding.verdict is Answer.NOT_PROMISED else "promised by"
        yield f"{word}: {finding.source.title} ({finding.source.version}) {finding.source.url}"


def _shorten(text: str) -> str:
    return textwrap.shorten(text, MAX_LINE_CHARS, placeholder=" ...")
