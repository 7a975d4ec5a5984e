"""The comparison of two sets of runs: verdicts, claims, numbers beyond chance, and flaky repeats."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from drills.judge.verdict import PASSING, SEVERITY, Answer, worst
from drills.report import compare_numbers
from drills.report.bundles import Run, standing
from drills.report.citations import measured_of
from drills.report.compare_numbers import Number, Weight
from drills.report.two_sample import CHANCE, all_in_one_part

Pair = tuple[str, str]
_PHASES = ("-in-baseline", "-in-fault", "-in-recovery")


class Change(StrEnum):
    """How an answer changed. LOST: it is now INCONCLUSIVE.

    DROPPED: the mesh no longer promises it, so no run can fail of it from now on.
    MEASURED_WORSE: not promised before or now, but the measured result got worse; informational.
    """

    WORSE = "worse"
    DROPPED = "no longer promised"
    LOST = "no longer known"
    GONE = "no longer asked"
    MEASURED_WORSE = "not promised, measured worse"
    BETTER = "better"
    NEW = "new"
    SAME = "same"


@dataclass(frozen=True)
class Asked:
    """One question before and now: the verdict of a pair of drill and mesh, or one of its claims.

    measured_old and measured_new: the answers as if the mesh promised the claim; () means old and new themselves.
    """

    pair: Pair
    claim: str  # "" for the verdict
    old: tuple[Answer, ...]  # one for each run
    new: tuple[Answer, ...]
    measured_old: tuple[Answer, ...] = ()
    measured_new: tuple[Answer, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether every new run passes."""
        return all(answer in PASSING for answer in self.new)

    @property
    def change(self) -> Change:
        """Return what changed. WORSE: a new run is worse than every old one, or see `_never_as_good`."""
        if not self.old or not self.new:
            return Change.GONE if self.old else Change.NEW
        before, now = standing(self.old), standing(self.new)
        if now is Answer.NOT_PROMISED:
            return self._unpromised(before)
        if now is Answer.INCONCLUSIVE and before is not now:
            return Change.LOST
        if _rank(now) > _rank(before) or self._never_as_good():
            return Change.WORSE
        return Change.BETTER if _rank(now) < _rank(before) else Change.SAME

    def _unpromised(self, before: Answer) -> Change:
        """Return what changed of a claim that is not promised now; DROPPED if some old run had the promise."""
        if before is not Answer.NOT_PROMISED:
            return Change.DROPPED
        was, is_now = (worst(side) for side in (self.measured_old or self.old, self.measured_new or self.new))
        return Change.MEASURED_WORSE if _rank(is_now) > _rank(was) else Change.SAME

    def _never_as_good(self) -> bool:
        """Whether every new run is worse than the best old one, beyond chance."""
        best = min(map(_rank, self.old))
        bad, all_bad = (sum(_rank(it) > best for it in self.old), all(_rank(it) > best for it in self.new))
        runs, new = len(self.old) + len(self.new), len(self.new)
        return all_bad and all_in_one_part(bad + new, runs, new) <= CHANCE


@dataclass(frozen=True)
class Flaky:
    """Repeats of one question on one version and kind of host with different answers."""

    pair: Pair
    claims: tuple[str, ...]  # that differ from run to run
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Comparison:
    """All that changed. elsewhere: pairs without old runs on the same kind of host, whose numbers are not compared."""

    pairs: tuple[Asked, ...]
    claims: tuple[Asked, ...]
    numbers: tuple[Number, ...]
    elsewhere: tuple[Pair, ...]
    flaky: tuple[Flaky, ...]
    old: tuple[Run, ...]
    new: tuple[Run, ...]

    @property
    def is_worse(self) -> bool:
        """Whether anything is worse, no longer promised or no longer asked."""
        asked = any(it.change in {Change.WORSE, Change.DROPPED, Change.GONE} for it in (*self.pairs, *self.claims))
        return asked or any(it.weight is Weight.WORSE for it in self.numbers)

    @property
    def is_lost(self) -> bool:
        """Whether something that was known is INCONCLUSIVE now."""
        return any(it.change is Change.LOST for it in (*self.pairs, *self.claims))


