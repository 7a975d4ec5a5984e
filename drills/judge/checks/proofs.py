"""What the calls of a run prove about a pod: it is in the mesh, it is outside of it, or nothing reaches it.

A successful call proves that both of its pods are in the mesh when its server saw the mesh identity of its source.
Where the mesh shows servers no identity, the call proves it when its edge was not readable on the wire (if the mesh
encrypts), and when its server refused every caller from outside the mesh in the same window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED
from drills.judge.checks.tally import all_true
from drills.judge.checks.wire import plaintext_tried
from drills.judge.history import History
from drills.judge.measure import Edge, Truth
from drills.judge.peers import shows_source
from drills.judge.records import Window

OUTSIDER_CALLS = 3
"""So many calls from outside the mesh must a server have refused, to count as one that refuses them."""

_SERVER = pl.coalesce("served_pod", "server_pod")


class Conclusion(StrEnum):
    """What the calls of a pod prove."""

    SHOWN = "in the mesh, shown by a call"
    UNSHOWN = "no call shows it in the mesh"
    DARK = "no call succeeded"
    FEW = "too few calls"
    BLIND = "not found out"


@dataclass(frozen=True)
class Proof:
    """What the calls of one pod prove. ok: its calls that succeeded, in either role. shown: those that prove it."""

    pod: str
    conclusion: Conclusion
    ok: int
    shown: int
    reason: str = ""

    @property
    def truth(self) -> Truth:
        """Whether the pod is in the mesh."""
        return _TRUTH[self.conclusion]

    def unless_cut_off(self) -> "Proof":
        """Return the same proof; not found out for a dark pod, which a fault may have cut off."""
        if self.conclusion is not Conclusion.DARK:
            return self
        return replace(self, conclusion=Conclusion.BLIND, reason=f"{self.reason}: the fault may have cut it off")


_TRUTH = {
    Conclusion.SHOWN: Truth.TRUE,
    Conclusion.UNSHOWN: Truth.FALSE,
    Conclusion.DARK: Truth.FALSE,
    Conclusion.FEW: Truth.UNKNOWN,
    Conclusion.BLIND: Truth.UNKNOWN,
}


class _Group(msgspec.Struct, frozen=True):
    """Successful calls between two pods on one edge. fits: whether the servers saw the identity of their source."""

    source: str
    target: str
    pod: str | None
    server: str | None
    fits: bool
    ok: int

    @property
    def edge(self) -> Edge:
        return self.source, self.target


class _Refusals(msgspec.Struct, frozen=True):
    """What happened in a window to calls from outside the mesh, on one edge and by one server (None: by none)."""

    source: str
    target: str
    server: str | None
    made: int
    served: int


@dataclass(frozen=True)
class Evidence:
    """The calls of one window, ready to be asked about single pods.

    wires: whether an edge was readable; edges that are not in it are not asked.
    """

    groups: tuple[_Group, ...]
    outsiders: tuple[_Refusals, ...]
    has_outsider_called: bool
    nameless: frozenset[Edge]
    wires: dict[Edge, Truth]

    def proof(self, pod: str, *, asked: int, enough: int) -> Proof:
        """Return what the calls of a pod prove. asked: its calls that may succeed. enough: of them prove it dark."""
        own = [group for group in self.groups if pod in (group.pod, group.server)]
        ok = sum(group.ok for group in own)
        if not ok:
            conclusion = Conclusion.DARK if asked >= enough else Conclusion.FEW
            return Proof(pod, conclusion, 0, 0, f"none of {asked} calls succeeded")
        ruled = [(group, *self._rule(group)) for group in own]
        shown = sum(group.ok for group, truth, _ in ruled if truth is Truth.TRUE)
        if shown:
            return Proof(pod, Conclusion.SHOWN, ok, shown)
        conclusion = Conclusion.BLIND if any(truth is Truth.UNKNOWN for _, truth, _ in ruled) else Conclusion.UNSHOWN
        wanted = Truth.UNKNOWN if conclusion is Conclusion.BLIND else Truth.FALSE
        reason = next(reason for _, truth, reason in ruled if truth is wanted)
        return Proof(pod, conclusion, ok, 0, f"{ok} calls succeeded and none shows it: {reason}")

    def _rule(self, group: _Group) -> tuple[Truth, str]:
        """Return whether these calls show both of their pods in the mesh, and why not."""
        name = f"{group.source}->{group.target}"
        if group.edge not in self.nameless:
            return (
                (Truth.TRUE, "")
                if group.fits
                else (Truth.FALSE, f"{name} did not show the server the identity of {group.source}")
            )
        readable = self.wires.get(group.edge, Truth.FALSE)
        if readable is Truth.TRUE:
            return Truth.FALSE, f"{name} was readable on the wire"
        refused, reason = self._refuses(group)
        if refused is Truth.TRUE and readable is Truth.UNKNOWN:
            return Truth.UNKNOWN, f"it is not known whether {name} was readable on the wire"
        return refused, reason

    def _refuses(self, group: _Group) -> tuple[Truth, str]:
        """Return whether the server of these calls refused every caller from outside the mesh."""
        calls = [it for it in self.outsiders if it.target == group.target]
        served = sum(it.served for it in calls if it.server == group.server)
        made = sum(it.made for it in calls)
        if served:
            return Truth.FALSE, f"{group.server} served {served} calls from outside the mesh"
        if made < OUTSIDER_CALLS or not self.has_outsider_called:
            return Truth.UNKNOWN, f"{made} calls from outside the mesh to {group.target}, needs {OUTSIDER_CALLS}"
        return Truth.TRUE, ""


def evidence(history: History, window: Window, *, edges: Iterable[Edge] | None = None, wire: bool = True) -> Evidence:
    """Return the calls of a window as evidence.

    edges: only calls on these, and those from outside the mesh. wire: whether the observers of the wire are asked.
    """
    facts = history.facts
    is_outsider = pl.col("source").is_in(facts.unmeshed)
    calls = history.calls_in(window)
    if edges is not None:
        wanted = [f"{source}->{target}" for source, target in edges]
        calls = calls.filter(is_outsider | pl.concat_str("source", pl.lit("->"), "target").is_in(wanted))
    both_saw = SUCCEEDED & pl.col("served_ns").is_not_null()
    fits = shows_source(facts.identities).fill_null(value=False)
    served = SUCCEEDED | pl.col("served_ns").is_not_null()
    grouped = (
        calls.filter(both_saw, ~is_outsider)
        .group_by("source", "target", "pod", server=_SERVER, fits=fits)
        .agg(ok=pl.len())
        .sort("source", "target", "pod", "server", "fits")
    )
    refusals = (
        calls.filter(is_outsider)
        .group_by("source", "target", server=pl.when(served).then(_SERVER))
        .agg(made=pl.col("scheduled_ns").count(), served=served.sum())
        .sort("source", "target", "server")
    )
    found, seen = pl.collect_all([grouped, refusals], engine="streaming")
    groups = msgspec.convert(found.to_dicts(), tuple[_Group, ...])
    outsiders = msgspec.convert(seen.to_dicts(), tuple[_Refusals, ...])
    nameless = frozenset(
        group.edge
        for group in groups
        if group.edge in facts.nameless_edges or not facts.identities.get(group.source, "")
    )
    asked = sorted(nameless) if wire and facts.encrypts else []
    return Evidence(
        groups=groups,
        outsiders=outsiders,
        has_outsider_called=any(it.served for it in outsiders if it.target in facts.unmeshed),
        nameless=nameless,
        wires={edge: plaintext_tried(edge, min_samples=1).evaluate(history, window).truth for edge in asked},
    )


def all_shown(proofs: Sequence[Proof]) -> Truth:
    """Return whether every one of these pods is in the mesh."""
    return all_true([it.truth for it in proofs])
