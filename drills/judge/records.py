"""What a run leaves besides its events: the table of calls, the facts of the run, windows, and defects."""

import msgspec
import polars as pl

from clusters.model import BYSTANDER, VICTIM, KnownIssue, Reference, SignalSpec

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

NEW = "new"
REUSED = "reused"
OK = "ok"
IN_FLIGHT_BOUND = "in-flight-bound"

PLACES = (VICTIM, BYSTANDER)
"""Names for the node that the fault breaks and for one that it must not; the facts of a run say which they were."""

CALLS_SCHEMA = pl.Schema(
    {
        "id": pl.String(),
        "seq": pl.Int64(),
        "pod": pl.String(),
        "node": pl.String(),
        "source": pl.String(),
        "target": pl.String(),
        "connection": pl.String(),
        "scheduled_ns": pl.Int64(),
        "started_ns": pl.Int64(),
        "ended_ns": pl.Int64(),
        "outcome": pl.String(),
        "status": pl.Int32(),
        "error": pl.String(),
        "reused": pl.Boolean(),
        "server_pod": pl.String(),
        "server_version": pl.String(),
        "served_ns": pl.Int64(),
        "served_pod": pl.String(),
        "served_version": pl.String(),
        "served_status": pl.Int32(),
        "peer": pl.String(),
    }
)
"""One row per request id: the caller's columns, then the server's. A witness that saw nothing leaves nulls; one that
saw the request always names its pod and an instant.

A request that was served again has one more row for each further serving, without the caller's columns.
"""


NOT_PROMISED = "not-promised"
"""Kind of a source in which the mesh's own documents do not promise what a claim asks."""


class StoredCheck(msgspec.Struct, frozen=True):
    """A check as data: the name of its constructor in drills.judge.checks, its edges, and its parameters."""

    name: str
    edges: tuple[tuple[str, str], ...] = ()
    params: dict[str, int | float | str | bool | tuple[str, ...] | None] = msgspec.field(default_factory=dict)


class StoredClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim as data: what a run was asked, so that it can be answered again without the drill's code.

    during: a phase (baseline, fault, recovery), run for all of them, or hold. within_s: the bound of `eventually`, else
    the time in which one of the alerts must fire. hold_s: how long `eventually` must be seen true. promise: what the
    mesh's documents said of it; None where they were not asked.
    """

    id: str
    quantifier: str
    check: StoredCheck
    during: str
    within_s: float = 0.0
    hold_s: float = 0.0
    alerts: tuple[str, ...] = ()
    must_hold: bool = False
    fails_on_control: bool = False
    promise: Reference | None = None


class Caller(msgspec.Struct, frozen=True, order=True):
    """One caller that the plan started: it must leave rows without a hole and an end."""

    pod: str
    source: str
    target: str
    connection: str
    every_ms: float


class RunFacts(msgspec.Struct, frozen=True):
    """The part of run.json that judging needs; all else in that file is for people.

    servers: pods that must leave a server.end. wire_nodes: nodes that must watch the wire.
    wire_interfaces: interfaces on which bytes count as on the wire; empty means every one.
    unmeshed: services whose plaintext the wire observers must see, or they have not proven that they see.
    identities: service to the identity that its peer must show, "" where there is none to show.
    hold_s: how long the fault had to be in force.
    lag_bound_ms: how late the 99th percentile of a caller may be. Two cores that carry three nodes make every caller
        100 to 200 ms late when pods start (in each run under reports/), and no claim asks about less than a second.
    fresh_edges: (source, target) where the mesh is told to make a connection, and so a handshake, for each call.
    drop_nodes: nodes whose own record of dropped traffic must have been read.
    placed: which node was the victim and which the bystander, by those names; empty where no node was chosen.
    nameless_edges: (source, target) where the mesh, as configured, shows the server no identity to be judged by.
    known_issues: claims that the mesh is known to break; no verdict depends on them, only whether one was expected.
    claims: what the run is asked, in the order of its report.
    lost_pods: pods that the fault itself ends; their records break off, and may go on after a new start.
    """

    drill: str
    mesh: str
    run_id: str
    is_control: bool = False
    callers: tuple[Caller, ...] = ()
    servers: tuple[str, ...] = ()
    wire_nodes: tuple[str, ...] = ()
    wire_interfaces: tuple[str, ...] = ()
    unmeshed: tuple[str, ...] = ("outsider",)
    identities: dict[str, str] = msgspec.field(default_factory=dict)
    signals: dict[str, SignalSpec] = msgspec.field(default_factory=dict)
    hold_s: float = 0.0
    lag_bound_ms: float = 250.0
    fresh_edges: tuple[tuple[str, str], ...] = ()
    drop_nodes: tuple[str, ...] = ()
    placed: dict[str, str] = msgspec.field(default_factory=dict)
    nameless_edges: tuple[tuple[str, str], ...] = ()
    lost_pods: tuple[str, ...] = msgspec.field(default=(), name="casualties")
    known_issues: tuple[KnownIssue, ...] = ()
    claims: tuple[StoredClaim, ...] = ()


class Window(msgspec.Struct, frozen=True):
    """A named stretch of the run, start included, end excluded."""

    name: str
    start_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    def holds(self, at_ns: int) -> bool:
        """Whether the instant lies inside."""
        return self.start_ns <= at_ns < self.end_ns

    def since(self, start_ns: int) -> "Window":
        """Return the rest of this window from an instant on."""
        return Window(self.name, start_ns, self.end_ns)


class Defect(msgspec.Struct, frozen=True):
    """A reason not to believe that the history is whole.

    excuses: whether the defect could also explain calls that failed, so that even a broken availability claim proves
    nothing about the mesh.
    """

    kind: str
    subject: str
    message: str
    excuses: bool = True
