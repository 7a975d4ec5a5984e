"""The calls of a run by edge: in each window, and around each transition."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import polars as pl

from drills.judge.history import History
from drills.judge.records import NS_PER_MS, NS_PER_S, Window
from drills.report.run_file import Measured, WindowRecord

TRANSITION_S = 5  # before and after an instant

_EDGE = ("source", "target", "connection")
LATENCY_MS = (pl.col("ended_ns") - pl.col("scheduled_ns")) / NS_PER_MS
"""From the scheduled start of a call, so that a late start counts as latency (no coordinated omission)."""


class EdgeRow(msgspec.Struct, frozen=True):
    """One edge, kind of connection and window. Latency: of answered calls, from their scheduled start."""

    window: str
    source: str
    target: str
    connection: str
    calls: int
    ok: int
    fail: int
    info: int
    p50_ms: float | None
    p99_ms: float | None


class TransitionRow(msgspec.Struct, frozen=True):
    """The calls of one edge around one instant."""

    instant: str
    source: str
    target: str
    connection: str
    calls_before: int
    failed_before: int
    calls_after: int
    failed_after: int
    first_failure_ms: float | None  # after the instant
    longest_silence_ms: float | None  # between two successes of the whole span
    errors_before: dict[str, int] = {}  # calls that did not succeed, by class
    errors_after: dict[str, int] = {}
    first_failure_id: str | None = None  # after the instant
    first_success_ms: float | None = None  # after the instant
    first_success_id: str | None = None

    @property
    def is_steady(self) -> bool:
        """Whether nothing changed: before and after, all calls succeeded, or all failed for the same reasons."""
        is_same = self.errors_before.keys() == self.errors_after.keys()
        shares = {(self.failed_before, self.calls_before), (self.failed_after, self.calls_after)}
        return is_same and all(failed in {0, calls} for failed, calls in shares)


def measured(history: History) -> Measured:
    """Return what the callers achieved over all windows."""
    called = history.judged.filter(pl.col("scheduled_ns").is_not_null())
    lag = (pl.col("started_ns") - pl.col("scheduled_ns")) / NS_PER_MS
    row = called.select(
        pl.len().alias("calls"),
        ((pl.col("scheduled_ns").max() - pl.col("scheduled_ns").min()) / NS_PER_S).alias("span_s"),
        lag.quantile(0.5).alias("lag_p50_ms"),
        lag.quantile(0.99).alias("lag_p99_ms"),
    ).collect()
    calls, span_s, lag_p50_ms, lag_p99_ms = row.row(0)
    return Measured(
        calls=calls,
        calls_per_s=round(calls / span_s, 1) if span_s else 0.0,
        lag_p50_ms=_rounded(lag_p50_ms),
        lag_p99_ms=_rounded(lag_p99_ms),
        windows=tuple(_window_record(window) for window in history.windows().values()),
    )


def edges(history: History) -> tuple[EdgeRow, ...]:
    """Return one row per window, edge and connection, in the order of the windows."""
    rows: list[EdgeRow] = []
    for window in _parts(history):
        table = (
            _within(history.judged, window.start_ns, window.end_ns)
            .group_by(_EDGE)
            .agg(
                pl.len().alias("calls"),
                *((pl.col("outcome") == outcome).sum().alias(outcome) for outcome in ("ok", "fail", "info")),
                LATENCY_MS.filter(pl.col("status") > 0).quantile(0.5).alias("p50_ms"),
                LATENCY_MS.filter(pl.col("status") > 0).quantile(0.99).alias("p99_ms"),
            )
            .sort(_EDGE)
            .collect()
        )
        rows += [msgspec.convert({"window": window.name, **_round_all(row)}, EdgeRow) for row in table.to_dicts()]
    return tuple(rows)


def transitions(history: History, instants: Sequence[tuple[str, int]]) -> tuple[TransitionRow, ...]:
    """Return the calls of each edge within TRANSITION_S before and after each (name, at_ns)."""
    rows: list[TransitionRow] = []
    for name, at_ns in instants:
        span_ns = TRANSITION_S * NS_PER_S
        after, failed = pl.col("scheduled_ns") >= at_ns, pl.col("outcome") != "ok"
        successes = pl.col("scheduled_ns").filter(~failed)
        first = {"failure": after & failed, "success": after & ~failed}
        table = (
            _within(history.judged, at_ns - span_ns, at_ns + span_ns)
            .sort("scheduled_ns")
            .group_by(_EDGE)
            .agg(
                (~after).sum().alias("calls_before"),
                (~after & failed).sum().alias("failed_before"),
                after.sum().alias("calls_after"),
                (after & failed).sum().alias("failed_after"),
                *(
                    ((pl.col("scheduled_ns").filter(which).min() - at_ns) / NS_PER_MS).alias(f"first_{name}_ms")
                    for name, which in first.items()
                ),
                *(pl.col("id").filter(which).first().alias(f"first_{name}_id") for name, which in first.items()),
                pl.col("error").filter(~after & failed).alias("errors_before"),
                pl.col("error").filter(after & failed).alias("errors_after"),
                (successes.diff().max() / NS_PER_MS).alias("longest_silence_ms"),
            )
            .sort(_EDGE)
            .collect()
        )
        rows += [msgspec.convert({"instant": name, **_counted(row)}, TransitionRow) for row in table.to_dicts()]
    return tuple(rows)


def _parts(history: History) -> tuple[Window, ...]:
    return tuple(window for name, window in history.windows().items() if name != "run")


def _within(calls: pl.LazyFrame, start_ns: int, end_ns: int) -> pl.LazyFrame:
    return calls.filter((pl.col("scheduled_ns") >= start_ns) & (pl.col("scheduled_ns") < end_ns))


def _window_record(window: Window) -> WindowRecord:
    return WindowRecord(
        name=window.name,
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        duration_s=round(window.length_s, 3),
    )


def _counted(row: dict[str, object]) -> dict[str, object]:
    """Return the row with its error classes counted, the most frequent first."""
    return {
        name: dict(sorted(Counter(value).items(), key=lambda it: (-it[1], it[0]))) if isinstance(value, list) else value
        for name, value in _round_all(row).items()
    }


def _round_all(row: dict[str, object]) -> dict[str, object]:
    return {name: _rounded(value) if isinstance(value, float) else value for name, value in row.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
