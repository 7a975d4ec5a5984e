"""Converts a request to a Chaos Toolkit experiment and back, and runs it more strictly than Chaos Toolkit does.

By default, Chaos Toolkit continues after a failed action and skips rollbacks after an interruption. Here a failed
activity ends the method, and rollbacks always run; under `chaos run`, the experiment's settings and control do it.
"""

import json
import logging
from pathlib import Path

import msgspec
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.run import RunEventHandler
from chaoslib.types import Strategy

from clusters.runtime import UsageError
from drills.judge import migration
from drills.judge.bundle_files import EXPERIMENT_FILE, JOURNAL_FILE
from drills.run.experiment import Request, new_run_id
from drills.run.timing import REAL, Timing

INTERRUPTED = "interrupted"
EXTENSION = "meshdrill"
_MODULE = "drills.run.activities"
_CONTROL = "drills.cli.chaos"  # Chaos Toolkit loads it by name; importing it here would go up the layers
_ROLLBACKS = "always"
_STEPS = ("steady-state-hypothesis", "method", "rollbacks")

Json = dict[str, object]

# The harness reports progress. Without a handler, warnings of Chaos Toolkit would be printed beside the verdict.
logging.getLogger("chaostoolkit").addHandler(logging.NullHandler())


def experiment_of(request: Request, timing: Timing = REAL) -> Json:
    """Return the experiment: steady-state hypothesis, method, rollbacks. Every drill has these steps in this order."""
    run_id, within_s = request.run_id, timing.steady_state_within_s
    fault = request.fault
    return {
        "version": "1.0.0",
        "title": request.title,
        "description": request.hypothesis or request.title,
        "tags": ["meshdrill", request.drill, request.mesh],
        "steady-state-hypothesis": {
            "title": "Routes carry calls, and what policy forbids is refused",
            "probes": [
                {**_activity("probe", "workload-runs", "workload_runs", run_id=run_id), "tolerance": True},
                {
                    **_activity("probe", "steady-state-holds", "steady_state_holds", run_id=run_id, within_s=within_s),
                    "tolerance": True,
                },
            ],
        },
        "method": [
            _activity("probe", "baseline", "baseline", run_id=run_id, baseline_s=request.baseline_s),
            _activity("action", fault.title, "inject", run_id=run_id),
            _activity("probe", "hold", "hold", run_id=run_id, hold_s=fault.hold_s),
            _activity("action", f"undo {fault.title}", "undo", run_id=run_id),
            _activity("probe", "recovery", "recovery", run_id=run_id, recovery_s=request.recovery_s),
        ],
        "rollbacks": [
            _activity("action", "roll back", "roll_back", run_id=run_id),
            _activity("action", "await end lines", "await_end_lines", run_id=run_id),
        ],
        "runtime": {
            "hypothesis": {"strategy": Strategy.BEFORE_METHOD.value},
            "rollbacks": {"strategy": _ROLLBACKS},
        },
        "controls": [{"name": EXTENSION, "provider": {"type": "python", "module": _CONTROL}}],
        "extensions": [{"name": EXTENSION, "request": msgspec.to_builtins(request)}],
    }


def run(experiment: Json, bundle: Path) -> str:
    """Run the experiment, write experiment.json and journal.json to the bundle, and return the journal's status.

    An interruption (Ctrl-C, SIGTERM) is not raised: the status is INTERRUPTED.
    """
    write_experiment(bundle, experiment)
    ensure_experiment_is_valid(experiment)
    journal: Json = run_experiment(
        experiment,
        settings={"runtime": {"rollbacks": {"strategy": _ROLLBACKS}}},
        strategy=Strategy.BEFORE_METHOD,
        event_handlers=[StopAtFailure()],
    )
    write_journal(bundle, journal)
    return str(journal["status"])


def write_experiment(bundle: Path, experiment: Json) -> None:
    """Write experiment.json, for `chaos validate` and `chaos run`."""
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / EXPERIMENT_FILE).write_text(json.dumps(experiment, indent=2) + "\n")


def write_journal(bundle: Path, journal: Json) -> None:
    """Write journal.json, for `chaos report`."""
    (bundle / JOURNAL_FILE).write_text(json.dumps(journal, indent=2, default=str) + "\n")


class StopAtFailure(RunEventHandler):  # type: ignore[misc]  # chaoslib ships no types
    """Ends the method at the first activity that fails: later steps would measure something else."""

    def __init__(self) -> None:
        self._journal: Json = {}

    def running(self, experiment: Json, journal: Json, *_more: object) -> None:
        """Keep the journal: the loop of the method reads its status after each activity."""
        del experiment
        self._journal = journal

    def activity_completed(self, activity: Json, run: Json) -> None:
        """Set the run's status to aborted when the activity failed."""
        del activity
        if run.get("status") == "failed" and self._journal.get("status") != INTERRUPTED:
            self._journal["status"] = "aborted"


def _activity(kind: str, name: str, function: str, **arguments: object) -> Json:
    provider = {"type": "python", "module": _MODULE, "func": function, "arguments": arguments}
    return {"type": kind, "name": name, "provider": provider}


class _Extension(msgspec.Struct, frozen=True):
    name: str
    request: Request | None = None


class _Experiment(msgspec.Struct, frozen=True):
    extensions: tuple[_Extension, ...]


def request_in(experiment: Json) -> Request:
    """Return the request in the experiment; UsageError when it has none that this version can read."""
    try:
        found = msgspec.convert(experiment, _Experiment).extensions
    except msgspec.ValidationError as error:
        raise UsageError(f"The experiment has no run that this version can read: {error}.") from error
    for extension in found:
        if extension.name == EXTENSION and extension.request is not None:
            return extension.request
    raise UsageError(f"The experiment has no extension {EXTENSION!r} with a request: it is not a drill.")


def run_anew(experiment: Json) -> Request:
    """Return the request with a new run id; UsageError when the experiment's steps are not those of the request.

    An edited step would run something other than the stored facts say.
    """
    request = request_in(experiment)
    meant, stored = experiment_of(request), migration.rename_rollbacks(experiment)
    edited = [part for part in _STEPS if stored.get(part) != meant[part]]
    if edited:
        raise UsageError(
            f"The experiment's {', '.join(edited)} does not match its request: it was edited, or written by another "
            "version. Run an experiment.json as `meshdrill run` writes it."
        )
    return msgspec.structs.replace(request, run_id=new_run_id())
