"""`chaos` on a drill's experiment.json: it is valid, it runs the same drill, and what Chaos Toolkit forgives is not."""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from clusters import provision
from clusters.runtime import HarnessError, Progress, UsageError
from drills.judge import checks
from drills.judge.claims import always, reached
from drills.judge.events import HarnessTrouble
from drills.judge.history import History
from drills.judge.records import StoredClaim
from drills.report.trust import keys, verification
from drills.run import chaos_toolkit, live
from drills.run.experiment import Experiment, Request, request_of
from drills.run.runner import recorded
from drills.run.undo import leftovers
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.doubles.drill_double import (
    FORBIDDEN,
    MADE_OF,
    ROUTE,
    STOP,
    WORKLOAD,
    healthy,
    played,
)
from drills.selftest.doubles.short_timing import SHORT


def asked(denied: tuple[str, str] = FORBIDDEN) -> Request:
    """Return the request of a drill in which nothing depends on the brain."""
    claims = {
        "calls-made": reached(checks.attempted(ROUTE)),
        "routes-keep-working": always(checks.success_rate(ROUTE, at_least=0.999, resolves=0.2)),
        "denied-stay-denied": always(checks.denied(denied), must_hold=True),
    }
    experiment = Experiment(method=STOP, workload=WORKLOAD, claims=claims, baseline_s=0.3, recovery_s=0.4)
    return request_of(
        experiment,
        mesh(),
        drill="brain-outage",
        hypothesis="Nothing depends on the brain.",
        cluster="double",
        run_id="0" * 12,
    )


