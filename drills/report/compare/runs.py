"""The comparison of two sets of runs: outcomes, claims, numbers beyond chance, and flaky repeats."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from drills.judge.verdict import PASSING, SEVERITY, Outcome, Standing
from drills.report.bundles import Run
from drills.report.compare import numbers as compare_numbers
from drills.report.compare.numbers import Number, Weight
from drills.report.compare.two_sample import CHANCE, all_in_one_part

Pair = tuple[str, str]
_PHASES = ("-in-baseline", "-in-fault", "-in-recovery")


class Change(StrEnum):
    """How an outcome changed. LOST: it is now INCONCLUSIVE.

    DROPPED: the mesh no longer promises it, so no run can fail by it from now on.
    WORSE_UNPROMISED: worse, and the mesh does not promise it: shown, and no failure.
    """

    WORSE = "worse"
    DROPPED = "no longer promised"
    LOST = "no longer known"
    GONE = "no longer asked"
    WORSE_UNPROMISED = "worse, no promise"
    BETTER = "better"
    NEW = "new"
    SAME = "same"


@dataclass(frozen=True)
class Asked:
    """One question before and now: the outcome of a pair of drill and mesh, or one of its claims."""

    pair: Pair
    claim: str  # "" for the whole run
    old: tuple[Standing, ...]  # one for each run
    new: tuple[Standing, ...]

    @property
    def passes(self) -> bool:
        """Whether no new run fails by it."""
        return all(it.outcome in PASSING or not it.is_promised for it in self.new)

    @property
    def change(self) -> Change:
        """Return what changed. WORSE: a new run is worse than every old one, or see `_never_as_good`."""
        if not self.old or not self.new:
            return Change.GONE if self.old else Change.NEW
        before, now = _worst(self.old), _worst(self.new)
        is_promised = any(it.is_promised for it in self.new) if self.claim else now.is_promised
        if self.claim and not is_promised and any(it.is_promised for it in self.old):
            return Change.DROPPED
        if now.outcome is Outcome.INCONCLUSIVE and before.outcome is not now.outcome:
            return Change.LOST if is_promised else Change.SAME
        if _rank(now) > _rank(before) or self._never_as_good():
            return Change.WORSE if is_promised else Change.WORSE_UNPROMISED
        return Change.BETTER if _rank(now) < _rank(before) else Change.SAME

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
    before, now = [_of_claims(run) for run in old], [_of_claims(run) for run in new]
    for claim in dict.fromkeys(claim for of_run in (*before, *now) for claim in of_run):
        olds, news = ([of_run[claim] for of_run in side if claim in of_run] for side in (before, now))
        news = news or _over_whole_run(claim, new)
        yield Asked(pair, claim, tuple(olds), tuple(news))


def _over_whole_run(claim: str, runs: Sequence[Run]) -> list[Standing]:
    """Return the standings of runs that ask the claim over the whole run, under its id without the phase."""
    suffix = next((it for it in _PHASES if claim.endswith(it)), None)
    if suffix is None:
        return []
    name = claim.removesuffix(suffix)
    asking = [run for run in runs if any((it.id, it.during) == (name, "run") for it in run.verdict.findings)]
    return [_of_claims(run)[name] for run in asking]


def _of_claims(run: Run) -> dict[str, Standing]:
    """Return the standing of each claim, by the claim's id."""
    return {finding.id: run.standing_of(finding) for finding in run.verdict.findings}


def _flaky(runs: Iterable[Run]) -> Iterator[Flaky]:
    alike: dict[tuple[object, ...], dict[str, Run]] = {}
    for run in runs:
        alike.setdefault((run.pair, run.made_of, compare_numbers.host_of(run)), {})[run.statement_sha256] = run
    for repeats in alike.values():
        found = tuple(repeats.values())
        asked = [_of_claims(run) for run in found]
        claims = [
            claim
            for claim in dict.fromkeys(claim for of_run in asked for claim in of_run)
            if len({of_run[claim].outcome for of_run in asked if claim in of_run}) > 1
        ]
        if claims or len({run.standing.outcome for run in found}) > 1:
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


def _standings(runs: Iterable[Run]) -> tuple[Standing, ...]:
    return tuple(run.standing for run in runs)


def _rank(standing: Standing) -> int:
    """Return how bad the outcome is, whoever promised it."""
    return SEVERITY.index(standing.outcome)


def _worst(standings: Iterable[Standing]) -> Standing:
    return max(standings, key=lambda it: it.rank)


def describe(standings: Sequence[Standing]) -> str:
    """Return the standings of several runs in words, the worst first."""
    counts = Counter(standings)
    if len(counts) == 1:
        return f"{standings[0]}" if len(standings) == 1 else f"{standings[0]} ({len(standings)} runs)"
    kinds = sorted(counts, key=lambda it: it.rank, reverse=True)
    return ", ".join(f"{kind} ({counts[kind]} of {len(standings)})" for kind in kinds) or "-"
