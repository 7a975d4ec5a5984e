"""What a check is, and what it returns: a measurement with its numbers, not yet a verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from drills.judge.history import History
from drills.judge.records import Count, Whole, Window

Number = Whole | float | str | bool | None
Parameter = Number | tuple[str, ...]
"""A parameter of a check: a number, a word, or a list of names."""
Edge = tuple[str, str]

MAX_EXAMPLES = 5


class Truth(StrEnum):
    """What the history says about a proposition. UNKNOWN: the history does not decide it."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


class Row(msgspec.Struct, frozen=True):
    """The numbers of one lane (edge and kind of connection) or other subject, and its own truth."""

    subject: str
    connection: str
    truth: Truth
    numbers: dict[str, Number]
    reason: str = ""


class Example(msgspec.Struct, frozen=True):
    """One call or event as evidence. id: of the call, or the name of the pod, policy or interface."""

    id: str
    at_ns: Whole
    outcome: str
    error: str = ""


class Harm(msgspec.Struct, frozen=True):
    """One episode of harm, which an alert must cover by itself.

    subject: the caller, new pod or policy change that was harmed. nodes: where its cause can lie; () for anywhere.
    """

    subject: str
    start_ns: int
    end_ns: int
    nodes: tuple[str, ...] = ()


class Resolution(msgspec.Struct, frozen=True):
    """The resolving power of a finding's weakest row.

    An outage shorter than shortest_outage_ms fits between two calls and could have been missed.
    error_rate_upper_95 is the 95 % upper bound on the true error rate, 3/n when no call failed.
    """

    calls: Count
    calls_per_s: float
    largest_gap_ms: float
    shortest_outage_ms: float
    error_rate_upper_95: float


class Measurement(msgspec.Struct, frozen=True):
    """The result of a check over one window.

    at_ns: the first instant of harm, when there was one. harms: its episodes; () for one that begins then. since_ns:
    when what makes it true was first seen; None where that is the window's start. is_proof: no gap in the record could
    explain the harm.
    """

    truth: Truth
    reason: str = ""
    rows: tuple[Row, ...] = ()
    examples: tuple[Example, ...] = ()
    resolution: Resolution | None = None
    at_ns: int | None = None
    harms: tuple[Harm, ...] = ()
    since_ns: int | None = None
    is_proof: bool = False


Evaluate = Callable[[History, Window], Measurement]


class Need(StrEnum):
    """An observer that must run beside the lab; without it the check is UNKNOWN."""

    WIRE = "wire"
    NEW_PODS = "new-pods"
    POLICY_CHANGES = "policy-changes"
    OUTSIDERS = "outsiders"  # callers from outside the mesh, to each called service
    SIGNALS = "signals"


@dataclass(frozen=True)
class Check:
    """A named pure function over a window of a history.

    name: of its constructor in drills.judge.checks, which rebuilds it from edges and params. says: the proposition in
    words. needs: observers that the run must have. signals: names of the signals that it reads.
    """

    name: str
    says: str
    evaluate: Evaluate
    params: Mapping[str, Parameter] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    needs: frozenset[Need] = frozenset()
    signals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Invariant(Check):
    """A proposition that can hold at every moment of a window: for `always` and `eventually`."""


@dataclass(frozen=True)
class Occurrence(Check):
    """A proposition that something happened at least once: for `never`, `sometimes` and `reached`."""
