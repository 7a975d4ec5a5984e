"""FINDINGS.md says of each run what its stored verdict says: every finding names claims, outcomes and runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.judge.verdict import read_verdict

REPORTS = Path(__file__).parents[3] / "reports"
_EVIDENCE = re.compile(r"`([a-z0-9-]+)` ([A-Z_]+(?:, no promise)?) in \[[^\]]+\]\(([^)]+)/report\.md\)")
_SHARE = re.compile(r"\b\d+ of \d+\b")


def findings() -> Iterator[str]:
    """Yield each item of the lists as one line."""
    text = (REPORTS / "FINDINGS.md").read_text()
    for part in re.split(r"\n(?=[-#] ?)", text):
        if part.startswith("- "):
            yield " ".join(part.split("\n\n")[0].split())


FOUND = tuple(findings())


def test_there_are_findings() -> None:
    """The page has items; without any the other tests would ask nothing."""
    assert len(FOUND) > 10


@pytest.mark.parametrize("finding", FOUND, ids=lambda it: it[2:40])
def test_a_finding_is_what_stored_verdicts_say(finding: str) -> None:
    """Each claim that it names has that outcome, with that promise, in that run."""
    evidence = _EVIDENCE.findall(finding)
    assert evidence, "no claim, outcome and run"
    assert len(evidence) == finding.count("/report.md)"), "a link without a claim and its outcome before it"
    for claim, standing, bundle in evidence:
        stored = {it.id: str(it.standing) for it in read_verdict(REPORTS / bundle).findings}
        assert (claim, stored.get(claim)) == (claim, standing), bundle


@pytest.mark.parametrize("finding", [it for it in FOUND if _SHARE.search(it)], ids=lambda it: it[2:40])
def test_a_share_in_a_finding_stands_in_a_verdict(finding: str) -> None:
    """A share such as 3 of 3 is what the judge wrote about a claim of one of the runs."""
    bundles = {bundle for _, _, bundle in _EVIDENCE.findall(finding)}
    reasons = " ".join(
        text
        for bundle in bundles
        for it in read_verdict(REPORTS / bundle).findings
        for text in (it.reason, *(row.reason for row in it.rows))
    )
    for share in _SHARE.findall(finding):
        bad, total = share.split(" of ")
        stated = (share, f"{bad} calls succeeded" if bad == total else share)
        assert any(words in reasons for words in stated), share
