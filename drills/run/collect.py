"""Turns the lab's logs into the calls and events of a history, one line in memory at a time."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from pathlib import Path

import polars as pl

from drills.judge.events import (
    CallerEnd,
    CallerReady,
    Event,
    HarnessTrouble,
    MetricSample,
    ProgramStalled,
    ProgramStarted,
    ServerEnd,
    ServerRejoined,
    WireEnd,
    WireGap,
    WireHit,
    WirePair,
    WireReady,
)
from drills.judge.history import CALLS_SCHEMA
from drills.run import lines
from drills.run.certificates import CertificateReader
from drills.run.plan import logs_dir

_CHUNK = 50_000
_CALLER_COLUMNS = (
    *("id", "seq", "pod", "node", "source", "target", "connection", "scheduled_ns", "started_ns", "ended_ns"),
    *("outcome", "status", "error", "reused", "server_pod", "server_version"),
)
_SERVER_COLUMNS = {
    "id": "id",
    "at_ns": "served_ns",
    "pod": "served_pod",
    "version": "served_version",
    "status": "served_status",
    "peer": "peer",
}
_ID = r"^[^.]+\.([^.]+)\.([^.]+)\.[^.]+\.([nr])\d+$"


@dataclass(frozen=True)
class Collected:
    """What the lab's programs recorded of one run."""

    calls: pl.DataFrame  # drills.judge.history.CALLS_SCHEMA
    events: tuple[Event, ...]


