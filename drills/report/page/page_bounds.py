"""How much of a run a page shows. A page of a hundred thousand claims or edges would take minutes and help nobody."""

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from drills.judge.bundle_files import CALLS_FILE, EVENTS_FILE, VERDICT_FILE
from drills.judge.events import NewPod, PolicyChangeStep
from drills.judge.history import History
from drills.judge.keys import LANE
from drills.judge.verdict import SEVERITY, Verdict
from drills.report.wording import instants, timeline

MAX_CLAIMS: Final = 200
MAX_ROWS: Final = 200
"""Rows of numbers of one claim."""
MAX_LANES: Final = 300
"""Edges by kind of connection and calling node; the largest real run has a third of them."""
MAX_STEPS: Final = 300
"""Steps of the drill, and attempts of each kind of probe."""
MAX_INSTANTS: Final = 50
"""Injections and undos, around each of which the calls of every edge are counted."""

_LANE_OF_NODE = (*LANE, "node")


@dataclass(frozen=True)
class Shown:
    """The part of a run that a page shows. left_out: what it does not show, one sentence each."""

    history: History
    verdict: Verdict
    timeline: list[tuple[float, str]]
    instants: list[tuple[str, int]]
    left_out: tuple[str, ...]


def shown(history: History, verdict: Verdict) -> Shown:
    """Return the claims with the worst answers, the first lanes by name, and the first events, within the bounds."""
    steps, changed = timeline(history), instants(history)
    fewer_events, of_attempts = _attempts(history)
    fewer_calls, of_lanes = _lanes(fewer_events)
    fewer_claims, of_claims = _claims(verdict)
    left_out = (
        *of_claims,
        of_lanes,
        of_attempts,
        _sentence(len(steps) - MAX_STEPS, "steps of the drill", EVENTS_FILE),
        _sentence(len(changed) - MAX_INSTANTS, "injections and undos", EVENTS_FILE),
    )
    return Shown(
        fewer_calls, fewer_claims, steps[:MAX_STEPS], changed[:MAX_INSTANTS], tuple(it for it in left_out if it)
    )


def _claims(verdict: Verdict) -> tuple[Verdict, tuple[str, ...]]:
    ranked = sorted(range(len(verdict.findings)), key=lambda at: -SEVERITY.index(verdict.findings[at].outcome))
    kept = [verdict.findings[at] for at in sorted(ranked[:MAX_CLAIMS])]
    shorter = tuple(msgspec.structs.replace(it, rows=it.rows[:MAX_ROWS]) for it in kept)
    rows = sum(len(it.rows[MAX_ROWS:]) for it in kept)
    said = (
        _sentence(len(verdict.findings) - MAX_CLAIMS, "claims", VERDICT_FILE),
        _sentence(rows, "rows of numbers of claims", VERDICT_FILE),
    )
    return msgspec.structs.replace(verdict, findings=shorter), said


def _lanes(history: History) -> tuple[History, str]:
    found = history.calls.select(_LANE_OF_NODE).unique().sort(_LANE_OF_NODE).collect()
    if found.height <= MAX_LANES:
        return history, ""
    kept = found.head(MAX_LANES).lazy()
    calls = history.calls.join(kept, on=_LANE_OF_NODE, how="semi", maintain_order="left", nulls_equal=True)
    what = "edges by kind of connection and calling node"
    return replace(history, calls=calls), _sentence(found.height - MAX_LANES, what, CALLS_FILE)


def _attempts(history: History) -> tuple[History, str]:
    left_out = {id(it) for kind in (NewPod, PolicyChangeStep) for it in history.of_kind(kind)[MAX_STEPS:]}
    if not left_out:
        return history, ""
    events = tuple(it for it in history.events if id(it) not in left_out)
    return replace(history, events=events), _sentence(len(left_out), "attempts of probes", EVENTS_FILE)


def _sentence(count: int, what: str, file: str) -> str:
    """Return the sentence; "" if nothing is left out."""
    return f"This page leaves out {count} {what}; {file} has all of them." if count > 0 else ""
