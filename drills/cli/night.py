"""Run a night of drills: mesh after mesh, each run in its own process. A rerun never hides a failure."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clusters import host, meshes
from drills.cli import exits
from drills.cli.options import NO_FAULT
from drills.judge.bundle_files import VERDICT_FILE
from drills.run import catalogue, controls
from drills.run.declare import unmet

RUN_S: Final = 2700.0
"""Limit of one run, with images built from an empty cache."""
STOP_S: Final = 180.0
"""Time for a stopped run to undo its fault and to write its record."""
_PROGRAM: Final = "from drills.cli.app import main; main()"
_KNOWN = frozenset({exits.PASSED, exits.VIOLATED, exits.INCONCLUSIVE, exits.USAGE})

Ask = Callable[[Sequence[str], float], int]
"""The arguments of a meshdrill command and its limit in seconds -> its exit code; HARNESS after the limit."""


@dataclass(frozen=True)
class Attempt:
    """One run of a drill and its bundles: one, or none when the harness could not work."""

    code: int
    duration_s: float
    bundles: tuple[Path, ...]


@dataclass(frozen=True)
class Turn:
    """One drill on one mesh. reason: why it was not run, or not to the end. is_owed: then that is a harness error."""

    drill: str
    mesh: str
    reason: str = ""
    is_owed: bool = False
    attempts: tuple[Attempt, ...] = ()

    @property
    def code(self) -> int:
        """Return the worst exit code of the attempts; a turn that is owed counts as a harness error."""
        owed = (exits.HARNESS,) if self.is_owed else ()
        return min((*owed, *(it.code for it in self.attempts)), key=exits.WORST_FIRST.index, default=exits.PASSED)

    @property
    def is_flaky(self) -> bool:
        """Whether the attempts ended differently."""
        return len({it.code for it in self.attempts}) > 1


@dataclass(frozen=True)
class Plan:
    """The meshes and drills of a night. repeat: runs of each, at least. until_s: its end, on the monotonic clock.

    drills_named, meshes_named: those that the command line named. () means all, also drills that only the baseline has.
    """

    reports: Path
    meshes: tuple[str, ...]
    drills: tuple[str, ...]
    repeat: int
    until_s: float
    run_options: tuple[str, ...] = ()
    drills_named: tuple[str, ...] = ()
    meshes_named: tuple[str, ...] = ()

    @property
    def is_of_controls(self) -> bool:
        """Whether the night makes the no-fault controls of the drills."""
        return NO_FAULT.flag in self.run_options

    def names(self, drill: str, mesh: str) -> bool:
        """Return whether the night covers that drill on that mesh, even if the drill no longer exists."""
        return drill in (self.drills_named or (drill,)) and mesh in (self.meshes_named or (mesh,))


def spend(plan: Plan, ask: Ask, remove: Callable[[str], object]) -> Generator[Turn, None, None]:
    """Yield each turn when it is over. `remove` deletes a cluster by its name: after each mesh, and after a failure.

    A drill that needs its own installation of the mesh gets a cluster of its own. When the first drill finds that this
    machine lacks an image of the mesh, the others are skipped.
    """
    for mesh in plan.meshes:
        name = f"meshdrill-nightly-{mesh}"  # never the name of a cluster that is kept for another purpose
        facts = meshes.load(mesh)
        lack = host.missing_kernel_features(facts.install.kernel_features)
        lack = lack or (controls.refusal(facts) if plan.is_of_controls else "")
        try:
            for drill in plan.drills:
                entry = catalogue.find(drill)
                if reason := unmet(entry.requires, facts) or lack:
                    yield Turn(drill, mesh, reason)
                    continue
                if entry.has_own_install:
                    remove(name)
                turn = _turn(plan, drill, mesh, name, ask, remove)
                lack = f"{drill} found that this machine cannot run the mesh" if _cannot_run(turn) else ""
                yield turn
                if entry.has_own_install:
                    remove(name)
        finally:
            remove(name)


def process(words: Sequence[str], limit_s: float) -> int:
    """Run a meshdrill command in a process of its own: the Ask of a real night.

    It has its own session, so that Ctrl-C reaches it once, from here, and does not interrupt its undo.
    """
    child = subprocess.Popen([sys.executable, "-c", _PROGRAM, *words], start_new_session=True)
    try:
        code = child.wait(limit_s)
    except subprocess.TimeoutExpired:
        _stop(child)
        return exits.HARNESS
    except BaseException:
        _stop(child)
        raise
    return code if code in _KNOWN else exits.HARNESS


def _turn(plan: Plan, drill: str, mesh: str, name: str, ask: Ask, remove: Callable[[str], object]) -> Turn:
    words = ("run", drill, "--mesh", mesh, *plan.run_options)
    own = ("--cluster-name", name, "--keep-cluster", "--reports", str(plan.reports))
    attempts: list[Attempt] = []
    while len(attempts) < plan.repeat or _is_asked_again(attempts, plan.repeat):
        left_s = plan.until_s - time.monotonic()
        if left_s <= 0:
            return Turn(drill, mesh, "the time of the night was used up", is_owed=True, attempts=tuple(attempts))
        attempts.append(_attempt(plan.reports / drill / mesh, (*words, *own), min(RUN_S, left_s), ask))
        if attempts[-1].code != exits.PASSED:
            remove(name)  # what it left there must not influence the next run
    return Turn(drill, mesh, attempts=tuple(attempts))


def _cannot_run(turn: Turn) -> bool:
    """Return whether the machine lacks what the mesh needs: every attempt is inconclusive and left no bundle."""
    return bool(turn.attempts) and all(it.code == exits.INCONCLUSIVE and not it.bundles for it in turn.attempts)


def _is_asked_again(attempts: Sequence[Attempt], repeat: int) -> bool:
    """Return whether to repeat a failed drill once, which shows whether it is flaky. Both runs count."""
    failed = [it for it in attempts if it.code not in {exits.PASSED, exits.USAGE}]
    return bool(failed) and len(attempts) == repeat


def _attempt(folder: Path, words: Sequence[str], limit_s: float, ask: Ask) -> Attempt:
    before, began_s = _bundles(folder), time.monotonic()
    code = ask(words, limit_s)
    made = tuple(sorted(_bundles(folder) - before))
    has_proof = bool(made) or code not in {exits.PASSED, exits.VIOLATED}  # 0 and 1 without evidence are no answer
    return Attempt(code if has_proof else exits.HARNESS, time.monotonic() - began_s, made)


def _bundles(folder: Path) -> set[Path]:
    return {path.parent for path in folder.glob(f"*/{VERDICT_FILE}")}


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Stop a run as Ctrl-C does, so that it undoes its fault; kill it only when that takes too long."""
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
