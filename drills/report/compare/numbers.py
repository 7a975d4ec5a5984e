"""The numbers of a drill that changed by more than chance and the resolution of the measurement explain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from drills.report import figures
from drills.report.bundles import Run
from drills.report.compare.two_sample import Difference, difference

MARGIN: Final = 0.1
"""A change of less than a tenth is not worth acting on."""
LEAST_S: Final = 1.0
LEAST_MS: Final = 1.0
"""Nor is one of less than a second, or of less than a millisecond of latency."""


class Weight(StrEnum):
    """How a change counts. SUSPECT: beyond the margin, but with too few runs to rule out chance."""

    WORSE = "worse"
    SUSPECT = "suspect"
    BETTER = "better"
    SAME = "same"


@dataclass(frozen=True)
class Number:
    """One number of a pair before and now. is_within: the samples are seconds of single baselines, not runs."""

    pair: tuple[str, str]
    name: str
    unit: str
    difference: Difference
    margin: float
    is_within: bool

    @property
    def weight(self) -> Weight:
        """Return how it counts: WORSE only if repeated runs show it, and its whole interval is above the margin."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None:
            least = min(self.difference.new) - max(self.difference.old)
            return Weight.SUSPECT if least > self.margin else Weight.SAME
        if low > self.margin:
            return Weight.SUSPECT if self.is_within else Weight.WORSE
        return Weight.BETTER if high < -self.margin and not self.is_within else Weight.SAME


@dataclass(frozen=True)
class _Sample:
    """One number of one run. seconds: the same number for each second of its baseline, if it has one."""

    value: float
    resolution: float = 0.0
    seconds: tuple[float, ...] = ()


_Samples = dict[tuple[str, str], _Sample]  # by name and unit


def compare(old: Sequence[Run], new: Sequence[Run]) -> Iterator[Number]:
    """Yield every number that both sides have, of runs on the same kind of host."""
    olds, news = on_like_hosts(old, new)
    before, now = [_samples(run) for run in olds], [_samples(run) for run in news]
    names = dict.fromkeys(name for of_run in now for name in of_run)
    for name in names:
        was = [of_run[name] for of_run in before if name in of_run]
        is_now = [of_run[name] for of_run in now if name in of_run]
        if was and is_now:
            yield _number(news[0].pair, name, was, is_now)


def on_like_hosts(old: Sequence[Run], new: Sequence[Run]) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Return the runs of both sides on the kind of host of the newest run."""
    kind = host_of(max(new, key=lambda run: run.began))
    olds, news = (tuple(run for run in side if host_of(run) == kind) for side in (old, new))
    return (olds, news) if olds else ((), ())


def host_of(run: Run) -> tuple[object, ...]:
    """Return the kind of host: operating system, CPUs, memory in GiB."""
    memory = run.environment.host.get("memory_gib")
    gib = round(memory) if isinstance(memory, int | float) else None
    return run.environment.host.get("os"), run.environment.host.get("cpus"), gib


def _number(pair: tuple[str, str], name: tuple[str, str], old: Sequence[_Sample], new: Sequence[_Sample]) -> Number:
    found = difference([it.value for it in old], [it.value for it in new])
    seconds = [second for it in old for second in it.seconds], [second for it in new for second in it.seconds]
    is_within = found.low is None and all(seconds)
    least = LEAST_MS if name[1] == "ms" else LEAST_S
    resolution = max(it.resolution for it in (*old, *new))
    margin = max(least, resolution, MARGIN * median(it.value for it in old))
    return Number(pair, *name, difference(*seconds) if is_within else found, margin, is_within)


def _samples(run: Run) -> _Samples:
    return {name: sample for part in _PARTS for name, sample in part(run)}


def _recoveries(run: Run) -> Iterator[tuple[tuple[str, str], _Sample]]:
    for claim, seconds in figures.recoveries_s(run.verdict).items():
        if seconds is not None:  # a missed recovery shows in its answer
            yield (f"recovery: {claim}", "s"), _Sample(seconds)


def _signals(run: Run) -> Iterator[tuple[tuple[str, str], _Sample]]:
    for signal, seconds in figures.times_to_signal_s(run.history).items():
        yield (f"time to signal {signal}", "s"), _Sample(seconds)


def _outage(run: Run) -> Iterator[tuple[tuple[str, str], _Sample]]:
    found = figures.outage(run.history)
    if found is not None:
        yield ("longest outage of a route", "s"), _Sample(found.longest_s, found.resolution_s)


def _latency(run: Run) -> Iterator[tuple[tuple[str, str], _Sample]]:
    found = figures.latency(run.history)
    if found is not None:
        yield ("latency p50 of the baseline", "ms"), _Sample(found.p50_ms, seconds=found.p50_ms_by_second)
        yield ("latency p99 of the baseline", "ms"), _Sample(found.p99_ms, seconds=found.p99_ms_by_second)


_PARTS: tuple[Callable[[Run], Iterable[tuple[tuple[str, str], _Sample]]], ...] = (
    _recoveries,
    _outage,
    _signals,
    _latency,
)
