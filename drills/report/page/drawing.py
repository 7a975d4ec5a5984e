"""The timeline of a run for the template: rows of bins, annotations, axes. Positions are in percent of the width."""

from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile

import msgspec

from drills.judge.events import FaultInjected
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.judge.verdict import Verdict
from drills.report.formats import number
from drills.report.page import bins, svg
from drills.report.page.annotations import Annotation, Attempts, Band, annotations, attempts, bands
from drills.report.page.bins import BE_REFUSED, SUCCEED, Bin, Lane, Latency, Span

_GROUPS = (
    (SUCCEED, "Calls that must succeed"),
    (BE_REFUSED, "Calls that must be refused"),
    ("", "Calls without a required outcome"),
)
_WORDS = {SUCCEED: ("all ok", "failed"), BE_REFUSED: ("all refused", "served"), "": ("all ok", "failed")}


class Row(msgspec.Struct, frozen=True):
    """One row of the timeline: its label, a summary of the calls, and its bars."""

    label: str
    detail: str
    summary: str
    is_judged: bool  # whether a claim requires an outcome of each call
    as_claimed: str
    alarm: str
    doubt: str
    slowest: str  # latency of the slowest call that succeeded, on the scale of the curve above


class Group(msgspec.Struct, frozen=True):
    """Rows with the same required outcome."""

    title: str
    rows: tuple[Row, ...]


class Tick(msgspec.Struct, frozen=True):
    """One label of an axis, in percent from the left or from the top."""

    percent: float
    label: str


class Curve(msgspec.Struct, frozen=True):
    """p50 and p99 of latency, on a scale of decades."""

    p50: str
    p99: str
    ticks: tuple[Tick, ...]
    summary: str
    scale: tuple[int, int]  # the powers of ten at its lower and upper end


class Drawing(msgspec.Struct, frozen=True):
    """All that is drawn; the unit of width of the paths is one bin."""

    width: int
    bin_s: float
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    annotations: tuple[Annotation, ...]
    offsets_s: tuple[float, ...]  # of the annotations
    lost: str  # calls per bin that had to succeed and did not; "" if none
    lost_most: int
    success: str
    success_summary: str
    latency: Curve
    attempts: tuple[Attempts, ...]
    groups: tuple[Group, ...]
    nodes: tuple[Row, ...]

    @property
    def annotation_lines(self) -> str:
        """Return a vertical line at each annotation."""
        places = dict.fromkeys(round(it.percent * self.width / 100, 2) for it in self.annotations)
        return "".join(f"M{place:g} 0V{svg.HEIGHT}" for place in places)

    @property
    def fault(self) -> Band | None:
        """Return the window in which the fault was active."""
        return next((band for band in self.bands if band.name == "fault"), None)

    @property
    def annotation_rows(self) -> int:
        """How many rows the numbers of the annotations need."""
        return max((it.row for it in self.annotations), default=-1) + 1


def drawing(history: History, verdict: Verdict) -> Drawing | None:
    """Return the timeline of a run, or None if it recorded no calls and no windows."""
    drawn = bins.span(history)
    if drawn is None:
        return None
    lanes = bins.lanes(history, drawn, bins.musts(verdict.findings))
    asked = [lane for lane in lanes if lane.must == SUCCEED] or list(lanes)
    edges = sorted({f"{lane.source}->{lane.target}" for lane in asked})
    all_asked = bins.together(asked)
    curve = _curve(bins.latencies(history, drawn, edges), bins.slowest_ms(lanes))
    lost = [it.off + it.unknown if it else 0 for it in all_asked]
    shown = annotations(history, drawn)
    return Drawing(
        width=drawn.count,
        bin_s=drawn.bin_ns / NS_PER_S,
        ticks=_ticks(drawn),
        bands=bands(history, drawn),
        annotations=shown,
        offsets_s=tuple(drawn.offset_s(it.at_ns) for it in shown),
        lost=svg.counts(lost),
        lost_most=max(lost, default=0),
        success=svg.line([None if it is None else it.good for it in all_asked]),
        success_summary=_summary(all_asked, SUCCEED),
        latency=curve,
        attempts=attempts(history, drawn),
        groups=_groups(lanes, curve.scale),
        nodes=_nodes(lanes, _parts(history), curve.scale),
    )


