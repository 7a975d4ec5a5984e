"""The measured times of a decision record's rollback plan: of deleted policies, and of undone faults."""

from collections.abc import Iterator
from typing import Final

from drills.report import figures
from drills.report.adr import topics
from drills.report.adr.citations import NO_EVIDENCE, Citations
from drills.report.bundles import Run
from drills.report.markdown import Markdown, table

NO_NUMBER: Final = "-"
_WHOLE = 1000  # `g` with three digits would print an exponent from here on


def lines(citations: Citations) -> Iterator[str]:
    """Yield the times that were measured for steps of the plan."""
    yield "Measured for step 1, in the baseline: from the deletion of a policy object that closed a route until"
    yield "the first new connection on it succeeds."
    yield ""
    yield from table(
        ("mesh", "objects deleted", "slowest s", "run"), (_reopened(citations, mesh) for mesh in citations.titles)
    )
    yield ""
    yield "Measured for each drill's fault: the time to undo it, and the time from then until every recovery claim was"
    yield "true. This is the undo of a fault; only a drill of a rollback measures the rollback of a mesh."
    yield ""
    drills = sorted({run.verdict.drill for run in citations.asked})
    yield from table(
        ("drill", *citations.titles.values()),
        ((drill, *(_undone(citations, mesh, drill) for mesh in citations.titles)) for drill in drills),
    )
    yield ""
    yield "Plaintext after an undo:"
    yield ""
    yield from citations.claims(topics.AFTER_UNDO.bears)
    yield ""
    yield "No run measures steps 2 and 3: they are for a person."


def _reopened(citations: Citations, mesh: str) -> tuple[str, ...]:
    """Return the slowest effect of a policy's removal over all runs of a mesh."""
    times = [(seconds, run) for run in citations.of(mesh) for seconds in figures.reopened_s(run.history)]
    if not times:
        return citations.titles[mesh], NO_EVIDENCE, NO_NUMBER, NO_NUMBER
    slowest, run = max(times, key=lambda it: it[0])
    return citations.titles[mesh], str(len(times)), number(slowest), citations.ref(run)


def _undone(citations: Citations, mesh: str, drill: str) -> str:
    """Return undo and recovery of the slowest run of a drill; a run that did not recover counts as the slowest."""
    runs = [(_recovered(run), run) for run in citations.of(mesh) if run.verdict.drill == drill]
    if not runs:
        return NO_NUMBER
    (is_late, after_s), run = max(runs, key=lambda it: it[0])
    undo = figures.undo_s(run.history)
    took = f"undo {number(undo)} s, " if undo is not None else ""
    back = "NOT recovered in time, or not known" if is_late else f"recovered {number(after_s)} s later"
    return Markdown(f"{took}{back}: {citations.ref(run)}")


def _recovered(run: Run) -> tuple[bool, float]:
    """Return whether a recovery claim was missed, and the time until the last one that came true."""
    took = figures.recoveries_s(run.verdict, during="recovery").values()
    return None in took or not took, max((seconds for seconds in took if seconds is not None), default=0.0)


def number(value: float | None) -> str:
    """Return a measured number with three digits, or NO_NUMBER."""
    if value is None:
        return NO_NUMBER
    return f"{value:.0f}" if value >= _WHOLE else f"{value:.3g}"
