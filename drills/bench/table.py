"""Generate a history of any length, chunk by chunk: as Parquet for the judge, as JSON lines for plain Python."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from drills.judge.events import FaultInjected, Phase
from drills.judge.history import CALLS_SCHEMA, Caller, History, RunFacts, Window

EDGES = (("frontend", "checkout"), ("checkout", "payment"), ("checkout", "fraud"), ("payment", "ledger"))
LANES = [(*edge, connection) for edge in EDGES for connection in ("new", "reused")]
CHUNK = 1_000_000
START_NS = 1_700_000_000_000_000_000
EVERY_NS = 1_000_000  # one call each millisecond, lane after lane
FAILS_EVERY, ANSWER_LOST_EVERY = 5003, 7001  # primes: failures spread over all lanes
PEER = "spiffe://cluster.local/ns/lab/sa/checkout"
IDENTITIES = {source: PEER for source, _ in EDGES}
SERVED = ("served_ns", "served_pod", "served_version", "served_status", "peer")


def write(folder: Path, calls: int, *, as_lines: bool = False) -> None:
    """Write this many calls as Parquet files of a million each, and optionally also as JSON lines."""
    folder.mkdir()
    for number, chunk in enumerate(_chunks(calls)):
        chunk.write_parquet(folder / f"calls-{number:05}.parquet")
        if as_lines:
            with (folder / "calls.jsonl").open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in chunk.iter_rows(named=True))


def load(folder: Path, calls: int) -> History:
    """Return these calls as a history whose first tenth is the baseline."""
    events = (
        Phase(START_NS, "baseline"),
        FaultInjected(_end_ns(calls // 10), "nothing", FaultInjected.Detail(fault="", role="", node="")),
        Phase(_end_ns(calls), "end"),
    )
    callers = tuple(Caller(f"{source}-1", source, target, name, 8.0) for source, target, name in LANES)
    facts = RunFacts("bench", "generated", "0" * 12, callers=callers, identities=IDENTITIES)
    return History(pl.scan_parquet(folder / "calls-*.parquet"), events, facts)


def window(calls: int) -> Window:
    """Return the window over the whole run."""
    return Window("run", START_NS, _end_ns(calls))


def _end_ns(calls: int) -> int:
    return START_NS + calls * EVERY_NS


def _chunks(calls: int) -> Iterator[pl.DataFrame]:
    for start in range(0, calls, CHUNK):
        yield _chunk(start, min(start + CHUNK, calls))


def _chunk(start: int, end: int) -> pl.DataFrame:
    lanes = pl.DataFrame(LANES, schema=["source", "target", "connection"], orient="row").with_row_index("lane")
    number = pl.int_range(start, end, eager=True).alias("number").to_frame()
    spread = number.with_columns(lane=(pl.col("number") % len(LANES)).cast(pl.UInt32))
    rows = spread.join(lanes, on="lane", how="left", maintain_order="left")
    at_ns, seq = START_NS + pl.col("number") * EVERY_NS, pl.col("number") // len(LANES)
    fails, is_lost = pl.col("number") % FAILS_EVERY == 1, pl.col("number") % ANSWER_LOST_EVERY == 1
    pod, server = pl.format("{}-1", "source"), pl.format("{}-1", "target")
    columns = rows.with_columns(
        id=pl.format(
            "mdc0123456789abcdef.{}.{}.5d9f-abcde.{}{}", "source", "target", pl.col("connection").str.head(1), seq
        ),
        seq=seq,
        pod=pod,
        node=pl.lit("node-1"),
        scheduled_ns=at_ns,
        started_ns=at_ns + 50_000,
        ended_ns=at_ns + 2_050_000,
        outcome=pl.when(fails).then(pl.lit("fail")).when(is_lost).then(pl.lit("info")).otherwise(pl.lit("ok")),
        status=pl.when(fails | is_lost).then(0).otherwise(200),
        error=pl.when(fails).then(pl.lit("connect-reset")).when(is_lost).then(pl.lit("timeout")).otherwise(pl.lit("")),
        reused=pl.col("connection") == "reused",
        server_pod=server,
        server_version=pl.lit("v1"),
        served_ns=at_ns + 1_050_000,
        served_pod=server,
        served_version=pl.lit("v1"),
        served_status=pl.lit(200),
        peer=pl.lit(PEER),
    )
    served = (pl.when(~fails).then(pl.col(name)).alias(name) for name in SERVED)
    return columns.with_columns(served).select(pl.col(name).cast(kind) for name, kind in CALLS_SCHEMA.items())