def compare(old: Sequence[Run], new: Sequence[Run]) -> Comparison:
    """Compare all new runs with the old runs of each pair's newest version."""
    before, now = {pair: _newest(runs) for pair, runs in _by_pair(old).items()}, _by_pair(new)
    pairs = tuple(sorted({*before, *now}))
    both = [(pair, before[pair], now[pair]) for pair in pairs if pair in before and pair in now]
    return Comparison(
        pairs=tuple(Asked(pair, "", _standings(before.get(pair, ())), _standings(now.get(pair, ()))) for pair in pairs),
        claims=tuple(asked for pair, olds, news in both for asked in _claims(pair, olds, news)),
        numbers=tuple(number for _, olds, news in both for number in compare_numbers.compare(olds, news)),
        elsewhere=tuple(pair for pair, olds, news in both if not compare_numbers.on_like_hosts(olds, news)[1]),
        flaky=tuple(_flaky([*old, *new])),
        old=tuple(run for runs in before.values() for run in runs),
        new=tuple(new),
    )


def _claims(pair: Pair, old: Sequence[Run], new: Sequence[Run]) -> Iterator[Asked]:
    before, now = [_answers(run) for run in old], [_answers(run) for run in new]
    for claim in dict.fromkeys(claim for of_run in (*before, *now) for claim in of_run):
        olds, news = ([of_run[claim] for of_run in side if claim in of_run] for side in (before, now))
        news = news or _over_whole_run(claim, new)
        answers = (tuple(answer for answer, _ in side) for side in (olds, news))
        measured = (tuple(it for _, it in side) for side in (olds, news))
        yield Asked(pair, claim, *answers, *measured)


def _over_whole_run(claim: str, runs: Sequence[Run]) -> list[tuple[Answer, Answer]]:
    """Return the answers of runs that ask the claim of one phase over the whole run, under the id without the phase."""
    suffix = next((it for it in _PHASES if claim.endswith(it)), None)
    if suffix is None:
        return []
    name = claim.removesuffix(suffix)
    asking = [run for run in runs if any((it.id, it.during) == (name, "run") for it in run.verdict.findings)]
    return [_answers(run)[name] for run in asking]


def _answers(run: Run) -> dict[str, tuple[Answer, Answer]]:
    """Return each claim's answer and what was measured, by the claim's id."""
    found: dict[str, tuple[Answer, Answer]] = {}
    for finding in run.verdict.findings:
        answers = run.standing_of(finding), measured_of(run, finding)
        found[finding.id] = answers
    return found


def _flaky(runs: Iterable[Run]) -> Iterator[Flaky]:
    alike: dict[tuple[object, ...], dict[str, Run]] = {}
    for run in runs:
        alike.setdefault((run.pair, run.made_of, compare_numbers.host_of(run)), {})[run.statement_sha256] = run
    for repeats in alike.values():
        found = tuple(repeats.values())
        answers = [_answers(run) for run in found]
        claims = [
            claim
            for claim in dict.fromkeys(claim for of_run in answers for claim in of_run)
            if len({of_run[claim][0] for of_run in answers if claim in of_run}) > 1
        ]
        if claims or len({run.standing for run in found}) > 1:
            yield Flaky(found[0].pair, tuple(claims), found)


def _newest(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs of the version that ran last: an older one excuses nothing."""
    last = max(runs, key=lambda run: run.began)
    return tuple(run for run in runs if run.made_of == last.made_of)


def _by_pair(runs: Iterable[Run]) -> dict[Pair, tuple[Run, ...]]:
    found: dict[Pair, tuple[Run, ...]] = {}
    for run in runs:
        found[run.pair] = (*found.get(run.pair, ()), run)
    return found


def _standings(runs: Iterable[Run]) -> tuple[Answer, ...]:
    return tuple(run.standing for run in runs)


def _rank(answer: Answer) -> int:
    return SEVERITY.index(answer)


def describe(answers: Sequence[Answer], measured: Sequence[Answer] = ()) -> str:
    """Return the answers of several runs in words, the worst first; of NOT_PROMISED also the worst measured."""
    silent = [it for answer, it in zip(answers, measured, strict=bool(measured)) if answer is Answer.NOT_PROMISED]
    words = _counted(answers)
    return f"{words}, measured {max(silent, key=_rank)}" if silent else words


def _counted(answers: Sequence[Answer]) -> str:
    counts = Counter(answers)
    if len(counts) == 1:
        return f"{answers[0]}" if len(answers) == 1 else f"{answers[0]} ({len(answers)} runs)"
    kinds = sorted(counts, key=_rank, reverse=True)
    return ", ".join(f"{kind} ({counts[kind]} of {len(answers)})" for kind in kinds) or "-"
