"""Who could call and what could serve, while calls were refused: a refusal proves a policy only where both could.

Each phase that the window covers is examined alone, a long one minute by minute: a caller or a server that worked in
the baseline may be gone in the fault.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, Lane, on_edges
from drills.judge.history import History
from drills.judge.measure import Edge
from drills.judge.records import Window

ANSWERS = frozenset({"connect-reset", "reset", "closed", "protocol"})
"""Errors that only something beyond the caller can cause, as can any "http-..." status."""

SPOKE = pl.col("error").is_in(sorted(ANSWERS)) | pl.col("error").str.starts_with("http-")

SHORTEST_S = 2.0
"""A phase of which the window covers less is not examined: too few calls were due in it."""


LONGEST_S = 60.0
"""A sign of life in a phase counts for this long: longer than any drill closes a caller's only open door."""


@dataclass(frozen=True)
class _Part:
    """What one phase showed. serving: (target, pod) that served another caller. speaking: pods that had a success.

    answered: (pod, target, connection) of refused calls whose refusal came from beyond the caller. ended: pods that the
    fault may have ended.
    """

    name: str
    serving: frozenset[tuple[str, str]]
    speaking: frozenset[str]
    answered: frozenset[tuple[str, str, str]]
    ended: frozenset[str]


class Liveness:
    """Whether the callers of a lane could speak, and whether its target could serve, in each phase of a window."""

    def __init__(self, history: History, window: Window, edges: tuple[Edge, ...]) -> None:
        """Read the window; edges: the refused ones, whose calls prove no server alive."""
        self._history = history
        self._parts = tuple(_read(history, window, edges))

    def doubts(self, lane: Lane) -> Iterator[str]:
        """Yield why a refusal of this lane may be no refusal: a server or a caller that showed no sign of life."""
        servers = self._servers_of(lane.target)
        callers = self._callers_of(lane)
        for part in self._parts:
            serving = {pod for target, pod in part.serving if target == lane.target}
            if not serving:
                yield f"{lane.target} served no other caller in the {part.name}: it may have been down, not protected"
            alive = {self._node_of(pod) for pod in serving}
            for pod in sorted(servers - part.ended):
                if self._node_of(pod) not in alive:
                    yield f"{pod} served no other caller in the {part.name}: it may have been down, not protected"
            speaking = part.speaking | {
                pod for pod, target, kind in part.answered if (target, kind) == (lane.target, lane.connection)
            }
            for pod in sorted(callers - speaking - part.ended):
                yield f"{pod} got no answer from anywhere in the {part.name}: it may have been cut off"

    def _servers_of(self, target: str) -> set[str]:
        services = self._history.services
        return {pod for pod in self._history.facts.servers if services.get(pod) == target}

    def _node_of(self, pod: str) -> str:
        """Return the node of a pod; "" where the record does not name it, so that such pods stand for each other."""
        return self._history.nodes.get(pod, "")

    def _callers_of(self, lane: Lane) -> set[str]:
        if lane.is_new:
            return set()
        planned = self._history.facts.callers
        return {c.pod for c in planned if (c.source, c.target, c.connection) == (*lane.edge, lane.connection)}


def _read(history: History, window: Window, edges: tuple[Edge, ...]) -> Iterator[_Part]:
    lost = history.lost_pods
    sources = sorted({source for source, _ in edges})
    for part in phases_of(history, window):
        calls = history.calls_in(part)
        serving, speaking, answered = pl.collect_all(
            [
                calls.filter(~on_edges(edges), pl.col("served_ns").is_not_null())
                .select("target", "served_pod")
                .unique(),
                calls.filter(pl.col("source").is_in(sources), SUCCEEDED).select("pod").unique(),
                calls.filter(on_edges(edges), ~SUCCEEDED, SPOKE).select("pod", "target", "connection").unique(),
            ],
            engine="streaming",
        )
        ended = lost.pods if lost and part.end_ns > lost.injected_ns else frozenset[str]()
        yield _Part(
            part.name,
            frozenset(serving.iter_rows()),
            frozenset(speaking["pod"]),
            frozenset(answered.iter_rows()),
            ended,
        )


def phases_of(history: History, window: Window) -> tuple[Window, ...]:
    """Return the parts of a window that lie in one phase each, without those shorter than SHORTEST_S, in pieces.

    The window itself when it covers no phase for that long.
    """
    phases = (phase for name, phase in history.windows().items() if name != "run")
    cut = (
        Window(phase.name, max(phase.start_ns, window.start_ns), min(phase.end_ns, window.end_ns)) for phase in phases
    )
    return tuple(piece for part in cut if part.length_s >= SHORTEST_S for piece in _pieces(part)) or (window,)


def _pieces(part: Window) -> Iterator[Window]:
    """Yield a part in equal pieces of at most LONGEST_S."""
    count, length_ns = math.ceil(part.length_s / LONGEST_S), part.end_ns - part.start_ns
    edges_ns = [part.start_ns + length_ns * number // count for number in range(count + 1)]
    yield from (Window(part.name, *edges) for edges in pairwise(edges_ns))
