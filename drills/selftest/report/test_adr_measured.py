"""The decision record's tables: one row for each invariant and question, and the times that were measured."""

import re
from pathlib import Path

import pytest

from clusters.model import Reference
from drills.judge import checks
from drills.judge.claims import always, never
from drills.report.adr import record, review
from drills.report.adr.citations import NO_CHECK, NO_EVIDENCE
from drills.selftest.doubles.decision_bundles import answers_to, meshes_in, section, write
from drills.selftest.doubles.many_runs import CLAIMS, DENIED, DOWN, EDGE, broken, bundle, quiet

L7, RETRIES = "L7 policy only where an L7 proxy is proven active", "The retry budget is defined centrally"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return runs of two drills on two meshes."""
    place = tmp_path / "reports"
    bundle(place, quiet(back_after_s=4))
    bundle(place, quiet(), drill="node-outage")
    bundle(place, broken(), mesh="mesh-b")
    return place


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where the record goes."""
    return tmp_path / "decisions" / "0001.md"


def test_the_rollback_plan_has_the_measured_times(reports: Path, out: Path) -> None:
    """How long undo and recovery took is there per drill; that no drill asked about plaintext afterwards is stated."""
    part = section(write(reports, out, "--title", "Which mesh"), "## Rollback Plan")
    row = answers_to("brain-outage", part.split("Measured for each")[1])
    assert re.fullmatch(r"undo 1 s, recovered 4(\.\d+)? s later: \[\w{12}\]", row["The mesh-a"])
    assert row["Cilium"] == "-"
    assert part.split("Plaintext after an undo")[1].count("No check answers this.") == 1
    assert part.count(record.FOR_A_PERSON) == 4


def test_a_policy_that_was_deleted_says_when_calls_got_through(reports: Path, out: Path) -> None:
    """Where a run closed an edge and opened it again in health, the slowest opening is the time of the plan's step."""
    story = quiet().baseline().change("intruder", "frontend", "accepted", at_s=1, held_s=4)
    story.calls("intruder", "frontend", fail=40, over=(1, 5.3)).calls("intruder", "frontend", ok=40, over=(5.3, 9))
    story.change("intruder", "frontend", "refused", at_s=9, held_s=None)
    bundle(reports, story, mesh="mesh-c")
    part = section(write(reports, out, "--title", "Which mesh"), "## Rollback Plan")
    row = answers_to("The mesh-c", part)
    assert row["objects deleted"] == "1"
    assert row["slowest s"] == "0.302"
    assert answers_to("The mesh-b", part)["objects deleted"] == NO_EVIDENCE


def test_each_invariant_has_one_row(reports: Path, out: Path) -> None:
    """The four invariants stand first, each with the worst answer of a mesh and the run that gave it."""
    part = section(write(reports, out, "--title", "Which mesh"), "## Invariants").split("###")[0]
    assert len([line for line in part.splitlines() if line.startswith("| ")]) == 2 + 4
    answers = answers_to("All in-scope traffic is mTLS", part)
    assert re.fullmatch(r"VIOLATED, 1 run: \[\w{12}\]", answers["The mesh-b"])
    assert re.fullmatch(r"HELD, 2 runs: \[\w{12}\]", answers["The mesh-a"])
    assert answers["Cilium"] == "-"


def test_an_invariant_is_answered_by_the_claims_that_bear_on_it(reports: Path, out: Path) -> None:
    """A routing weight says nothing of L7 policy; that no request was served twice is no test of a retry budget."""
    weight = {"canary-weight-kept": always(checks.split_ratio(EDGE, version="v1", weight=1.0))}
    bundle(reports, quiet(), mesh="mesh-c", claims={**CLAIMS, **weight})
    text = write(reports, out, "--title", "Which mesh")
    part = section(text, "## Invariants").split("###")[0]
    assert set(answers_to(L7, part).values()) == {L7, NO_CHECK}
    assert set(answers_to(RETRIES, part).values()) == {RETRIES, "not tested: no drill retries a call"}
    assert "Not tested: no drill retries a call." in section(text, f"### {RETRIES}")
    closed = {"closed-route-refused": always(checks.denied(DENIED), alert=DOWN.name, within_s=5)}
    retried = {"few-retries": always(checks.attempts_per_request(EDGE, at_most=3))}
    bundle(reports, quiet(), mesh="mesh-d", claims={**CLAIMS, **closed, **retried})
    part = section(write(reports, out), "## Invariants").split("###")[0]
    for line in (L7, RETRIES):
        answers = answers_to(line, part)
        assert re.fullmatch(r"HELD, 1 run: \[\w{12}\]", answers["The mesh-d"])
        assert answers["The mesh-c"] == "-"


