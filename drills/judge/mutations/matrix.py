"""The mutation matrix of one history: every mutation that its claims cover, and which claims noticed it."""

from collections.abc import Callable

import msgspec

from drills.judge.history import History
from drills.judge.mutations.catalogue import RECORD, WORLD, covered_by
from drills.judge.mutations.target import Mutation, Target, in_memory
from drills.judge.verdict import PASSING, Finding, Outcome, Verdict

Replay = Callable[[History], Verdict]
"""Judges a history by its claims."""

RUN = "run"


class Trial(msgspec.Struct, frozen=True):
    """One mutation of one history. Claims are numbered by their place in the verdict, from 1.

    must: claims that must notice it. noticed: claims that passed before and no longer pass.
    """

    mutation: str
    says: str
    during: str
    edges: tuple[str, ...]
    must: tuple[int, ...]
    noticed: tuple[int, ...]

    @property
    def missed(self) -> tuple[int, ...]:
        """Return the claims that had to notice and did not."""
        return tuple(claim for claim in self.must if claim not in self.noticed)


class Matrix(msgspec.Struct, frozen=True):
    """The results of all trials.

    uncovered: mutations that no claim of the drill must notice. unguarded: passing claims that no mutation covers.
    """

    drill: str
    mesh: str
    run_id: str
    claims: tuple[str, ...]
    passing: tuple[int, ...]
    trials: tuple[Trial, ...]
    uncovered: tuple[str, ...]
    unguarded: tuple[int, ...]

    @property
    def survivors(self) -> tuple[Trial, ...]:
        """Return the trials that a claim had to notice and did not."""
        return tuple(trial for trial in self.trials if trial.missed)


def matrix(history: History, replay: Replay) -> Matrix:
    """Mutate a history in every way that its claims cover, and judge it again each time.

    Only claims that pass can notice: one that failed before proves nothing by failing again.
    """
    history = in_memory(history)
    before = replay(history)
    passing = {number: f for number, f in enumerate(before.findings, start=1) if f.outcome in PASSING}
    trials = [_try(history, replay, passing, *planned) for planned in _plan(history, passing)]
    tried = {trial.mutation for trial in trials}
    return Matrix(
        drill=before.drill,
        mesh=before.mesh,
        run_id=before.run_id,
        claims=tuple(finding.claim for finding in before.findings),
        passing=tuple(passing),
        trials=tuple(msgspec.structs.replace(t, noticed=tuple(n for n in t.noticed if n in passing)) for t in trials),
        uncovered=tuple(name for name in WORLD if name not in tried),
        unguarded=tuple(number for number, finding in passing.items() if not covered_by(finding)),
    )


def _plan(history: History, passing: dict[int, Finding]) -> list[tuple[Trial, Mutation, Target]]:
    """Return each distinct trial once, with all claims that must notice it; mutations of the record come last."""
    asked = {finding.during for finding in passing.values()}
    windows = {name: window for name in asked if (window := history.window(name)) is not None}
    planned: dict[bytes, tuple[Trial, Mutation, Target]] = {}
    for number, finding in passing.items():
        for mutation in covered_by(finding):
            bounds = {key: finding.params.get(key) for key in mutation.reads}
            edges = mutation.edges_of(finding)
            key = msgspec.json.encode((mutation.name, finding.during, edges, bounds), order="sorted")
            target = Target.of(finding, windows[finding.during], edges)
            trial, *_ = planned.get(key, (Trial(mutation.name, mutation.says, finding.during, edges, (), ()),))
            more = msgspec.structs.replace(trial, must=(*trial.must, number))
            planned[key] = (more, mutation, target)
    if not passing:
        return []
    whole_run = Target((), history.windows()[RUN], {})
    damaged = (
        (Trial(mutation.name, mutation.says, RUN, (), tuple(passing), ()), mutation, whole_run)
        for mutation in RECORD.values()
    )
    return [*planned.values(), *damaged]


def _try(
    history: History, replay: Replay, before: dict[int, Finding], trial: Trial, mutation: Mutation, target: Target
) -> Trial:
    """Return the trial with the claims that noticed: they no longer pass, or only because of an alert."""
    after = dict(enumerate(replay(mutation.apply(history, target)).findings, start=1))
    noticed = tuple(
        number
        for number, finding in after.items()
        if finding.outcome not in PASSING
        or (
            finding.outcome is Outcome.FAILED_OBSERVABLY and number in before and before[number].outcome is Outcome.HELD
        )
    )
    return msgspec.structs.replace(trial, noticed=noticed)