class _Columns:
    """Rows turned into columns, a chunk at a time."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._schema = pl.Schema({column: CALLS_SCHEMA[column] for column in names.values()})
        self._rows: list[tuple[object, ...]] = []
        self._frames: list[pl.DataFrame] = []

    def add(self, line: lines.Call | lines.Served) -> None:
        self._rows.append(tuple(getattr(line, attribute) for attribute in self._names))
        if len(self._rows) >= _CHUNK:
            self._flush()

    def frame(self) -> pl.DataFrame:
        self._flush()
        return pl.concat(self._frames)

    def _flush(self) -> None:
        self._frames.append(pl.DataFrame(self._rows, schema=self._schema, orient="row"))
        self._rows = []


@dataclass
class _Collection:
    """The state of one pass over all logs."""

    run_id: str
    pods: frozenset[str]
    nodes: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    callers: _Columns = field(default_factory=lambda: _Columns({name: name for name in _CALLER_COLUMNS}))
    servers: _Columns = field(default_factory=lambda: _Columns(_SERVER_COLUMNS))
    certificates: CertificateReader = field(default_factory=CertificateReader)

    def take(self, line: lines.AnyLine) -> None:
        match line:
            case lines.Boot():
                if line.pod in self.pods:
                    started = ProgramStarted.Detail(pod=line.pod, node=line.node)
                    self.events.append(ProgramStarted(line.at_ns, line.pod, started))
            case lines.Truncated():
                full = HarnessTrouble.Detail(message="a log reached its bound")
                self.events.append(HarnessTrouble(line.at_ns, "log", full))
            case _ if line.run_id != self.run_id:
                return
            case lines.Call():
                self.callers.add(line)
            case lines.Served():
                self.servers.add(line)
            case lines.Ready():
                self.nodes[line.pod] = line.node
                self.events.extend(_of_ready(line) if line.pod in self.pods else ())
            case lines.End():
                self.events.append(_of_end(line, self.nodes.get(line.pod, "")))
            case lines.ServedEnd() | lines.Late() | lines.Stalled():
                # A server that started during the run must account for what it served, if it served any call.
                has_served = isinstance(line, lines.ServedEnd) and line.served > 0
                self.events += [_of_server(line)] if line.pod in self.pods or has_served else []
            case _:
                self.events.extend(
                    self.certificates.events_of(line) if isinstance(line, lines.Certificate) else _of_observer(line)
                )


def collect(
    share: Path,
    run_id: str,
    *,
    pods: frozenset[str],
    offsets: Mapping[str, int],
    ended_pods: frozenset[str] = frozenset(),
) -> Collected:
    """Read the run's lines that were appended to the logs since `offsets`.

    pods: their logs must be whole; a torn line becomes a HarnessTrouble. ended_pods: the fault itself ends these, so
    the last line of their logs, and the last before a restart, may be torn.
    """
    collection = _Collection(run_id, pods)
    for path in sorted(logs_dir(share).glob("*.jsonl")):
        found = lines.read(path, offset=offsets.get(path.name, 0))
        for line, then in pairwise(chain(found, [None])):
            if isinstance(line, lines.TornLine):
                is_cut = path.stem in ended_pods and (then is None or isinstance(then, lines.Boot))
                if path.stem in pods and not is_cut:
                    collection.events.append(_of_torn(line))
            elif line is not None:
                collection.take(line)
    return Collected(
        _joined(collection.callers.frame(), collection.servers.frame()),
        tuple(sorted(collection.events, key=lambda event: event.at_ns)),
    )


def _joined(callers: pl.DataFrame, servers: pl.DataFrame) -> pl.DataFrame:
    """Join callers and servers by request id; a call that only a server saw gets its edge from the id.

    The first time that a call is served joins its caller's row; each further time is a row of its own. So the caller's
    sequence stays whole, and checks of retries and duplicates see every time that a call was served.
    """
    servers = servers.sort("served_ns", maintain_order=True)
    is_first = pl.col("id").is_first_distinct()
    both = callers.join(servers.filter(is_first), on="id", how="full", coalesce=True)
    both = pl.concat([both, servers.filter(~is_first)], how="diagonal")
    parts = pl.col("id").str.extract_groups(_ID)
    kind = parts.struct.field("3").replace_strict({"n": "new", "r": "reused"}, default=None)
    return (
        both.with_columns(
            source=pl.coalesce("source", parts.struct.field("1")),
            target=pl.coalesce("target", parts.struct.field("2")),
            connection=pl.coalesce("connection", kind),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in CALLS_SCHEMA.items())
        .sort("scheduled_ns", "id")
    )


def _of_ready(line: lines.Ready) -> Iterable[Event]:
    for target, connection in line.callers:
        ready = CallerReady.Detail(pod=line.pod, node=line.node, target=target, connection=connection)
        yield CallerReady(line.at_ns, line.pod, ready)


def _of_end(line: lines.End, node: str) -> Event:
    end = CallerEnd.Detail(
        pod=line.pod,
        node=node,
        target=line.target,
        connection=line.connection,
        scheduled=line.scheduled,
        written=line.written,
        skipped=line.skipped,
    )
    return CallerEnd(line.at_ns, line.pod, end)


def _of_server(line: lines.ServedEnd | lines.Late | lines.Stalled) -> Event:
    if isinstance(line, lines.Stalled):
        stalled = ProgramStalled.Detail(pod=line.pod, node=line.node, stalled_ms=line.stalled_ms)
        return ProgramStalled(line.at_ns, line.pod, stalled)
    if isinstance(line, lines.Late):
        return ServerRejoined(line.at_ns, line.pod, ServerRejoined.Detail(pod=line.pod, node=line.node))
    end = ServerEnd.Detail(pod=line.pod, service=line.service, served=line.served)
    return ServerEnd(line.at_ns, line.pod, end)


def _of_observer(line: lines.AnyLine) -> Iterable[Event]:
    match line:
        case lines.WireReady():
            ready = WireReady.Detail(node=line.node, interfaces=line.interfaces)
            yield WireReady(line.at_ns, line.node, ready)
        case lines.Wire():
            hit = WireHit.Detail(
                node=line.node, interface=line.interface, id=line.id, source=line.source, target=line.target
            )
            yield WireHit(line.at_ns, line.node, hit)
        case lines.WireEnd():
            yield from _of_wire_end(line)
        case lines.Scrape():
            sample = MetricSample.Detail(
                pod=line.pod, node=line.node, metric=line.metric, value=line.value, error=line.error
            )
            yield MetricSample(line.at_ns, line.pod, sample)
        case lines.Gap():
            yield WireGap(line.at_ns, line.node, WireGap.Detail(node=line.node, reason=line.reason))


def _of_wire_end(line: lines.WireEnd) -> Iterable[Event]:
    end = WireEnd.Detail(node=line.node, packets=line.packets, dropped=line.dropped)
    yield WireEnd(line.at_ns, line.node, end)
    for found in line.hits:
        pair = WirePair.Detail(
            node=line.node,
            interface=found.interface,
            source=found.source,
            target=found.target,
            count=found.count,
            first_ns=found.first_ns,
            last_ns=found.last_ns,
        )
        yield WirePair(line.at_ns, line.node, pair)


def _of_torn(line: lines.TornLine) -> Event:
    message = f"line {line.number} of {line.file} (counted from this run's start) is torn: {line.reason}"
    return HarnessTrouble(time.time_ns(), "log", HarnessTrouble.Detail(message=message))
