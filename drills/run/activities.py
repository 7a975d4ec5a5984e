"""The activities of a drill's experiment: Python functions for Chaos Toolkit, with arguments of plain JSON.

Each activity finds its run by the id in its arguments. Under `chaos run` the first activity starts the run. Every
failure is recorded as an event of the history: Chaos Toolkit writes it to the journal only, which the judge does not
read.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from clusters.runtime import HarnessError
from drills.judge.events import StepEnd
from drills.run.live import LiveRun

# Each step needs the one before it. Options of Chaos Toolkit can skip, repeat and reorder steps.
_IN_ORDER = ("workload", "steady-state", "baseline", "inject", "hold", "undo", "recovery")


@dataclass
class _UnderWay:
    run: LiveRun
    done: list[str] = field(default_factory=list)

    @property
    def due(self) -> str:
        """The next step, "" after the last."""
        return _IN_ORDER[len(self.done)] if len(self.done) < len(_IN_ORDER) else ""


_RUNS: dict[str, _UnderWay] = {}
_BEGINNERS: dict[str, Callable[[], None]] = {}


@contextmanager
def under_way(run: LiveRun, *, known_as: str) -> Iterator[None]:
    """Register the run under the id that its experiment passes to activities, until the context ends."""
    _RUNS[known_as] = _UnderWay(run)
    try:
        yield
    finally:
        del _RUNS[known_as]


def begin_on_demand(run_id: str, begin: Callable[[], None]) -> bool:
    """Let the first activity with that id call `begin`, which starts the run; return False if the run has started."""
    if run_id in _RUNS:
        return False
    _BEGINNERS[run_id] = begin
    return True


def workload_runs(run_id: str) -> bool:
    """Probe: start the workload, and wait until every caller, server and observer of the lab works."""
    with _step(run_id, "workload") as run:
        run.start_workload()
    return True


def steady_state_holds(run_id: str, within_s: float) -> bool:
    """Probe: within a bound, calls on routes succeed and calls that policy denies are refused."""
    with _step(run_id, "steady-state") as run:
        run.await_steady_state(within_s)
    return True


def baseline(run_id: str, baseline_s: float) -> None:
    """Probe: watch the healthy mesh."""
    with _step(run_id, "baseline") as run:
        run.baseline(baseline_s)


def inject(run_id: str) -> None:
    """Action: write the undo entry to disk, inject the fault, and wait for a receipt of an independent observer."""
    with _step(run_id, "inject") as run:
        run.inject()


def hold(run_id: str, hold_s: float) -> None:
    """Probe: hold the fault and take receipts."""
    with _step(run_id, "hold") as run:
        run.hold(hold_s)


def undo(run_id: str) -> None:
    """Action: undo the fault and verify it."""
    with _step(run_id, "undo") as run:
        run.undo()


def recovery(run_id: str, recovery_s: float) -> None:
    """Probe: watch the mesh recover."""
    with _step(run_id, "recovery") as run:
        run.recover(recovery_s)


def roll_back(run_id: str) -> None:
    """Rollback: revert every pending entry of the undo log, including the calls of the lab."""
    with _step(run_id, "rollback") as run:
        run.roll_back()


def await_end_lines(run_id: str) -> None:
    """Rollback: wait until every program of the lab has written its end line."""
    with _step(run_id, "end") as run:
        run.await_end_lines()


@contextmanager
def _step(run_id: str, name: str) -> Iterator[LiveRun]:
    found = _find(run_id)
    run = found.run
    begun_s = time.monotonic()
    try:
        _demand_order(found, name)
        yield run
        found.done += [name] if name in _IN_ORDER else []
    except BaseException as error:
        run.recorder.trouble(name, f"{type(error).__name__}: {error}")
        raise
    finally:
        took = StepEnd.Detail(took_s=round(time.monotonic() - begun_s, 3))
        run.recorder.note(StepEnd(time.time_ns(), name, took))


def _demand_order(found: _UnderWay, name: str) -> None:
    if name in _IN_ORDER and name != found.due:
        raise HarnessError(
            f"Step {name!r} came where {found.due or 'none'!r} was expected: a step was skipped, or it failed."
        )


def _find(run_id: str) -> _UnderWay:
    begin = _BEGINNERS.pop(run_id, None)  # once: a rollback must not retry a start that failed
    if begin is not None:
        begin()
    if run_id not in _RUNS:
        raise HarnessError(
            f"No run {run_id} is under way in this process. Start it with `meshdrill run`, or with `chaos run` on an "
            "experiment.json of a bundle: its control finds the kept cluster."
        )
    return _RUNS[run_id]
