"""A request as a Chaos Toolkit experiment and back, and running it so that nothing it forgives is forgiven.

Chaos Toolkit goes on after a failed action and leaves rollbacks out after an interruption. Here a failed activity
ends the method, and rollbacks always run. `chaos run` is held to the same by the experiment's own settings and control.
"""

import json
import logging
from pathlib import Path

import msgspec
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.run import RunEventHandler
from chaoslib.types import Strategy

from clusters.runtime import UsageError
from drills.judge.bundle_files import EXPERIMENT_FILE, JOURNAL_FILE
from drills.run.experiment import Request, new_run_id

INTERRUPTED = "interrupted"
EXTENSION = "meshdrill"
_MODULE = "drills.run.activities"
_CONTROL = "drills.cli.chaos"  # a name for Chaos Toolkit to load, no import of ours: it stands above this package
_STEADY_STATE_S = 60.0
_ROLLBACKS = "always"
_STEPS = ("steady-state-hypothesis", "method", "rollbacks")

Json = dict[str, object]

# Its progress is ours to tell; its warnings would otherwise go to the terminal beside the verdict.
logging.getLogger("chaostoolkit").addHandler(logging.NullHandler())


def experiment_of(request: Request) -> Json:
    """Return the experiment: gate, method, rollbacks. The order of its steps is the life of every drill."""
    run_id = request.run_id
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
                    **_activity(
                        "probe", "steady-state-holds", "steady_state_holds", run_id=run_id, within_s=_STEADY_STATE_S
                    ),
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
            _activity("action", "put everything back", "put_back", run_id=run_id),
            _activity("action", "await last words", "await_last_words", run_id=run_id),
        ],
        "runtime": {
            "hypothesis": {"strategy": Strategy.BEFORE_METHOD.value},
            "rollbacks": {"strategy": _ROLLBACKS},
        },
        "controls": [{"name": EXTENSION, "provider": {"type": "python", "module": _CONTROL}}],
        "extensions": [{"name": EXTENSION, "request": msgspec.to_builtins(request)}],
    }


def run(experiment: Json, bundle: Path) -> str:
    """Run the experiment, leave experiment.json and journal.json in the bundle, and return the journal's status.

    An interruption (Ctrl-C, SIGTERM) does not pass through: the status says so.
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
    """Ends the method at the first activity that failed: what follows would measure something else."""

    def __init__(self) -> None:
        self._journal: Json = {}

    def running(self, experiment: Json, journal: Json, *_more: object) -> None:
        """Remember the journal, whose status the method's loop reads after each activity."""
        del experiment
        self._journal = journal

    def activity_completed(self, activity: Json, run: Json) -> None:
        """Mark the run as aborted when the activity failed."""
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
    """Return the request that the experiment carries; UsageError when it carries none that this version knows."""
    try:
        found = msgspec.convert(experiment, _Experiment).extensions
    except msgspec.ValidationError as error:
        raise UsageError(f"The experiment does not carry a run that this version can read: {error}.") from error
    for extension in found:
        if extension.name == EXTENSION and extension.request is not None:
            return extension.request
    raise UsageError(f"The experiment has no extension {EXTENSION!r} with a request: it is no drill.")


def run_anew(experiment: Json) -> Request:
    """Return the request under an id of its own; UsageError when the steps are not those that the request asks for.

    An edited step would run something else than the facts that the judge reads.
    """
    request = request_in(experiment)
    meant = experiment_of(request)
    edited = [part for part in _STEPS if experiment.get(part) != meant[part]]
    if edited:
        raise UsageError(
            f"The experiment's {', '.join(edited)} is not what its request asks for: it was edited, or another version "
            "wrote it. Run an experiment.json as `meshdrill run` leaves it."
        )
    return msgspec.structs.replace(request, run_id=new_run_id())