REQUEST = asked()


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileCluster:
    """Return a healthy kept cluster with its mesh."""
    cluster = healthy(tmp_path / "place")

    @contextmanager
    def kept(name: str, mesh_name: str, _progress: Progress) -> Iterator[provision.Prepared]:
        assert (name, mesh_name) == ("double", "double")
        yield provision.Prepared(cluster, mesh(), MADE_OF)

    monkeypatch.setattr(provision, "kept", kept)
    monkeypatch.setattr("drills.cli.chaos.recorded", partial(recorded, timing=SHORT))
    return cluster


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand where `chaos` may write, and give its logger back as it was."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("chaostoolkit")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def chaos(*words: str, made: chaos_toolkit.Json | None = None) -> int:
    """Run one command of Chaos Toolkit's own command line on the experiment and return its exit code."""
    Path("experiment.json").write_text(json.dumps(made or chaos_toolkit.experiment_of(REQUEST)))
    arguments = ["--no-version-check", "--no-log-file", "--settings", "none.yaml", *words, "experiment.json"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python and libraries, at Chaos Toolkit's own import
        command_line = importlib.import_module("chaostoolkit.cli").cli
    ended = command_line.main(arguments, standalone_mode=False)
    return ended if isinstance(ended, int) else 0


def journal() -> chaos_toolkit.Json:
    """Return what Chaos Toolkit itself wrote down."""
    return cast("chaos_toolkit.Json", json.loads(Path("journal.json").read_bytes()))


def the_bundle() -> Path:
    """Return the one bundle under ./reports."""
    (found,) = Path("reports").glob("brain-outage/double/*Z")
    return found


def troubles() -> str:
    """Return what the history says went wrong on our side."""
    history = History.load(the_bundle())
    return " | ".join(f"{event.subject}: {event.detail.message}" for event in history.of_kind(HarnessTrouble))


def answer() -> str:
    """Return the verdict of the bundle."""
    return str(json.loads((the_bundle() / "verdict.json").read_bytes())["outcome"])


def test_chaos_validate_accepts_the_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    """Chaos Toolkit's own `validate` ends with 0 and warns of nothing."""
    assert chaos("validate") == 0
    printed = capsys.readouterr().err
    assert "look valid" in printed
    assert not [word for word in ("WARNING", "ERROR", "CRITICAL") if word in printed]


def test_chaos_run_runs_the_same_drill(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """`chaos run` breaks, mends, judges and leaves a whole, signed bundle under an id of its own; it ends with 0."""
    key = Path("key")
    keys.generate(key)
    monkeypatch.setenv("MESHDRILL_KEY", str(key))
    with played(double):
        assert chaos("run") == 0
    history = History.load(the_bundle())
    assert troubles() == ""
    assert history.completeness() == ()
    assert list(history.windows()) == ["baseline", "fault", "recovery", "run"]
    assert history.facts.run_id != REQUEST.run_id
    assert answer() == "HELD"
    assert {path.name for path in the_bundle().iterdir()} == {
        *("calls.parquet", "events.jsonl", "experiment.json", "journal.json", "junit.xml", "report.md", "run.json"),
        *("report.html", "statement.dsse.json", "verdict.json"),
    }
    assert verification.verify(the_bundle(), keys.public_key(Path("key.pub"))).is_intact
    assert json.loads((the_bundle() / "journal.json").read_bytes())["status"] == "completed"
    assert [
        step["status"] for part in ("run", "rollbacks") for step in cast("list[chaos_toolkit.Json]", journal()[part])
    ] == ["succeeded"] * 7
    assert leftovers(double.state) == ()


def test_the_stored_claims_are_judged(double: FileCluster) -> None:
    """The claims that the experiment carries are answered: a violated one deviates, and `chaos` ends with 1."""
    assert not leftovers(double.state)
    with played(double):
        assert chaos("run", made=chaos_toolkit.experiment_of(asked(denied=ROUTE))) == 1
    assert answer() == "VIOLATED"
    assert journal()["deviated"] is True
    assert cast("chaos_toolkit.Json", journal()["meshdrill"])["outcome"] == "VIOLATED"


@pytest.mark.parametrize("step", ["inject", "undo"])
def test_a_failed_action_is_inconclusive_and_rolled_back(
    double: FileCluster, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Chaos Toolkit goes on after a failed step; here it is the last, the rollback is completed, and nothing passes."""

    def fail(_run: live.LiveRun, *_arguments: object) -> None:
        raise HarnessError("made to fail")

    monkeypatch.setattr(live.LiveRun, step, fail)
    with played(double):
        assert chaos("run") == 1
    assert "made to fail" in troubles()
    assert answer() == "INCONCLUSIVE"
    assert journal()["status"] == "aborted"
    assert double.replicas(COMPONENT) == (1, 1)
    assert leftovers(double.state) == ()


@pytest.mark.parametrize("options", [(), ("--rollback-strategy", "never")])
def test_an_interrupted_run_is_put_right(
    double: FileCluster, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Ctrl-C while the fault is in force: it is undone, even if an option makes Chaos Toolkit skip rollbacks."""

    def interrupted(_run: live.LiveRun, *_arguments: object) -> None:
        assert double.replicas(COMPONENT) == (0, 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(live.LiveRun, "hold", interrupted)
    with played(double):
        assert chaos("run", *options) == 1
    assert journal()["status"] == "interrupted"
    assert answer() == "INCONCLUSIVE"
    assert double.replicas(COMPONENT) == (1, 1)
    assert leftovers(double.state) == ()


@pytest.mark.parametrize("strategy", ["after-method-only", "continuously"])
def test_steps_out_of_order_hurt_nothing(double: FileCluster, strategy: str) -> None:
    """A hypothesis strategy that skips the steady state, or repeats it, ends the run without a pass."""
    with played(double):
        assert chaos("run", "--hypothesis-strategy", strategy) == 1
    assert "was expected" in troubles()
    assert answer() == "INCONCLUSIVE"
    assert leftovers(double.state) == ()
    if strategy == "after-method-only":
        assert "fault.injected" not in {event.kind for event in History.load(the_bundle()).events}


@pytest.mark.usefixtures("double")
def test_a_cluster_that_is_gone_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kept cluster `chaos run` ends with 1, says which is missing, and leaves no bundle."""

    def gone(name: str, *_more: object) -> object:
        raise UsageError(f"No cluster {name!r} of ours stands.")

    monkeypatch.setattr(provision, "kept", gone)
    assert chaos("run") == 1
    assert "No cluster 'double' of ours stands" in json.dumps(journal())
    assert not Path("reports").exists()


def test_an_edited_experiment_is_refused(double: FileCluster) -> None:
    """A step that is not what the request asks for would be judged by the wrong facts: it is refused unharmed."""
    made = chaos_toolkit.experiment_of(REQUEST)
    cast("list[chaos_toolkit.Json]", made["method"])[2]["pauses"] = {"after": 1}
    assert chaos("run", made=made) == 1
    assert "method does not match its request" in json.dumps(journal())
    assert double.replicas(COMPONENT) == (1, 1)
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("claims", "words"),
    [((), "makes no claims"), ((replace(REQUEST.claims[0], quantifier="maybe"),), "'maybe' is not a quantifier")],
)
def test_claims_without_an_answer_break_nothing(
    double: FileCluster, claims: tuple[StoredClaim, ...], words: str
) -> None:
    """An experiment without claims, or with one that cannot be asked, is refused before the fault."""
    assert chaos("run", made=chaos_toolkit.experiment_of(replace(REQUEST, claims=claims))) == 1
    assert words in json.dumps(journal())
    assert double.replicas(COMPONENT) == (1, 1)
    assert not Path("reports").exists()


def test_an_experiment_of_another_version_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """An experiment whose request cannot be read ends with 1 and says what it lacks."""
    made = chaos_toolkit.experiment_of(REQUEST)
    del cast("dict[str, chaos_toolkit.Json]", cast("list[object]", made["extensions"])[0])["request"]["cluster"]
    assert chaos("run", made=made) == 1
    assert "missing required field `cluster`" in capsys.readouterr().err
    assert "is under way in this process" in json.dumps(journal())


def test_a_dry_run_touches_nothing(double: FileCluster) -> None:
    """`chaos run --dry activities` neither finds a cluster nor leaves a bundle."""
    before = double.load()
    chaos("run", "--dry", "activities")
    assert double.load() == before
    assert not Path("reports").exists()


def test_evidence_that_cannot_be_written_is_no_pass(double: FileCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chaos Toolkit swallows what its handlers raise; a run whose evidence failed still ends with 1."""

    def fail(*_arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("drills.cli.chaos.evidence.write", fail)
    with played(double):
        assert chaos("run") == 1
    assert journal()["status"] == "failed"
