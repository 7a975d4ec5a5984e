"""Failures that are known: they excuse exactly themselves, and no longer than they last."""

import re

import msgspec
import pytest

from clusters.model import KnownIssue, Reference
from drills.cli import exits
from drills.judge import checks, known
from drills.judge.claims import Claim, always, judge, never, sometimes
from drills.judge.verdict import Outcome, Verdict
from drills.selftest.doubles.story import Story

GOOD, BAD, WORSE, BLIND = ("a", "b"), ("a", "c"), ("a", "d"), ("a", "e")
ISSUE = Reference("It lets them in", "https://example.org/issues/1", "1.0", "issue")


def flows(edge: tuple[str, str], at_least: float) -> Claim:
    """Claim that calls of an edge succeed; the bound tells the claims apart, as edges are not worded."""
    return always(checks.success_rate(edge, at_least=at_least))


HOLDS, BREAKS, BREAKS_TOO, UNKNOWN = flows(GOOD, 0.9), flows(BAD, 0.91), flows(WORSE, 0.92), flows(BLIND, 0.93)


def id_of(claim: Claim) -> str:
    """Return an id for a claim: its words, which differ between the claims here."""
    return re.sub("[^a-z0-9]+", "-", claim.sentence().lower())


def entry(claim: Claim) -> KnownIssue:
    """Return the entry of a claim."""
    return KnownIssue(id_of(claim), ISSUE)


def verdict_of(*claims: Claim, is_control: bool = False) -> Verdict:
    """Return the verdict on a run in which BAD and WORSE lose their calls."""
    return judge(story(is_control=is_control).history(), by_id(*claims))


def story(*, is_control: bool = False) -> Story:
    """Return that run."""
    return Story(is_control=is_control).steady(GOOD).fault().calls(*BAD, fail=200).calls(*WORSE, fail=200)


def by_id(*claims: Claim) -> dict[str, Claim]:
    """Return claims by their ids."""
    return {id_of(claim): claim for claim in claims}


@pytest.mark.parametrize(
    ("claims", "listed", "expected", "code"),
    [
        ((HOLDS, BREAKS), (BREAKS,), True, exits.PASSED),
        ((BREAKS, BREAKS_TOO), (BREAKS, BREAKS_TOO), True, exits.PASSED),
        ((HOLDS, BREAKS), (), False, exits.VIOLATED),
        ((BREAKS, BREAKS_TOO), (BREAKS,), False, exits.VIOLATED),
        ((HOLDS, BREAKS), (HOLDS, BREAKS), False, exits.VIOLATED),
        ((HOLDS,), (HOLDS,), False, exits.VIOLATED),
        ((HOLDS,), (BREAKS,), False, exits.VIOLATED),
        ((HOLDS,), (), False, exits.PASSED),
        ((UNKNOWN,), (UNKNOWN,), False, exits.INCONCLUSIVE),
        ((BREAKS, UNKNOWN), (BREAKS, UNKNOWN), False, exits.VIOLATED),
        ((HOLDS, UNKNOWN), (HOLDS,), False, exits.INCONCLUSIVE),
    ],
)
def test_exactly_what_is_listed_is_expected(
    claims: tuple[Claim, ...], listed: tuple[Claim, ...], expected: bool, code: int
) -> None:
    """One failure more, one entry too many, or an answer that is not known: the run is a surprise and does not pass."""
    verdict = verdict_of(*claims)
    entries = tuple(map(entry, listed))
    assert known.is_expected(verdict, entries) is expected
    assert exits.of(verdict, entries) == code


@pytest.mark.parametrize(
    ("more", "worse"),
    [
        ({}, ""),
        ({"edges": ("a->c", "a->b")}, ""),
        ({"edges": ("a->b",)}, "a->c is new"),
        ({"since": "fault"}, ""),
        ({"since": "recovery"}, "the first harm is in the fault, known since the recovery"),
        ({"at_most": {"failed": 200.0}}, ""),
        ({"at_most": {"failed": 199.0}}, "failed is 200, known up to 199"),
    ],
)
def test_what_goes_beyond_an_entry_is_not_known(more: dict[str, object], worse: str) -> None:
    """Another edge, an earlier phase or more harm than the entry states is a surprise, and is said to be worse."""
    verdict = verdict_of(HOLDS, BREAKS)
    listed = (msgspec.structs.replace(entry(BREAKS), **more),)
    assert known.beyond(verdict.findings[1], listed[0]) == worse
    assert known.is_expected(verdict, listed) is not bool(worse)
    assert exits.of(verdict, listed) == (exits.VIOLATED if worse else exits.PASSED)
    said = known.describe(verdict, listed)
    assert said == (f"worse than the known issue: {id_of(BREAKS)}: {worse} ({ISSUE.url})" if worse else said)


