"""Build a small history step by step: `Story().steady(EDGE).fault().calls(*EDGE, ok=100, fail=3).history()`.

A story has three phases: baseline, fault, recovery. Its methods add records to the current one. The fault with its
receipts and its undo, and the ends of callers and servers, are added by themselves.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import msgspec
import polars as pl

from clusters.model import SignalSpec
from drills.judge.claims import Claim
from drills.judge.events import (
    CallerEnd,
    E,
    Event,
    FaultInjected,
    FaultReceipt,
    NewPod,
    Phase,
    PolicyChangeStep,
    ServerEnd,
    UndoApplied,
    UndoVerified,
    WireEnd,
    WireHit,
    WirePair,
    WireReady,
)
from drills.judge.history import CALLS_SCHEMA, Caller, History, RunFacts
from drills.judge.records import NS_PER_MS, NS_PER_S
from drills.judge.verdict import Finding
from drills.selftest.doubles.asking import judge

START_NS = 1_700_000_000_000_000_000
NODES = ("n1", "n2", "n3")
SEEN_EVERY_NS = 10 * NS_PER_S
"""An observer that works reports what it goes on seeing more often than the judge demands."""
FAULT = "stop control-plane"
SERVICES = ("frontend", "checkout", "payment", "ledger", "fraud", "bank-adapter", "intruder", "new-pod")

Cell = str | int | bool | None

_NOTHING_SAID: dict[str, object] = {
    **dict.fromkeys(("action", "address", "error", "evidence", "fault", "message", "namespace"), ""),
    **dict.fromkeys(("role", "service", "service_account", "what"), ""),
    "actor": "the harness",
    "chain": (),
    "count": 1,
    "interfaces": (),
    "is_whole": False,
    "labels": (),
    "node": "n1",
    "observer": "nodes",
    "skipped": 0,
}
"""What events say in fields on which no answer depends."""


def identity(service: str) -> str:
    """Return the identity that the mesh of a story gives a service."""
    return f"spiffe://cluster.local/ns/lab/sa/{service}"


def xfcc(service: str, server: str = "ledger") -> str:
    """Return an identity header as a server sees it."""
    return f'By={identity(server)};Hash=00ff;Subject="";URI={identity(service)}'


@dataclass
class Story:
    """The run so far. Every method that adds records returns the story."""

    baseline_s: float = 10.0
    fault_s: float = 20.0
    recovery_s: float = 20.0
    is_control: bool = False
    without_fault: bool = False
    signals: tuple[SignalSpec, ...] = ()
    fresh_edges: tuple[tuple[str, str], ...] = ()
    placed: dict[str, str] = field(default_factory=dict)
    drop_nodes: tuple[str, ...] = ()
    is_nameless: bool = False  # the mesh shows servers no identity of their callers
    encrypts: bool = True
    rows: list[dict[str, Cell]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    _phase: str = "baseline"
    _spoken: set[tuple[str, str, str]] = field(default_factory=set)
    _forgotten: set[type[Event]] = field(default_factory=set)
    _unplanned: set[str] = field(default_factory=set)
    _services: dict[str, str] = field(default_factory=dict)

    def baseline(self) -> Self:
        """Go on in the baseline."""
        self._phase = "baseline"
        return self

    def fault(self) -> Self:
        """Go on while the fault is held."""
        self._phase = "fault"
        return self

    def recovery(self) -> Self:
        """Go on after the undo was verified."""
        self._phase = "recovery"
        return self

    def at(self, offset_s: float) -> int:
        """Return the instant at an offset into the current phase."""
        starts = {"baseline": 0.0, "fault": self.baseline_s, "recovery": self.baseline_s + self.fault_s}
        return START_NS + round((starts[self._phase] + offset_s) * NS_PER_S)

    def unplanned(self, *pods: str) -> Self:
        """Leave these pods out of the plans: they did not exist when the run began."""
        self._unplanned |= set(pods)
        return self

    def of_service(self, service: str, *pods: str) -> Self:
        """Let these pods belong to a service, whatever the target of the calls that they serve."""
        self._services |= dict.fromkeys(pods, service)
        return self

    def length_s(self) -> float:
        """Return the length of the current phase."""
        return {"baseline": self.baseline_s, "fault": self.fault_s, "recovery": self.recovery_s}[self._phase]

    def calls(  # noqa: PLR0913 - each word of the sentence is one argument
        self,
        source: str,
        target: str,
        *,
        ok: int = 0,
        fail: int = 0,
        info: int = 0,
        connection: str = "new",
        error: str = "connect-reset",
        over: tuple[float, float] | None = None,
        served: bool | None = None,
        peer: str | None = None,
        version: str = "v1",
        pod: str | None = None,
        server: str | None = None,
        reused: bool | None = None,
        lag_ms: float = 0.1,
        after_ms: float = 0.0,
        node: str = "n1",
    ) -> Self:
        """Add calls at even distances over the phase, or from one offset to another; failures are in the middle.

        served: whether the server logged the call; it follows the outcome when not given.
        """
        start_s, end_s = over or (0.0, self.length_s())
        outcomes = ["ok"] * (ok - ok // 2) + ["fail"] * fail + ["info"] * info + ["ok"] * (ok // 2)
        lane = (pod or f"{source}-1", target, connection)
        for index, outcome in enumerate(outcomes):
            due_ns = self.at(start_s + (end_s - start_s) * index / len(outcomes)) + round(after_ms * NS_PER_MS)
            is_ok = outcome == "ok"
            started_ns, by = due_ns + round(lag_ms * NS_PER_MS), server or f"{target}-1"
            timed = {"started_ns": started_ns, "ended_ns": started_ns + 2 * NS_PER_MS}
            row = self._row(source, target, connection, lane[0], due_ns) | timed | {"node": node}
            row |= {"outcome": outcome, "status": 200 if is_ok else 0, "error": "" if is_ok else error}
            row["reused"] = (connection == "reused" and lane in self._spoken) if reused is None else reused
            self._spoken.add(lane)
            if is_ok:
                row |= {"server_pod": by, "server_version": version}
            if is_ok if served is None else served:
                row |= self._service(by, started_ns + NS_PER_MS, version)
                row["peer"] = self._peer(source, target) if peer is None else peer
            self.rows.append(row)
        return self

    def _peer(self, source: str, target: str) -> str:
        return "" if self.is_nameless or source == "outsider" else xfcc(source, target)

    def steady(self, *edges: tuple[str, str], per_s: int = 10) -> Self:
        """Add successful calls of these edges in every phase, on new and on reused connections."""
        return self._everywhere(edges, per_s, ok=True)

    def refused(self, *edges: tuple[str, str], per_s: int = 10) -> Self:
        """Add refused calls of these edges in every phase."""
        return self._everywhere(edges, per_s, ok=False)

    def _everywhere(self, edges: tuple[tuple[str, str], ...], per_s: int, *, ok: bool) -> Self:
        current = self._phase
        for self._phase in ("baseline", "fault", "recovery"):
            count = round(self.length_s() * per_s)
            for source, target in edges:
                for connection in ("new", "reused"):
                    self.calls(source, target, **{"ok" if ok else "fail": count}, connection=connection)  # type: ignore[arg-type]
        self._phase = current
        return self

    def served_only(self, source: str, target: str, offset_s: float = 1.0, *, server: str | None = None) -> Self:
        """Add a call that only the server saw."""
        ids = {"id": f"mdc.{source}.{target}.x.n{len(self.rows)}", "source": source, "target": target, "peer": ""}
        service = self._service(server or f"{target}-1", self.at(offset_s), "v1")
        self.rows.append({**dict.fromkeys(CALLS_SCHEMA.names()), **ids, **service})
        return self

    def served_again(self, source: str, target: str, offset_s: float = 1.0, *, server: str | None = None) -> Self:
        """Let a server serve the first new call of the edge once more."""
        self.served_only(source, target, offset_s, server=server)
        self.rows[-1] |= {"id": f"mdc.{source}.{target}.{source}-1.n0", "connection": "new"}
        return self

    def event(self, kind: type[E], subject: str, *, at_s: float = 1.0, **detail: object) -> Self:
        """Add any event; required fields of its detail that are not given are made up."""
        self.events.append(event_of(kind, self.at(at_s), subject, **detail))
        return self

    def watched(self, *, dropped: int = 0, packets: int = 1000, proven: bool = True) -> Self:
        """Let every node watch the wire through the run, and by default see the outsider's plaintext all the time."""
        end_ns = self._end_ns() + NS_PER_S
        for node in NODES:
            self.events.append(event_of(WireReady, START_NS - 1, node, node=node))
            self.events.append(event_of(WireEnd, end_ns, node, node=node, packets=packets, dropped=dropped))
        for seen_ns in range(START_NS, end_ns, SEEN_EVERY_NS) if proven else ():
            self.pair("outsider", "ledger", first_ns=seen_ns, last_ns=min(seen_ns + SEEN_EVERY_NS, end_ns))
        return self

    def hit(self, source: str, target: str, *, at_s: float = 1.0, interface: str = "eth0") -> Self:
        """Add a canary that was readable on a node."""
        edge = {"source": source, "target": target, "id": f"mdc.{source}.{target}.x.n0"}
        return self.event(WireHit, "n1", at_s=at_s, interface=interface, **edge)

    def pair(self, source: str, target: str, *, first_ns: int, last_ns: int, count: int = 50) -> Self:
        """Add how often, and from when to when, an edge was readable on a node."""
        found: dict[str, object] = {"count": count, "first_ns": first_ns, "last_ns": last_ns}
        return self.event(WirePair, "n1", at_s=1.0, interface="eth0", source=source, target=target, **found)

    def new_pod(
        self,
        outcome: str,
        *,
        meshed: bool | None = None,
        started: bool | None = None,
        at_s: float = 1.0,
        name: str = "",
        **more: object,
    ) -> Self:
        """Add the outcome of a new pod. more: where it was placed, the message, and what blocked it."""
        fate = {"outcome": outcome, "meshed": meshed, "started": started, "node": "", **more}
        return self.event(NewPod, name or f"new-pod-{len(self.events)}", at_s=at_s, **fate)

    def change(
        self,
        source: str,
        target: str,
        outcome: str,
        *,
        at_s: float = 1.0,
        held_s: float | None = 8.0,
        message: str = "",
    ) -> Self:
        """Add a policy change that forbids an edge, and its removal when it was held."""
        name = f"forbid-{len(self.events)}"
        edge = {"source": source, "target": target, "message": message}
        self.event(PolicyChangeStep, name, at_s=at_s, **edge, step="apply", outcome=outcome)
        if held_s is not None:
            self.event(PolicyChangeStep, name, at_s=at_s + held_s, **edge, step="remove", outcome="accepted")
        return self

    def without(self, *kinds: type[Event]) -> Self:
        """Leave out all events of these kinds, also those that are added by themselves."""
        self._forgotten |= set(kinds)
        return self

    def table(self) -> pl.DataFrame:
        """Return the calls in the order of their schedule; each caller numbers its own from 0."""
        calls = pl.DataFrame(self.rows, schema=CALLS_SCHEMA).sort("scheduled_ns", maintain_order=True)
        number = pl.int_range(pl.len()).over("pod", "target", "connection")
        last_word = pl.col("connection").str.head(1) + pl.col("seq").cast(pl.String)
        call_id = pl.concat_str(pl.lit("mdc"), "source", "target", "pod", last_word, separator=".")
        numbered = calls.with_columns(seq=pl.when(pl.col("pod").is_not_null()).then(number))
        return numbered.with_columns(id=pl.coalesce("id", call_id)).sort("scheduled_ns", "id")

    def facts(self) -> RunFacts:
        """Return the facts that fit the story."""
        rows = [row for row in self.rows if row["pod"] and row["pod"] not in self._unplanned]
        lanes = {(str(r["pod"]), str(r["source"]), str(r["target"]), str(r["connection"])) for r in rows}
        return RunFacts(
            drill="test-drill",
            mesh="story",
            run_id="0123456789ab",
            is_control=self.is_control,
            callers=tuple(Caller(*lane, 100.0) for lane in sorted(lanes)),
            servers=tuple(sorted(set(self._servers()) - self._unplanned)),
            wire_nodes=NODES,
            identities={"outsider": ""} | {it: "" if self.is_nameless else identity(it) for it in SERVICES},
            encrypts=self.encrypts,
            signals={signal.name: signal for signal in self.signals},
            fresh_edges=self.fresh_edges,
            placed=self.placed,
            drop_nodes=self.drop_nodes,
            without_fault=self.without_fault,
        )

    def history(self, table: pl.DataFrame | None = None) -> History:
        """Return the history of the story, or the same run with another table of calls."""
        return History((self.table() if table is None else table).lazy(), self.all_events(), self.facts())

    def all_events(self) -> tuple[Event, ...]:
        """Return all events in the order of their clock."""
        every = (*self.events, *self._drill(), *self._ends())
        kept = (event for event in every if type(event) not in self._forgotten)
        return tuple(sorted(kept, key=lambda event: event.at_ns))

    def _drill(self) -> Iterator[Event]:
        fault_ns = START_NS + round(self.baseline_s * NS_PER_S)
        undo_ns = fault_ns + round(self.fault_s * NS_PER_S)
        yield Phase(START_NS, "baseline")
        yield Phase(fault_ns, "fault")
        yield event_of(FaultInjected, fault_ns, FAULT)
        for at_ns in range(fault_ns + NS_PER_S // 2, undo_ns - NS_PER_S, NS_PER_S):
            yield event_of(FaultReceipt, at_ns, FAULT, landed=True)
        yield event_of(UndoApplied, undo_ns - NS_PER_S, FAULT)
        yield UndoVerified(undo_ns, FAULT)
        yield Phase(undo_ns, "recovery")
        yield Phase(self._end_ns(), "end")

    def _ends(self) -> Iterator[Event]:
        lanes = Counter((str(r["pod"]), str(r["target"]), str(r["connection"])) for r in self.rows if r["pod"])
        for (pod, target, connection), count in lanes.items():
            said = {"target": target, "connection": connection, "scheduled": count, "written": count}
            yield event_of(CallerEnd, self._end_ns() + NS_PER_S, pod, **said)
        for pod in sorted(self._servers()):
            service = self._services.get(pod) or self._target_of(pod)
            yield event_of(ServerEnd, self._end_ns() + NS_PER_S, pod, served=self._servers()[pod], service=service)

    def _target_of(self, pod: str) -> str:
        return next(str(row["target"]) for row in self.rows if row["served_pod"] == pod)

    def _servers(self) -> Counter[str]:
        return Counter(str(row["served_pod"]) for row in self.rows if row["served_pod"])

    def _end_ns(self) -> int:
        return START_NS + round((self.baseline_s + self.fault_s + self.recovery_s) * NS_PER_S)

    def _row(self, source: str, target: str, connection: str, pod: str, due_ns: int) -> dict[str, Cell]:
        lane = {"pod": pod, "node": "n1", "source": source, "target": target, "connection": connection}
        return {**dict.fromkeys(CALLS_SCHEMA.names()), **lane, "scheduled_ns": due_ns}

    def _service(self, server: str, at_ns: int, version: str) -> dict[str, Cell]:
        return {"served_ns": at_ns, "served_pod": server, "served_version": version, "served_status": 200}


def event_of(kind: type[E], at_ns: int, subject: str, **detail: object) -> E:
    """Return an event of a kind; required fields of its detail that are not given are made up.

    Only fields on which no answer depends are made up: the observer, never the observation. ValidationError for a wrong
    type.
    """
    source, _, target = subject.partition("->")
    made_up = _NOTHING_SAID | {
        **dict.fromkeys(("first_ns", "last_ns", "answered_ns"), at_ns),
        "pod": subject,
        "source": source,
        "target": target,
    }
    (detailed,) = (field.type for field in msgspec.structs.fields(kind) if field.name == "detail")
    due = {field.name for field in msgspec.structs.fields(detailed) if field.required}
    said = {name: made_up[name] for name in due & made_up.keys()} | detail
    return msgspec.convert(
        {"kind": kind.__struct_config__.tag, "at_ns": at_ns, "subject": subject, "detail": said}, kind
    )


def answer(story: Story, claim: Claim) -> Finding:
    """Return what becomes of one claim about a story."""
    return judge(story.history(), [claim]).findings[0]
