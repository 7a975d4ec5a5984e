"""What a drill's experiment can do: Python activities for Chaos Toolkit, with arguments of plain JSON.

Each finds the run that it belongs to by its id. Whatever goes wrong is an event of the history first: Chaos Toolkit
only notes it in the journal, and a run must not pass because nobody read the journal.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clusters.errors import HarnessError
from drills.run.live import LiveRun

_RUNS: dict[str, LiveRun] = {}


@contextmanager
def under_way(run: LiveRun) -> Iterator[None]:
    """Let activities find the run for as long as this lasts."""
    _RUNS[run.request.run_id] = run
    try:
        yield
    finally:
        del _RUNS[run.request.run_id]


def workload_runs(run_id: str) -> bool:
    """Probe: every caller, server and observer of the lab is at work. The first to ask starts them."""
    with _step(run_id, "workload") as run:
        run.start_workload()
    return True


def steady_state_holds(run_id: str, within_s: float) -> bool:
    """Probe: routes carry calls and what policy forbids is refused, within a bound."""
    with _step(run_id, "gate") as run:
        run.pass_gate(within_s)
    return True


def baseline(run_id: str, baseline_s: float) -> None:
    """Probe: watch the healthy mesh."""
    with _step(run_id, "baseline") as run:
        run.baseline(baseline_s)


def inject(run_id: str) -> None:
    """Action: write the undo to disk, do the fault, and wait until an independent observer saw it."""
    with _step(run_id, "inject") as run:
        run.inject()


def hold(run_id: str, hold_s: float) -> None:
    """Probe: keep the fault, with receipts all along."""
    with _step(run_id, "hold") as run:
        run.hold(hold_s)


def undo(run_id: str) -> None:
    """Action: undo the fault and verify it."""
    with _step(run_id, "undo") as run:
        run.undo()


def recovery(run_id: str, recovery_s: float) -> None:
    """Probe: watch the mesh come back."""
    with _step(run_id, "recovery") as run:
        run.recover(recovery_s)


def put_back(run_id: str) -> None:
    """Rollback: undo whatever is still on the undo log, the calls of the lab included."""
    with _step(run_id, "rollback") as run:
        run.put_back()


def await_last_words(run_id: str) -> None:
    """Rollback: wait until every program of the lab has written its last line."""
    with _step(run_id, "end") as run:
        run.await_last_words()


@contextmanager
def _step(run_id: str, name: str) -> Iterator[LiveRun]:
    run = _RUNS.get(run_id)
    if run is None:
        raise HarnessError(f"No run {run_id} is under way in this process. Start it with `meshdrill run`.")
    begun_s = time.monotonic()
    try:
        yield run
    except BaseException as error:
        run.recorder.trouble(name, f"{type(error).__name__}: {error}")
        raise
    finally:
        run.recorder.note("step", name, took_s=round(time.monotonic() - begun_s, 3))
