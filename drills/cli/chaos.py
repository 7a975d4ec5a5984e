"""The Chaos Toolkit control with which `chaos run experiment.json` runs a drill on the kept cluster that it names.

Chaos Toolkit drives the steps. This control does what `meshdrill run` does around them: it starts the run at the first
step, undoes the fault whatever happens, judges, and writes the bundle under ./reports. `chaos` exits with 1 unless the
run passed.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from chaoslib.run import EventHandlerRegistry
from securesystemslib.signer import Signer

from clusters import provision
from clusters.model import KnownIssue
from clusters.provision import Prepared
from clusters.runtime import UsageError
from drills.cli import exits
from drills.cli.environment import run_environment
from drills.cli.judge import replay
from drills.cli.keyring import signer_in
from drills.cli.options import KEY_VARIABLE
from drills.judge import files, known
from drills.judge.bundle_files import VERDICT_FILE
from drills.judge.claims import restored
from drills.judge.history import History
from drills.judge.verdict import Outcome, Verdict
from drills.report import evidence
from drills.run import activities, catalogue
from drills.run.chaos_toolkit import (
    EXTENSION,
    Json,
    StopAtFailure,
    request_in,
    run_anew,
    write_experiment,
    write_journal,
)
from drills.run.runner import recorded

_REPORTS = Path("reports")
_COMMAND = "chaos run experiment.json"
_log = logging.getLogger("chaostoolkit")


def configure_control(experiment: Json, event_registry: EventHandlerRegistry) -> None:
    """Let the first activity start the run, unless `meshdrill run` already did; a dry run starts nothing.

    Chaos Toolkit ignores exceptions of a control, so an error is logged here or left to the first activity.
    """
    if experiment.get("dry") is not None:
        return
    try:
        run_id = request_in(experiment).run_id
    except UsageError as error:
        _log.error("%s", error)
        return
    run = _ChaosRun(experiment)
    if activities.begin_on_demand(run_id, run.begin):
        event_registry.register(run)


class _ChaosRun(StopAtFailure):
    """One run under `chaos run`, from its first activity to its bundle."""

    def __init__(self, experiment: Json) -> None:
        super().__init__()
        self._experiment = experiment
        self._open = ExitStack()
        self._signer: Signer | None = None
        self._prepared: Prepared | None = None
        self._bundle: Path | None = None
        self._verdict: Verdict | None = None

    def begin(self) -> None:
        """Find the kept cluster and start the run there. Raises UsageError or HarnessError when it cannot."""
        self._signer = signer_in(os.environ.get(KEY_VARIABLE))
        known_as, request = request_in(self._experiment).run_id, run_anew(self._experiment)
        if not restored(request.claims):  # before anything is broken: without an answer it would be for nothing
            raise UsageError("The experiment makes no claims. Run an experiment.json as `meshdrill run` leaves it.")
        self._prepared = self._open.enter_context(provision.kept(request.cluster, request.mesh, _log.info))
        cluster, mesh = self._prepared.cluster, self._prepared.mesh
        self._bundle = self._open.enter_context(
            recorded(cluster, mesh, request, _REPORTS, _log.info, known_as=known_as)
        )
        write_experiment(self._bundle, self._experiment)

    def finish(self, journal: Json) -> None:
        """Undo the fault, judge, and write the outcome into the journal. Chaos Toolkit always calls it."""
        for step in (self._conclude, self._keep):
            try:
                step(journal)
            except Exception as error:  # noqa: BLE001 - Chaos Toolkit would ignore it, and might exit with 0
                _log.error("%s: %s", type(error).__name__, error)
                journal["status"] = "failed"

    def _conclude(self, journal: Json) -> None:
        """Close the run, which stores its history, and judge it."""
        self._open.close()
        listed: Sequence[KnownIssue] = ()
        if self._bundle is not None:
            history = History.load(self._bundle)
            self._verdict, listed = replay(history), history.facts.known_issues
            files.write(self._bundle / VERDICT_FILE, self._verdict.encode())
            _log.info("%s\n%s", self._verdict.explain(), known.describe(self._verdict, listed))
        _note_outcome(journal, self._bundle, self._verdict, listed)

    def _keep(self, journal: Json) -> None:
        """Complete the bundle if there is one; the statement over all its files is written last."""
        if self._bundle is None:
            return
        write_journal(self._bundle, journal)
        if self._verdict is not None and self._prepared is not None:
            environment = run_environment(self._prepared, request_in(self._experiment).hypothesis, _COMMAND)
            evidence.write(self._bundle, self._verdict, environment, self._signer)
            evidence.write_index(_REPORTS, catalogue.skipped())
        _log.info("evidence: %s", self._bundle)


def _note_outcome(journal: Json, bundle: Path | None, verdict: Verdict | None, listed: Sequence[KnownIssue]) -> None:
    """Write the outcome into the journal. A run that did not pass is `deviated` or `failed`, never just `completed`."""
    journal[EXTENSION] = {"bundle": str(bundle), "outcome": verdict.outcome.value if verdict else None}
    if verdict is not None and exits.of(verdict, listed) == exits.PASSED:
        return
    if verdict is not None and verdict.promised is Outcome.VIOLATED:
        journal["deviated"] = True
    elif journal["status"] == "completed":
        journal["status"] = "failed"