def _ticks(drawn: Span) -> tuple[Tick, ...]:
    first_s, last_s = drawn.offset_s(drawn.start_ns), drawn.offset_s(drawn.end_ns)
    return tuple(
        Tick(drawn.percent(drawn.zero_ns + at_s * NS_PER_S), f"{at_s:+d} s".replace("-", "\u2212") if at_s else "0")
        for at_s in svg.ticks_s(first_s, last_s)
    )


def _curve(latencies: Sequence[Latency | None], slowest_ms: Sequence[float | None]) -> Curve:
    """Return the curve, on a scale that also fits the slowest call of every row."""
    known = [it for it in latencies if it is not None]
    scale = svg.decades([*(it.p50_ms for it in known), *(it for it in slowest_ms if it is not None)])
    low, high = scale
    p50 = svg.line([None if it is None else svg.on_scale(it.p50_ms, scale) for it in latencies])
    p99 = svg.line([None if it is None else svg.on_scale(it.p99_ms, scale) for it in latencies])
    ticks = tuple(
        Tick(round(100 * (1 - (power - low) / (high - low)), 1), f"{number(10.0**power)} ms")
        for power in range(low, high + 1)
    )
    if not known:
        return Curve(p50, p99, (), "no call succeeded", scale)
    slowest = max(it.p99_ms for it in known)
    usual = sorted(it.p50_ms for it in known)[len(known) // 2]
    return Curve(p50, p99, ticks, f"p50 about {usual:.3g} ms, slowest p99 of a bin {slowest:.3g} ms", scale)


def _groups(lanes: Sequence[Lane], scale: tuple[int, int]) -> tuple[Group, ...]:
    """Return a group for each required outcome, with a row for each edge and connection over all nodes."""
    found = []
    for must, title in _GROUPS:
        rows = groupby((it for it in lanes if it.must == must), key=lambda it: (it.source, it.target, it.connection))
        drawn = tuple(
            _row(f"{source}->{target}", connection, tuple(some), must, scale)
            for (source, target, connection), some in rows
        )
        found += [Group(title, drawn)] if drawn else []
    return tuple(found)


def _parts(history: History) -> dict[str, str]:
    """Return the role of each node in the drill, by node name; empty if the fault targets no single node."""
    words = {word for event in history.of_kind(FaultInjected) for word in event.subject.split()}
    placed = history.facts.placed
    return {node: f"the {part}, " for part, node in placed.items()} if words & placed.keys() else {}


def _nodes(lanes: Sequence[Lane], parts: Mapping[str, str], scale: tuple[int, int]) -> tuple[Row, ...]:
    """Return rows by calling node and required outcome. A prefix that all node names share is dropped.

    The detail names the node's role in the drill, because annotations and claims refer to the node by role.
    """
    nodes = sorted({lane.node for lane in lanes})
    shared = _shared(nodes)
    return tuple(
        _row(node.removeprefix(shared), f"{parts.get(node, '')}must {must}", some, must, scale)
        for node in nodes
        for must in (SUCCEED, BE_REFUSED)
        if (some := tuple(it for it in lanes if (it.node, it.must) == (node, must)))
    )


def _shared(nodes: Sequence[str]) -> str:
    """Return the longest common prefix of the names that ends in a hyphen; "" for a single name."""
    if len(nodes) < 2:  # noqa: PLR2004 - one name alone shares nothing
        return ""
    words = zip(*(node.split("-")[:-1] for node in nodes), strict=False)
    return "".join(f"{word[0]}-" for word in takewhile(lambda it: len(set(it)) == 1, words))


def _row(label: str, detail: str, some: Sequence[Lane], must: str, scale: tuple[int, int]) -> Row:
    joined, slowest_ms = bins.together(some), bins.slowest_ms(some)
    bars = (svg.as_claimed(joined), svg.alarm(joined), svg.doubt(joined))
    line = svg.line([None if it is None else svg.on_scale(it, scale) for it in slowest_ms])
    slowest = max((it for it in slowest_ms if it is not None), default=None)
    summary = _summary(joined, must) + ("" if slowest is None else f", slowest {slowest:.3g} ms")
    return Row(label, detail, summary, bool(must), *bars, line)


def _summary(joined: Sequence[Bin | None], must: str) -> str:
    """Return the number of calls, and of those that contradict the required outcome."""
    it = bins.total(joined)
    right, wrong = _WORDS[must]
    parts = [f"{it.off} {wrong}" if it.off else "", f"{it.unknown} unknown" if it.unknown else ""]
    return (
        ", ".join((f"{it.calls} calls", *(part for part in parts if part)))
        if any(parts)
        else f"{it.calls} calls, {right}"
    )
