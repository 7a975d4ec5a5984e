"""What a drill's experiment can do: Python activities for Chaos Toolkit, with arguments of plain JSON.

Each finds the run that it belongs to by the id that the experiment gives it. Under `chaos run` the first one begins the
run. Whatever goes wrong is an event of the history first: Chaos Toolkit only notes it in the journal, and a run must
not pass because nobody read the journal.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from clusters.runtime import HarnessError
from drills.judge.events import StepEnd
from drills.run.live import LiveRun

# Each needs what the one before it did. Chaos Toolkit's options can leave them out, repeat and reorder them.
_IN_ORDER = ("workload", "gate", "baseline", "inject", "hold", "undo", "recovery")


@dataclass
class _UnderWay:
    run: LiveRun
    done: list[str] = field(default_factory=list)

    @property
    def due(self) -> str:
        """Return the step that comes next, "" after the last."""
        return _IN_ORDER[len(self.done)] if len(self.done) < len(_IN_ORDER) else ""


_RUNS: dict[str, _UnderWay] = {}
_BEGINNERS: dict[str, Callable[[], None]] = {}


@contextmanager
def under_way(run: LiveRun, *, known_as: str) -> Iterator[None]:
    """Let activities find the run, by the id that its experiment gives them, for as long as this lasts."""
    _RUNS[known_as] = _UnderWay(run)
    try:
        yield
    finally:
        del _RUNS[known_as]


def begin_on_demand(run_id: str, begin: Callable[[], None]) -> bool:
    """Let the first activity of that id call `begin`, which puts the run under way; False when it is already."""
    if run_id in _RUNS:
        return False
    _BEGINNERS[run_id] = begin
    return True


def workload_runs(run_id: str) -> bool:
    """Probe: every caller, server and observer of the lab is at work. The first to ask starts them."""
    with _step(run_id, "workload") as run:
        run.start_workload()
    return True


def steady_state_holds(run_id: str, within_s: float) -> bool:
    """Probe: routes carry calls and what policy forbids is refused, within a bound."""
    with _step(run_id, "gate") as run:
        run.await_steady_state(within_s)
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
        raise HarnessError(f"Step {name!r} came where {found.due or 'none'!r} was due: one was left out, or it failed.")


def _find(run_id: str) -> _UnderWay:
    begin = _BEGINNERS.pop(run_id, None)  # once: what could not begin is not begun again by a rollback
    if begin is not None:
        begin()
    if run_id not in _RUNS:
        raise HarnessError(
            f"No run {run_id} is under way in this process. Start it with `meshdrill run`, or with `chaos run` on an "
            "experiment.json of a bundle, whose control finds the kept cluster."
        )
    return _RUNS[run_id]
