"""A night of drills: mesh after mesh, each run in a process of its own. A rerun never hides a failure."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clusters import host, meshes
from drills.cli import exits
from drills.report.bundles import VERDICT_FILE
from drills.run import catalogue
from drills.run.declare import unmet

RUN_S: Final = 2700.0
"""One run, images built from nothing included."""
STOP_S: Final = 180.0
"""A stopped run undoes its fault and writes what it knows in this time."""
_PROGRAM: Final = "from drills.cli.app import main; main()"
_KNOWN = frozenset({exits.PASSED, exits.VIOLATED, exits.INCONCLUSIVE, exits.USAGE})

Ask = Callable[[Sequence[str], float], int]
"""One command line of ours and its limit in seconds -> its exit code; HARNESS when the limit was not enough."""


@dataclass(frozen=True)
class Attempt:
    """One run of a drill and the bundles that it left: one, or none when the harness could not work."""

    code: int
    duration_s: float
    bundles: tuple[Path, ...]


@dataclass(frozen=True)
class Turn:
    """One drill on one mesh, or why it was not asked. is_owed: that it was not asked is no pass."""

    drill: str
    mesh: str
    reason: str = ""
    is_owed: bool = False
    attempts: tuple[Attempt, ...] = ()

    @property
    def code(self) -> int:
        """Return the worst of the attempts; a turn that is owed is a harness error."""
        owed = (exits.HARNESS,) if self.is_owed else ()
        return min((*owed, *(it.code for it in self.attempts)), key=exits.WORST_FIRST.index, default=exits.PASSED)

    @property
    def is_flaky(self) -> bool:
        """Whether attempts ended differently."""
        return len({it.code for it in self.attempts}) > 1


@dataclass(frozen=True)
class Plan:
    """What a night asks. repeat: how often at least. until_s: when it ends, on the monotonic clock."""

    reports: Path
    meshes: tuple[str, ...]
    drills: tuple[str, ...]
    repeat: int
    until_s: float
    run_options: tuple[str, ...] = ()
    drills_named: tuple[str, ...] = ()  # empty: all there are, so that one that is gone is missed
    meshes_named: tuple[str, ...] = ()

    def names(self, drill: str, mesh: str) -> bool:
        """Whether the night is about that drill on that mesh, even if there is no such drill any more."""
        return drill in (self.drills_named or (drill,)) and mesh in (self.meshes_named or (mesh,))


def spend(plan: Plan, ask: Ask, remove: Callable[[str], object]) -> Generator[Turn, None, None]:
    """Yield each turn when it is over. `remove` deletes a cluster by its name: after each mesh, and after a failure.

    A drill that wants the mesh installed its own way gets a cluster of its own. Of a mesh for which this machine lacks
    an image the first drill tells so; the others are not asked.
    """
    for mesh in plan.meshes:
        name = f"meshdrill-nightly-{mesh}"  # never a cluster that somebody keeps for another purpose
        facts = meshes.load(mesh)
        lack = host.missing_kernel_features(facts.install.kernel_features)
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
    """Be an Ask: run one command line of ours in a process of its own.

    It stands in a session of its own, so that Ctrl-C reaches it once, from here, and its undo is not cut short.
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
            remove(name)  # whatever it left there must not decide how the next one ends
    return Turn(drill, mesh, attempts=tuple(attempts))


def _cannot_run(turn: Turn) -> bool:
    """Whether nothing was asked of the mesh, for want of what it needs: inconclusive, and no record of a run."""
    return bool(turn.attempts) and all(it.code == exits.INCONCLUSIVE and not it.bundles for it in turn.attempts)


def _is_asked_again(attempts: Sequence[Attempt], repeat: int) -> bool:
    """Whether one more run shall tell a failure that repeats itself from one that does not. Both count."""
    failed = [it for it in attempts if it.code not in {exits.PASSED, exits.USAGE}]
    return bool(failed) and len(attempts) == repeat


def _attempt(folder: Path, words: Sequence[str], limit_s: float, ask: Ask) -> Attempt:
    before, began_s = _bundles(folder), time.monotonic()
    code = ask(words, limit_s)
    made = tuple(sorted(_bundles(folder) - before))
    has_proof = bool(made) or code not in {exits.PASSED, exits.VIOLATED}  # an answer without evidence is none
    return Attempt(code if has_proof else exits.HARNESS, time.monotonic() - began_s, made)


def _bundles(folder: Path) -> set[Path]:
    return {path.parent for path in folder.glob(f"*/{VERDICT_FILE}")}


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a run as Ctrl-C does, so that it undoes its fault; kill it only when that takes too long."""
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
