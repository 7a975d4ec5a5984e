"""Plaintext on the wire: every call carries a canary, and an observer on each node looks for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import polars as pl

from drills.judge.checks.lanes import SUCCEEDED, Lane, lanes
from drills.judge.checks.tally import all_true, any_true, deciding_reason, need_edges, resolution
from drills.judge.events import ProgramStarted, WireEnd, WireGap, WireHit, WirePair, WireReady
from drills.judge.history import History
from drills.judge.lost_pods import LostPods
from drills.judge.measure import MAX_EXAMPLES, Edge, Example, Measurement, Need, Number, Occurrence, Row, Truth
from drills.judge.records import NO_ADDRESS, NS_PER_S, Window

_Readable = WireHit | WirePair

REPORT_EVERY_NS = 15 * NS_PER_S
"""An observer that keeps finding an edge's canary reports it at least this often."""

SIGHT_NS = 20 * NS_PER_S
"""For longer than this no observer may miss the plaintext that passes its node: REPORT_EVERY_NS, and some for a busy
machine (16 s was seen)."""

PASSING_FEW = 5
"""So many calls of a service outside the mesh prove that there was plaintext to see on their node."""

CUT = "?"
"""What an observer records for a name that is cut off by the end of a segment."""

_NEEDS = frozenset({Need.WIRE})


