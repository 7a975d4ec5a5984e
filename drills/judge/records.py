"""The records of a run besides its events: the table of calls, the facts of the run, windows, and defects."""

from typing import Annotated, Final

import msgspec
import polars as pl

from clusters.model import BYSTANDER, VICTIM, KnownIssue, Reference, SignalSpec

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

LAST_NS: Final = 2**62
"""The last instant that a record may name, in the year 2116: the difference of two instants fits 64 bits."""

Ns = Annotated[int, msgspec.Meta(ge=0, le=LAST_NS)]
"""An instant since 1970, in ns."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""How many there are of something."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
"""A duration of at most about thirty years."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""The same in whole milliseconds."""
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A whole number that JSON can carry again."""

NEW = "new"
REUSED = "reused"
OK = "ok"
IN_FLIGHT_BOUND = "in-flight-bound"
NO_ADDRESS = "dns"
"""The error that a caller records when the target's name does not resolve: the call left no byte."""
WRONG_SERVICE = "wrong-service"
"""The error of a call that another service than its target answered; the judge finds it, no caller records it."""

PHASES = ("baseline", "fault", "recovery")

PLACES = (VICTIM, BYSTANDER)
"""Names for the node that the fault breaks and for one that it must not break; RunFacts.placed has their real names."""

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
"""One row per request id: the caller's columns, then the server's. Columns of a witness that did not see the request
are null; one that saw it always names its pod and an instant.

A request that was served again has another row for each further time, without the caller's columns.
"""


NOT_PROMISED = "not-promised"
"""Kind of a reference to documents that do not promise what a claim asks."""


class StoredCheck(msgspec.Struct, frozen=True):
    """A check as data: the name of its constructor in drills.judge.checks, its edges, and its parameters."""

    name: str
    edges: tuple[tuple[str, str], ...] = ()
    params: dict[str, Whole | float | str | bool | tuple[str, ...] | None] = msgspec.field(default_factory=dict)


class StoredClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim as data, so that a stored run can be judged again without the drill's code.

    during: a phase (baseline, fault, recovery), run for all of them, or hold. within_s: the bound of `eventually`, else
    the time within which one of the alerts must fire. hold_s: how long `eventually` must be seen true. promise: what
    the mesh's documents say about it; None where they have no entry. needs_fault: the no-fault control does not ask it.
    """

    id: str
    quantifier: str
    check: StoredCheck
    during: str
    within_s: Seconds = 0.0
    hold_s: Seconds = 0.0
    alerts: tuple[str, ...] = ()
    must_hold: bool = False
    fails_on_control: bool = False
    promise: Reference | None = None
    needs_fault: bool = False


class Caller(msgspec.Struct, frozen=True, order=True):
    """One caller of the plan: it must leave rows without a hole, and report its end."""

    pod: str
    source: str
    target: str
    connection: str
    every_ms: float


class RunFacts(msgspec.Struct, frozen=True):
    """The part of run.json that judging needs; the rest of that file is for people.

    servers: pods that must leave a server.end. wire_nodes: nodes on which an observer must watch the wire.
    wire_interfaces: interfaces on which bytes count as on the wire; empty means all.
    unmeshed: services whose plaintext the wire observers must see: it proves that they can see.
    identities: service to the identity that it must show as a peer, "" where it has none.
    hold_s: how long the fault must be in force.
    lag_bound_ms: how late the 99th percentile of a caller may be. On two cores that run three nodes every caller is
        100 to 200 ms late when pods start (in each run under reports/), and no claim asks about less than a second.
    fresh_edges: (source, target) on which the mesh is configured to open a connection, with a handshake, for each call.
    drop_nodes: nodes whose drop log must have been read.
    placed: VICTIM and BYSTANDER to the name of the node; empty where no node was chosen.
    nameless_edges: (source, target) on which the mesh, as configured, shows the server no peer identity.
    encrypts: whether the mesh, as configured, encrypts the calls between its pods.
    known_issues: claims that the mesh is known to break; they decide no verdict, only whether it was expected.
    claims: the claims of the run, in the order of its report.
    fires_without_fault: signals that fired in the no-fault control of this drill: they can show nothing.
    no_fault_control: the run id of that control, "" if there was none when the run began.
    without_fault: whether this run is a no-fault control: nothing was broken on purpose, and every claim must hold.
    lost_pods: pods that the fault itself ends; their records break off, and may continue after a restart.
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
    hold_s: Seconds = 0.0
    lag_bound_ms: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 250.0
    fresh_edges: tuple[tuple[str, str], ...] = ()
    drop_nodes: tuple[str, ...] = ()
    placed: dict[str, str] = msgspec.field(default_factory=dict)
    nameless_edges: tuple[tuple[str, str], ...] = ()
    encrypts: bool = True
    lost_pods: tuple[str, ...] = msgspec.field(default=(), name="casualties")
    known_issues: tuple[KnownIssue, ...] = ()
    claims: tuple[StoredClaim, ...] = ()
    fires_without_fault: tuple[str, ...] = ()
    no_fault_control: str = ""
    without_fault: bool = False


class Window(msgspec.Struct, frozen=True):
    """A named stretch of the run, start included, end excluded."""

    name: str
    start_ns: Ns
    end_ns: Ns

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    def holds(self, at_ns: int) -> bool:
        """Whether the instant lies in the window."""
        return self.start_ns <= at_ns < self.end_ns

    def since(self, start_ns: int) -> "Window":
        """Return the part of this window from an instant on."""
        return Window(self.name, start_ns, self.end_ns)


class Defect(msgspec.Struct, frozen=True):
    """A reason to doubt that the history is complete.

    pod, from_ns, until_ns: whose record it is about, and which part of it; "" and None where it is about all of it.
    excuses: whether the defect could also explain failed calls, so that a broken availability claim proves nothing
    about the mesh.
    """

    kind: str
    subject: str
    message: str
    excuses: bool = True
    pod: str = ""
    from_ns: Whole | None = None
    until_ns: Whole | None = None