def test_harm_of_a_claim_that_says_never_is_what_happened() -> None:
    """The rows of `never` are true where harm was done."""
    claim = never(checks.plaintext(GOOD, BAD))
    story = Story().steady(GOOD, BAD).watched().fault().hit(*BAD)
    (finding,) = judge(story.history(), {id_of(claim): claim}).findings
    assert known.beyond(finding, msgspec.structs.replace(entry(claim), edges=("a->c",))) == ""
    assert known.beyond(finding, msgspec.structs.replace(entry(claim), edges=("a->b",))) == "a->c is new"


def test_the_verdict_itself_knows_nothing_of_it() -> None:
    """VIOLATED stays VIOLATED, and did not pass: what is known changes no byte of the verdict."""
    verdict = verdict_of(BREAKS)
    assert (verdict.outcome, verdict.passed) == (Outcome.VIOLATED, False)
    assert known.issue_of(verdict.findings[0], (entry(BREAKS),)) == ISSUE
    assert known.issue_of(verdict.findings[0], (entry(HOLDS),)) is None


def test_what_holds_has_no_issue() -> None:
    """An entry for a claim that holds shows beside nothing, and is named as one that must go."""
    verdict, listed = verdict_of(HOLDS), (entry(HOLDS), entry(sometimes(checks.plaintext(GOOD))))
    assert known.issue_of(verdict.findings[0], listed) is None
    assert known.outdated(verdict, listed) == listed
    assert known.describe(verdict, listed).count("known issue no longer seen") == 2


def test_it_is_told_in_one_line() -> None:
    """An expected run names each issue once; one without entries says nothing."""
    listed = (entry(BREAKS), entry(BREAKS_TOO))
    assert known.describe(verdict_of(BREAKS, BREAKS_TOO), listed) == f"VIOLATED as known ({ISSUE.url})"
    assert known.describe(verdict_of(BREAKS, BREAKS_TOO), ()) == ""


@pytest.mark.parametrize(
    ("must_fail", "expected", "code"),
    [((BAD,), True, exits.PASSED), ((BAD, GOOD), False, exits.VIOLATED), ((), False, exits.VIOLATED)],
)
def test_a_control_is_excused_only_where_it_fails_as_it_must(
    must_fail: tuple[tuple[str, str], ...], expected: bool, code: int
) -> None:
    """What is known of it counts beside claims that fail on it by design: one that does not proves nothing."""
    by_design = [
        always(checks.success_rate(edge, at_least=0.8 + number / 100), must_hold=True)
        for number, edge in enumerate(must_fail)
    ]
    verdict = verdict_of(HOLDS, BREAKS, *by_design, is_control=True)
    assert known.is_expected(verdict, (entry(BREAKS),)) is expected
    assert exits.of(verdict, (entry(BREAKS),)) == code
    assert not known.is_expected(verdict, ())


APART = Reference("It says nothing", "https://example.org/2", "1", "not-promised")


@pytest.mark.parametrize(
    ("claims", "listed", "code", "strictly"),
    [
        ((HOLDS,), (), exits.PASSED, exits.PASSED),
        ((HOLDS, BREAKS.promised_by(APART)), (), exits.PASSED, exits.VIOLATED),
        ((HOLDS, UNKNOWN.promised_by(APART)), (), exits.PASSED, exits.INCONCLUSIVE),
        ((BREAKS.promised_by(APART),), (), exits.INCONCLUSIVE, exits.VIOLATED),
        ((HOLDS, BREAKS.promised_by(APART)), (BREAKS,), exits.PASSED, exits.PASSED),
        ((BREAKS, BREAKS_TOO.promised_by(APART)), (BREAKS,), exits.PASSED, exits.VIOLATED),
    ],
)
def test_strict_fails_by_what_is_not_promised(
    claims: tuple[Claim, ...], listed: tuple[Claim, ...], code: int, strictly: int
) -> None:
    """Without it a broken claim that no document promises is shown and fails no run; with it, only a listed one may."""
    verdict, entries = verdict_of(*claims), tuple(map(entry, listed))
    assert exits.of(verdict, entries) == code
    assert exits.of(verdict, entries, strict=True) == strictly


def test_strict_changes_nothing_on_a_control() -> None:
    """A control passes when its security claims fail, with or without it."""
    by_design = always(checks.success_rate(BAD, at_least=0.8), must_hold=True)
    verdict = verdict_of(HOLDS, by_design, is_control=True)
    assert exits.of(verdict) == exits.of(verdict, strict=True) == exits.PASSED