def plaintext(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """The canary of a call on one of the edges was readable on the wire.

    FALSE only when every node's observer watched without loss, the observers saw the plaintext of a service outside the
    mesh in the same run, and calls of the edge succeeded, so that there was something to see. The observer of a node
    from which such a service calls must see it at least every 20 s.

    An observer that the fault ended together with its node must watch again before the next call is made from there.
    Calls to that node meanwhile are seen on the node of their caller.
    """
    need_edges(edges)
    params = {"min_samples": min_samples}
    evaluate = partial(_plaintext, edges, min_samples, _SERVED)
    return Occurrence("plaintext", "a call is readable on the wire", evaluate, params, edges, needs=_NEEDS)


def plaintext_tried(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """The canary of a call on one of the edges was readable on the wire, whether or not the call was answered.

    For targets that may rightly refuse: `plaintext` needs calls that succeeded, this check needs calls whose target
    resolved. A caller that cannot send a byte exposes none.
    """
    need_edges(edges)
    params = {"min_samples": min_samples}
    evaluate = partial(_plaintext, edges, min_samples, _TRIED)
    return Occurrence(
        "plaintext_tried", "a call is readable on the wire, answered or not", evaluate, params, edges, needs=_NEEDS
    )


def addressed(*edges: Edge, min_samples: int = 20) -> Occurrence:
    """Calls on each edge resolved their target to an address, whatever their outcome."""
    need_edges(edges)
    says = f"the target of {min_samples} calls resolves to an address"
    return Occurrence(
        "addressed",
        says,
        partial(_addressed, edges, min_samples),
        {"min_samples": min_samples},
        edges,
        needs=frozenset({Need.NEW_PODS}),
    )


def _addressed(edges: tuple[Edge, ...], min_samples: int, history: History, window: Window) -> Measurement:
    found = lanes(history, window, edges)
    rows = tuple(_addressed_row(edge, _TRIED.count(found, edge), min_samples) for edge in edges)
    truth = all_true([row.truth for row in rows])
    return Measurement(truth, deciding_reason(rows, truth), rows)


def _addressed_row(edge: Edge, count: int, min_samples: int) -> Row:
    reason = _TRIED.lack(count, min_samples)
    return Row(f"{edge[0]}->{edge[1]}", "", Truth.FALSE if reason else Truth.TRUE, {_TRIED.key: count}, reason)


@dataclass(frozen=True)
class _Need:
    """The calls of an edge that could have been seen on the wire."""

    key: str
    did: str
    of: Callable[[Lane], int]

    def count(self, found: Sequence[Lane], edge: Edge) -> int:
        """Return their number on one edge, over all kinds of connections."""
        return sum(self.of(lane) for lane in found if lane.edge == edge)

    def lack(self, count: int, min_samples: int) -> str:
        """Return that there are too few of them, "" when there are enough."""
        return "" if count >= min_samples else f"{count} calls {self.did}, needs {min_samples}"


_SERVED = _Need("ok", "succeeded", lambda lane: lane.ok)
_TRIED = _Need("tried", "resolved their target", lambda lane: lane.made - dict(lane.errors).get(NO_ADDRESS, 0))


@dataclass(frozen=True)
class _Hits:
    """What was readable of one edge: records in the window, and packets that may belong to the edge and the window."""

    sure: tuple[Example, ...]
    possible: int


def _plaintext(edges: tuple[Edge, ...], min_samples: int, need: _Need, history: History, window: Window) -> Measurement:
    found = lanes(history, window, edges)
    blind = next(_blindness(history, window), "")
    hits = [_hits(history, window, edge) for edge in edges]
    rows = tuple(
        _row(edge, seen, need, need.count(found, edge), min_samples, blind)
        for edge, seen in zip(edges, hits, strict=True)
    )
    truth = any_true([row.truth for row in rows])
    examples = sorted((example for seen in hits for example in seen.sure), key=lambda e: (e.at_ns, e.id))
    return Measurement(
        truth=truth,
        reason=deciding_reason(rows, truth),
        rows=rows,
        examples=tuple(examples[:MAX_EXAMPLES]),
        resolution=resolution(found, window),
        at_ns=examples[0].at_ns if examples else None,
        is_proof=bool(examples),
    )


def _row(edge: Edge, hits: _Hits, need: _Need, counted: int, min_samples: int, blind: str) -> Row:
    numbers: dict[str, Number] = {need.key: counted, "readable": len(hits.sure), "possibly_readable": hits.possible}
    if hits.sure:
        truth, reason = Truth.TRUE, f"{len(hits.sure)} records of calls readable on the wire"
    elif hits.possible:
        truth, reason = Truth.UNKNOWN, f"{hits.possible} readable packets that may belong to this edge and window"
    elif blind:
        truth, reason = Truth.UNKNOWN, blind
    elif lack := need.lack(counted, min_samples):
        truth, reason = Truth.UNKNOWN, f"{lack}: there was nothing to see"
    else:
        truth, reason = Truth.FALSE, ""
    return Row(f"{edge[0]}->{edge[1]}", "", truth, numbers, reason)


def _hits(history: History, window: Window, edge: Edge) -> _Hits:
    sure: list[Example] = []
    possible = 0
    for event in _on_the_wire(history):
        seen = (event.detail.source, event.detail.target)
        if not all(map(_may_be, seen, edge)):
            continue
        is_exact = seen == edge
        inside = next((at_ns for at_ns in event.instants if window.holds(at_ns)), None)
        if inside is not None and is_exact:
            sure.append(_example(event, inside))
        elif inside is not None or _may_lie_in(window, event) or _may_go_on(history, window, event):
            possible += 1
    return _Hits(tuple(sure), possible)


def _on_the_wire(history: History) -> Iterator[_Readable]:
    """Yield hits and pairs on interfaces that count as the wire."""
    counted = history.facts.wire_interfaces
    readable: tuple[_Readable, ...] = history.of_kind(WireHit, WirePair)
    for event in readable:
        if not counted or event.detail.interface in counted:
            yield event


def _may_be(seen: str, name: str) -> bool:
    return seen in {name, CUT}


def _may_lie_in(window: Window, event: _Readable) -> bool:
    """Whether a pair's packets may lie inside although neither its first nor its last does."""
    return min(event.instants) < window.start_ns <= window.end_ns <= max(event.instants)


def _may_go_on(history: History, window: Window, event: _Readable) -> bool:
    """Whether more hits may have followed that were not reported, because the fault ended the observer first."""
    lost = history.lost_pods
    if lost is None or isinstance(event, WirePair) or event.at_ns >= lost.first_boots.get(event.detail.node, 0):
        return False
    return event.at_ns < window.start_ns <= event.at_ns + REPORT_EVERY_NS


def _example(event: _Readable, at_ns: int) -> Example:
    call = event.detail.id if isinstance(event, WireHit) else f"{event.detail.source}->{event.detail.target}"
    where = f"node {event.detail.node} interface {event.detail.interface}"
    return Example(call, at_ns, "readable on the wire", where)


def _blindness(history: History, window: Window) -> Iterator[str]:
    """Yield every reason why a readable call would not have been seen."""
    if not history.facts.wire_nodes:
        yield "the facts of the run name no node that watches the wire"
    for node in sorted(set(history.nodes.values()) - set(history.facts.wire_nodes)):
        yield f"no observer watches node {node}, which has pods of the lab"
    for node in history.facts.wire_nodes:
        yield from _blindness_of_node(history, window, node)
        yield from _overlooked(history, window, node)
    shown = [
        at_ns
        for event in _on_the_wire(history)
        if event.detail.source in history.facts.unmeshed
        for at_ns in event.instants
    ]
    if max(shown, default=0) < window.start_ns:
        unmeshed = ", ".join(history.facts.unmeshed)
        yield f"the observers did not prove that they can see: no plaintext of {unmeshed} from the window's start on"


def _overlooked(history: History, window: Window, node: str) -> Iterator[str]:
    """Yield each stretch in which the observer of a node saw none of the plaintext that was sent from there.

    What was sent within REPORT_EVERY_NS of the last sighting need not have been reported yet when the fault ended both.
    """
    seen_ns = sorted(
        at_ns
        for event in _on_the_wire(history)
        if event.detail.node == node and event.detail.source in history.facts.unmeshed
        for at_ns in event.instants
    )
    run = history.windows().get("run", window)
    for from_ns, until_ns in pairwise([run.start_ns, *seen_ns, max(run.end_ns, *seen_ns, 0)]):
        start_ns, end_ns = max(from_ns + REPORT_EVERY_NS, window.start_ns), min(until_ns, window.end_ns)
        if until_ns - from_ns <= SIGHT_NS or start_ns >= end_ns:
            continue
        passed = history.due_in(Window(window.name, start_ns, end_ns)).filter(
            pl.col("node") == node, pl.col("source").is_in(history.facts.unmeshed), SUCCEEDED
        )
        count = int(passed.select(pl.len()).collect(engine="streaming").item())
        if count >= PASSING_FEW:
            length_s = (until_ns - from_ns) / NS_PER_S
            yield f"the observer of node {node} saw none of {count} readable calls for {length_s:.1f} s"


def _blindness_of_node(history: History, window: Window, node: str) -> Iterator[str]:
    ready = [event for event in history.of_kind(WireReady) if event.detail.node == node]
    ends = [event for event in history.of_kind(WireEnd) if event.detail.node == node]
    if not any(event.at_ns <= window.start_ns for event in ready):
        yield f"the observer of node {node} was not ready when the window began"
    if not any(event.at_ns >= window.end_ns for event in ends):
        yield f"the observer of node {node} did not report its end after the window"
    for event in ends:
        if event.detail.dropped:
            yield f"the observer of node {node} lost {event.detail.dropped} packets"
        if not event.detail.packets:
            yield f"the observer of node {node} saw no packets"
    for gap in history.of_kind(WireGap):
        if gap.detail.node == node and gap.at_ns < window.end_ns:
            yield f"the observer of node {node} was blind: {gap.detail.reason}"
    if history.lost_pods is not None and window.end_ns > history.lost_pods.injected_ns:
        yield from _blindness_of_lost_node(history, history.lost_pods, node, [event.at_ns for event in ready])


def _blindness_of_lost_node(history: History, lost: LostPods, node: str, ready_ns: list[int]) -> Iterator[str]:
    """Yield why the observer that the fault ended with its node may have missed what pods of that node sent."""
    booted_ns = lost.first_boots.get(node)
    if booted_ns is None:
        return  # another node, or one on which no pod restarted: then its observer must still report its end
    observers = lost.pods - set(history.facts.servers)
    boots = [it for it in history.of_kind(ProgramStarted) if lost.explains(it) and it.detail.node == node]
    starts = sum(boot.detail.pod in observers for boot in boots)
    if starts != 1:
        yield f"the observer of node {node} started {starts} times after the fault ended its node: it has gaps"
    again_ns = min((at_ns for at_ns in ready_ns if at_ns >= booted_ns), default=None)
    if again_ns is None:
        yield f"the observer of node {node} did not watch again after the fault ended its node"
    elif unseen := _calls_from(history, node, booted_ns, again_ns):
        yield f"{unseen} calls were made from node {node} before its observer watched again"


def _calls_from(history: History, node: str, start_ns: int, end_ns: int) -> int:
    during = (pl.col("node") == node) & pl.col("started_ns").is_between(start_ns, end_ns)
    return int(history.calls.filter(during).select(pl.len()).collect().item())
