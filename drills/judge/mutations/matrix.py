"""The mutation matrix of one history: every mutation that its claims cover, and which claims noticed it."""

from collections.abc import Callable, Iterator

import msgspec

from drills.judge.history import History
from drills.judge.mutations.catalogue import RECORD, WORLD, covered_by
from drills.judge.mutations.target import Mutation, Target, in_memory, table, whole
from drills.judge.verdict import PASSING, Finding, Outcome, Verdict

Replay = Callable[[History], Verdict]
"""Judges a history by its claims."""

RUN = "run"
PHASES = ("baseline", "fault", "recovery")


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
    artefacts: passing claims that no longer pass on the same history rebuilt without a change: what they notice proves
    nothing.
    """

    drill: str
    mesh: str
    run_id: str
    claims: tuple[str, ...]
    passing: tuple[int, ...]
    trials: tuple[Trial, ...]
    uncovered: tuple[str, ...]
    unguarded: tuple[int, ...]
    artefacts: tuple[int, ...] = ()

    @property
    def is_proof(self) -> bool:
        """Whether every mutation was noticed, for its own sake."""
        return not self.survivors and not self.artefacts

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
        trials=tuple(trials),
        uncovered=tuple(name for name in WORLD if name not in tried),
        unguarded=tuple(number for number, finding in passing.items() if not covered_by(finding)),
        artefacts=_noticed(passing, replay(whole(history, table(history)))),
    )


def _plan(history: History, passing: dict[int, Finding]) -> list[tuple[Trial, Mutation, Target]]:
    """Return each distinct trial once, with all claims that must notice it; mutations of the record come last."""
    planned: dict[bytes, tuple[Trial, Mutation, Target]] = {}
    for number, finding in passing.items():
        for mutation, during, target in _targets(history, finding):
            edges = mutation.edges_of(finding)
            bounds = {key: finding.params.get(key) for key in mutation.reads}
            key = msgspec.json.encode((mutation.name, during, edges, bounds), order="sorted")
            trial, *_ = planned.get(key, (Trial(mutation.name, mutation.says, during, edges, (), ()),))
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


def _targets(history: History, finding: Finding) -> Iterator[tuple[Mutation, str, Target]]:
    """Yield each mutation that a finding must notice, with the window that it changes and its name.

    One that a claim about the whole run must notice in each phase is tried in each in which there is something to
    change.
    """
    for mutation in covered_by(finding):
        is_split = finding.during == RUN and mutation.in_each_phase
        for during in PHASES if is_split else (finding.during,):
            window = history.window(during)
            target = None if window is None else Target.of(finding, window, mutation.edges_of(finding))
            if target is not None and (not is_split or _changes(history, mutation, target)):
                yield mutation, during, target


def _changes(history: History, mutation: Mutation, target: Target) -> bool:
    after = mutation.apply(history, target)
    return after.events != history.events or not table(after).equals(table(history))


def _try(
    history: History, replay: Replay, before: dict[int, Finding], trial: Trial, mutation: Mutation, target: Target
) -> Trial:
    """Return the trial with the claims that noticed: they no longer pass, or only because of an alert."""
    return msgspec.structs.replace(trial, noticed=_noticed(before, replay(mutation.apply(history, target))))


def _noticed(before: dict[int, Finding], verdict: Verdict) -> tuple[int, ...]:
    """Return the claims that passed before and no longer do, or only because of an alert."""
    after = dict(enumerate(verdict.findings, start=1))
    return tuple(
        number
        for number, finding in before.items()
        if after[number].outcome not in PASSING
        or (after[number].outcome is Outcome.FAILED_OBSERVABLY and finding.outcome is Outcome.HELD)
    )
