"""The few numbers of a run that are compared between runs, read from its verdict alone."""

from collections.abc import Iterable, Iterator

import msgspec

from drills.judge.verdict import Answer, Finding, Verdict
from drills.report.bins import CHECKS_OF_SUCCESS

_MS_PER_S = 1000


class Headline(msgspec.Struct, frozen=True):
    """None where the verdict does not tell.

    recovery_s: from the start of its window, mostly the verified undo, until every `eventually` claim was true for
    good, promised or not; has_recovered: whether all of them came true, None when none was asked.
    outage_s: the longest time without a success on an edge whose calls must succeed, and the subject it was seen on;
    lost: how many of these calls did not succeed, each window counted once.
    Without a lost call, outage_s is only the spacing of the calls.
    signal_s: from the start of its window to the first signal that a claim asked for.
    """

    recovery_s: float | None
    has_recovered: bool | None
    outage_s: float | None
    outage_on: str
    lost: int
    signal_s: float | None
    signal: str


def headline(verdict: Verdict) -> Headline:
    """Return the numbers of a verdict."""
    awaited = [finding for finding in verdict.findings if finding.quantifier == "eventually"]
    # Nothing has to recover while its fault stands; what did all the same, as after a crash, counts.
    later = [finding for finding in awaited if finding.during == "recovery" or _came_true(finding)]
    has_recovered = all(map(_came_true, later)) if later else None
    recoveries = [finding.recovery_s for finding in later if finding.recovery_s is not None]
    outages = list(_outages(verdict.findings))
    longest = max((it[:2] for it in outages), default=None)
    signal = min(_signals(verdict.findings), default=None)
    return Headline(
        recovery_s=max(recoveries, default=None) if has_recovered else None,
        has_recovered=has_recovered,
        outage_s=longest[0] / _MS_PER_S if longest else None,
        outage_on=longest[1] if longest else "",
        lost=sum({where: lost for _, _, where, lost in outages}.values()),
        signal_s=signal[0] if signal else None,
        signal=signal[1] if signal else "",
    )


def _came_true(finding: Finding) -> bool:
    return Answer.HELD in {finding.verdict, finding.measured}


def _outages(findings: Iterable[Finding]) -> Iterator[tuple[float, str, str, int]]:
    """Yield (longest outage in ms, subject, window and subject, calls lost) of each row of each claim of success."""
    for finding in findings:
        for row in finding.rows if finding.check in CHECKS_OF_SUCCESS else ():
            outage_ms, *lost = (row.numbers.get(name) for name in ("longest_outage_ms", "failed", "cannot_know"))
            if isinstance(outage_ms, int | float):
                subject = f"{row.subject} {row.connection}".rstrip()
                yield (
                    float(outage_ms),
                    subject,
                    f"{finding.during} {subject}",
                    sum(it for it in lost if isinstance(it, int)),
                )


def _signals(findings: Iterable[Finding]) -> Iterator[tuple[float, str]]:
    for finding in findings:
        if finding.signal is not None and finding.time_to_signal_s is not None:
            yield finding.time_to_signal_s, finding.signal
        for row in finding.rows if finding.check == "signal_seen" else ():
            seen_s = row.numbers.get("time_to_signal_s")
            if isinstance(seen_s, int | float):
                yield float(seen_s), row.subject