def test_no_run_stands_for_a_conformance_test(reports: Path, out: Path) -> None:
    """What no drill does is neither answered nor forgotten: a person brings it."""
    part = section(write(reports, out, "--title", "Which mesh"), "## Evidence Required")
    answers = answers_to("conformance test: for a person, see below", part)
    assert set(answers.values()) == {"conformance test: for a person, see below", NO_CHECK}
    assert re.search(r"^- Conformance test.*\[FOR A PERSON: ", part, flags=re.MULTILINE)


def test_the_review_is_answered_by_drills_or_left_to_a_person(reports: Path, out: Path) -> None:
    """A line has the worst answer of each mesh, or that there is none; what no drill asks is a field to fill in."""
    part = section(write(reports, out, "--title", "Which mesh"), "## Review Before Production")
    rows = {line.strip("| ").split(" | ")[1]: line for line in part.splitlines() if line.startswith("|")}
    assert "| VIOLATED, 1 run: [" in rows["the mTLS mode is explicit: nothing is readable"]
    assert rows["upgrade and rollback are tested"].count(NO_CHECK) == rows["line"].count(" | ") - 1
    waiting = [line for line in part.splitlines() if line.startswith("- ")]
    assert all(record.FOR_A_PERSON in line for line in waiting)
    assert len(waiting) + len(rows) - 2 == len(review.LINES)
    assert re.search(r"^- A break-glass exists: \*\*\[FOR A PERSON", part, flags=re.MULTILINE)


def test_a_question_has_one_row_whatever_the_window(reports: Path, out: Path) -> None:
    """Window and bound are no part of it; the worst answer counts, with a run that gave it and how many did."""
    for number in range(5):
        bundle(reports, quiet(), mesh="mesh-b", folder=f"2026020{number + 1}T000000Z")
    part = section(write(reports, out, "--title", "Which mesh"), "### All in-scope traffic is mTLS")
    assert part.count("a call is readable on the wire") == 1
    answer = answers_to("never: a call is readable on the wire", part)["The mesh-b"]
    assert re.fullmatch(r"VIOLATED, 1 of 6 runs: \[\w{12}\]", answer)


def test_what_broke_without_a_promise_is_shown_with_its_outcome(reports: Path, out: Path) -> None:
    """Where no encryption is promised, that bytes were seen stands there all the same."""
    silence = Reference("Nothing is encrypted unasked", "https://example.org/silence", "1", "not-promised")
    secret = never(checks.plaintext(EDGE), must_hold=True, promise=silence)
    bundle(reports, broken(), mesh="mesh-c", claims={**CLAIMS, "no-plaintext": secret})
    text = write(reports, out, "--title", "Which mesh")
    answers = answers_to("never: a call is readable on the wire", section(text, "### All in-scope traffic is mTLS"))
    assert re.fullmatch(r"VIOLATED, no promise, 1 run: \[\w{12}\]", answers["The mesh-c"])
    assert answers["Cilium"] == "-"
    (required,) = [line for line in text.splitlines() if line.startswith("| mTLS metrics")]
    cells = dict(zip(meshes_in(text), required.split(" | ")[1:], strict=True))
    assert cells["The mesh-c"].startswith("VIOLATED, no promise, 1 run: [")
    assert cells["The mesh-b"].startswith("VIOLATED, 1 run: [")
