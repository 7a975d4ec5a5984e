"""The first lines of a report: what failed, what was measured, and which alert reported it."""

from pathlib import Path

import msgspec
import pytest

from clusters.model import KnownIssue, Reference, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.bundle_files import REPORT_HTML_FILE, REPORT_MD_FILE
from drills.judge.claims import Claim, always, never
from drills.judge.verdict import Outcome
from drills.report.page.failures import Failure, failures, sign
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.outage_bundle import BY, EDGE

FLOW = checks.success_rate(EDGE, at_least=0.999)
SILENT = Reference("The mesh says nothing of it", "https://example.org/silence", "1", "not-promised")


def of(*claims: Claim) -> tuple[Failure, ...]:
    """Return what failed of an outage with an alert, judged by these claims."""
    history = outage_bundle.outage().history()
    return failures(history, judge(history, claims))


def test_what_failed_observably_names_the_signal_and_where_it_is_seen() -> None:
    """The edge that lost calls, the alert, when it fired, and what on-call sees; claims that held are not listed."""
    (found,) = of(always(FLOW, alert=BY, within_s=20), always(checks.denied(outage_bundle.FORBIDDEN), must_hold=True))
    assert (found.number, found.outcome) == (1, Outcome.FAILED_OBSERVABLY)
    assert found.seen.startswith("frontend->checkout new: 40 of 200 calls were lost")
    assert found.alerted == (
        "Alert control-plane-down reported it, 1.5 s into the fault: Kubernetes reports that "
        "ns/Deployment/brain is not ready."
    )


def test_what_nothing_told_of_comes_first_and_says_so() -> None:
    """A failure without an alert comes before one with an alert; no alert excuses a claim that must hold."""
    strict = always(FLOW, must_hold=True)
    silent, held, observable = of(always(FLOW, alert=BY, within_s=20), always(FLOW, within_s=20), strict)
    assert [it.outcome for it in (silent, held, observable)] == [Outcome.VIOLATED] * 2 + [Outcome.FAILED_OBSERVABLY]
    assert silent.alerted == "No alert that the claim names fired in time."
    assert held.alerted == "No alert can excuse this."


def test_what_broke_without_a_promise_is_listed_with_its_outcome() -> None:
    """No run fails by it; it says what was seen, and which alert fired, like any other claim."""
    holds = always(checks.denied(outage_bundle.FORBIDDEN), must_hold=True, promise=SILENT)
    breaks, alerted = of(holds, always(FLOW, promise=SILENT), always(FLOW, promise=SILENT, alert=BY, within_s=20))
    assert (breaks.outcome, breaks.promise) == (Outcome.VIOLATED, "no promise")
    assert breaks.seen.startswith("frontend->checkout new: 40 of 200 calls were lost")
    assert breaks.alerted == (
        "The mesh does not promise this, so the run does not fail by it. No alert that the claim names fired in time."
    )
    assert "Alert control-plane-down reported it" in alerted.alerted


def test_what_nobody_knows_is_no_pass() -> None:
    """Where nothing watched the wire, that nothing was seen on it says nothing."""
    (found,) = of(never(checks.plaintext(EDGE), must_hold=True))
    assert (found.outcome, found.alerted) == (
        Outcome.INCONCLUSIVE,
        "The run cannot know whether it is true. That is not a pass.",
    )


def test_a_long_reason_is_cut_at_a_word() -> None:
    """Its end stands at the claim."""
    verdict = outage_bundle.reworded(outage_bundle.verdict_of(outage_bundle.outage()), reason="wordy " * 100)
    found = failures(outage_bundle.outage().history(), verdict)[0]
    assert len(found.seen) <= 302
    assert found.seen.endswith("wordy \u2026")


def test_a_control_has_no_failures() -> None:
    """There each security claim has to be violated, and the page says so in other words."""
    verdict = msgspec.structs.replace(outage_bundle.verdict_of(outage_bundle.outage()), is_control=True)
    assert failures(outage_bundle.outage().history(), verdict) == ()


@pytest.mark.parametrize("kind", SignalKind)
def test_every_kind_of_signal_says_where_it_is_seen(kind: SignalKind) -> None:
    """No kind is left without words, and the words name what to look for."""
    assert "the-subject" in sign(SignalSpec("s", kind, "the-subject", threshold=2.0))


@pytest.mark.parametrize("page", [REPORT_MD_FILE, REPORT_HTML_FILE])
def test_the_pages_say_it_before_all_else(page: str, tmp_path: Path) -> None:
    """What failed stands above the claims, with the signals that appeared; where all held there is no such part."""
    text = (outage_bundle.bundle_of(outage_bundle.outage(), tmp_path / "a") / page).read_text(encoding="utf-8")
    assert text.index("What failed, and which alert reported it") < text.index("Claims")
    assert "Signals that fired while the fault was active: control-plane-down 1.5 s after the injection." in text
    history = outage_bundle.outage().history()
    holds = judge(history, (always(checks.denied(outage_bundle.FORBIDDEN), must_hold=True),))
    calm = (outage_bundle.bundle_of(outage_bundle.outage(), tmp_path / "b", holds) / page).read_text(encoding="utf-8")
    assert "What failed, and which alert reported it" not in calm


def test_a_known_failure_is_marked_as_known(tmp_path: Path) -> None:
    """Where it was listed before the run, the first lines say so."""
    history = outage_bundle.outage().history()
    verdict = judge(history, (always(FLOW),))
    issue = Reference("An issue", "https://example.org/issue", "1", "issue")
    listed = (KnownIssue(verdict.findings[0].id, issue),)
    text = (outage_bundle.bundle_of(outage_bundle.outage(), tmp_path, verdict, listed) / REPORT_HTML_FILE).read_text(
        encoding="utf-8"
    )
    part = text[text.index('id="failed"') : text.index('<dl class="facts">')]
    assert '<span class="chip">known</span>' in part
