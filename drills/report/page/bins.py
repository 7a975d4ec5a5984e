"""The calls of a run in time bins of equal length, by edge and node."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import polars as pl

from drills.judge.events import FaultInjected
from drills.judge.history import History
from drills.judge.keys import LANE
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Finding
from drills.report.traffic import LATENCY_MS

MAX_BINS: Final = 150  # a phone has about 330 points for them, paper about 700
SUCCEED: Final = "succeed"
BE_REFUSED: Final = "be refused"

# The checks that require an outcome of every call of an edge.
CHECKS_OF_SUCCESS: Final = frozenset({"success_rate", "availability"})
CHECKS_OF_REFUSAL: Final = frozenset({"denied"})

_WIDTHS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_LANE_OF_NODE = (*LANE, "node")


class Span(msgspec.Struct, frozen=True):
    """The time range that is drawn, in bins of equal length. zero_ns: offsets count from here."""

    start_ns: int
    end_ns: int
    bin_ns: int
    zero_ns: int

    @property
    def count(self) -> int:
        """How many bins there are; the last one may reach beyond the end."""
        return max(1, -(-(self.end_ns - self.start_ns) // self.bin_ns))

    def percent(self, at_ns: int) -> float:
        """Return the position of an instant in percent of the width, clamped to the drawing."""
        share = (at_ns - self.start_ns) / (self.count * self.bin_ns)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def offset_s(self, at_ns: int) -> float:
        """Return the instant in seconds after zero."""
        return (at_ns - self.zero_ns) / NS_PER_S


class Bin(msgspec.Struct, frozen=True):
    """Counts for one bin: all calls, calls that contradict the claim (off), calls with unknown outcome."""

    calls: int
    off: int
    unknown: int

    @property
    def good(self) -> float:
        """Return the share of calls that agree with the claim."""
        return (self.calls - self.off - self.unknown) / self.calls


class Lane(msgspec.Struct, frozen=True):
    """One edge on one kind of connection from one node. must: SUCCEED, BE_REFUSED, or "" without a claim."""

    source: str
    target: str
    connection: str
    node: str
    must: str
    bins: tuple[Bin | None, ...]  # None: no call was scheduled
    slowest_ms: tuple[float | None, ...]  # of successful calls; None: no call succeeded


class Latency(msgspec.Struct, frozen=True):
    """Latency of the successful calls of one bin, from their scheduled start."""

    p50_ms: float
    p99_ms: float


def span(history: History) -> Span | None:
    """Return the range from the baseline to the end, else from the first call to the last; None without either."""
    window = history.windows().get("run")
    due = history.calls.select(first=pl.col("scheduled_ns").min(), last=pl.col("scheduled_ns").max()).collect()
    first_ns, last_ns = due.row(0)
    start_ns, end_ns = (window.start_ns, window.end_ns) if window else (first_ns, last_ns)
    if start_ns is None or end_ns is None or start_ns >= end_ns:
        return None
    bin_ns = next((width for width in map(_ns, _WIDTHS_S) if (end_ns - start_ns) <= MAX_BINS * width), None)
    injected = history.of_kind(FaultInjected)
    zero_ns = injected[0].at_ns if injected else start_ns
    return Span(start_ns, end_ns, bin_ns or -(-(end_ns - start_ns) // MAX_BINS), zero_ns)


def musts(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the outcome that claims require of every call of an edge, by "source->target"."""
    asked: dict[str, str] = {}
    for finding in findings:
        must = (
            SUCCEED if finding.check in CHECKS_OF_SUCCESS else BE_REFUSED if finding.check in CHECKS_OF_REFUSAL else ""
        )
        asked |= dict.fromkeys(finding.edges, must) if must else {}
    return asked


def lanes(history: History, drawn: Span, asked: Mapping[str, str]) -> tuple[Lane, ...]:
    """Return the bins of each edge, connection and calling node, in the order of their names."""
    served_all_the_same = (pl.col("outcome") != "ok") & pl.col("served_ns").is_not_null()
    table = (
        _numbered(history, drawn)
        .group_by(*_LANE_OF_NODE, "bin")
        .agg(
            calls=pl.len(),
            ok=(pl.col("outcome") == "ok").sum(),
            info=(pl.col("outcome") == "info").sum(),
            served=served_all_the_same.sum(),
            slowest_ms=LATENCY_MS.filter(pl.col("outcome") == "ok").max(),
        )
        .sort(*_LANE_OF_NODE, "bin")
        .collect()
    )
    found: dict[tuple[str, str, str, str], tuple[list[Bin | None], list[float | None]]] = {}
    for source, target, connection, node, number, calls, ok, info, served, slowest_ms in table.iter_rows():
        row, slow = found.setdefault((source, target, connection, node), ([None] * drawn.count, [None] * drawn.count))
        is_refused = asked.get(f"{source}->{target}") == BE_REFUSED
        row[number] = Bin(calls, ok + served, 0) if is_refused else Bin(calls, calls - ok - info, info)
        slow[number] = slowest_ms
    return tuple(
        Lane(*key, asked.get(f"{key[0]}->{key[1]}", ""), tuple(row), tuple(slow)) for key, (row, slow) in found.items()
    )


def latencies(history: History, drawn: Span, edges: Sequence[str]) -> tuple[Latency | None, ...]:
    """Return p50 and p99 of the successful calls of these edges, one per bin; None where no call succeeded."""
    table = (
        _numbered(history, drawn)
        .filter(pl.col("outcome") == "ok", pl.concat_str("source", "target", separator="->").is_in(list(edges)))
        .group_by("bin")
        .agg(p50=LATENCY_MS.quantile(0.5), p99=LATENCY_MS.quantile(0.99))
        .drop_nulls()
        .collect()
    )
    found = {number: Latency(p50, p99) for number, p50, p99 in table.iter_rows()}
    return tuple(found.get(number) for number in range(drawn.count))


def together(some: Iterable[Lane]) -> tuple[Bin | None, ...]:
    """Return the bins of several lanes, summed."""
    return tuple(_sum(column) for column in zip(*(lane.bins for lane in some), strict=True))


def slowest_ms(some: Iterable[Lane]) -> tuple[float | None, ...]:
    """Return the latency of the slowest successful call over several lanes, one per bin."""
    columns = zip(*(lane.slowest_ms for lane in some), strict=True)
    return tuple(max((it for it in column if it is not None), default=None) for column in columns)


def total(bins: Iterable[Bin | None]) -> Bin:
    """Return the sum of all bins."""
    return _sum(bins) or Bin(0, 0, 0)


def _sum(bins: Iterable[Bin | None]) -> Bin | None:
    filled = [it for it in bins if it is not None]
    if not filled:
        return None
    return Bin(sum(it.calls for it in filled), sum(it.off for it in filled), sum(it.unknown for it in filled))


def _numbered(history: History, drawn: Span) -> pl.LazyFrame:
    due = pl.col("scheduled_ns")
    inside = history.judged.filter(due >= drawn.start_ns, due < drawn.end_ns)
    return inside.with_columns(bin=(due - drawn.start_ns) // drawn.bin_ns)


def _ns(width_s: float) -> int:
    return round(width_s * NS_PER_S)
