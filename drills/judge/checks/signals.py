"""Signals of the mesh or of Kubernetes that on-call could alert on: metrics, conditions, refusals and warnings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from clusters.model import VICTIM, SignalKind, SignalSpec
from drills.judge.events import (
    DropCount,
    Event,
    EventCount,
    MetricSample,
    NewPod,
    NodeTaints,
    ObjectStatus,
    PolicyChangeStep,
    ReplicaCount,
    UndoApplied,
)
from drills.judge.history import History
from drills.judge.measure import (
    MAX_EXAMPLES,
    Example,
    Harm,
    Invariant,
    Measurement,
    Need,
    Occurrence,
    Row,
    Truth,
)
from drills.judge.records import NS_PER_S, Window

_NEEDS = frozenset({Need.SIGNALS})


@dataclass(frozen=True)
class Sighting:
    """Whether a signal appeared, when first, and why not if it did not."""

    name: str
    truth: Truth
    reason: str
    at_ns: int | None = None
    source: str = ""


@dataclass(frozen=True)
class _Sample:
    """One look at one source of a signal; fired is None when the source could not be read.

    subject: the request that the look is about, of a signal that answers requests.
    """

    source: str
    at_ns: int
    fired: bool | None
    subject: str = ""


def signal_seen(name: str, within_s: float | None = None) -> Occurrence:
    """The named signal appears in the window, at most within_s after its start.

    In the fault's window it must appear before the undo begins: what appears later may be about the undo.
    """
    bound = "" if within_s is None else f" within {within_s:g} s"
    says = f"signal {name} appears{bound}"
    return Occurrence(
        "signal_seen",
        says,
        partial(_signal_seen, name, within_s),
        {"name": name, "within_s": within_s},
        needs=_NEEDS,
        signals=(name,),
    )


def signal_absent(name: str) -> Invariant:
    """The named signal does not appear in the window: there is no false alarm.

    At least half of the looks at its sources must have succeeded. For a signal that the mesh does not have: UNKNOWN.
    """
    return Invariant(
        "signal_absent",
        f"signal {name} does not appear",
        partial(_absent, name),
        {"name": name},
        needs=_NEEDS,
        signals=(name,),
    )


def sighting(history: History, name: str, start_ns: int, deadline_ns: int) -> Sighting:
    """Return the first appearance of a signal from start_ns to deadline_ns, both included.

    What first appears once the harness undoes the fault is the undo's own trace and does not count. A signal that fired
    in the baseline, on whatever source, counts for nothing: an alert on it was up before the fault. When no source that
    counts could be read, or fewer looks succeeded than failed, the answer is UNKNOWN: the source was itself down.
    """
    signal = history.facts.signals.get(name)
    if (useless := _uselessness(history, name)) or signal is None:
        return Sighting(name, Truth.FALSE, useless)
    samples, quiet, looks = _looks(history, signal, start_ns, _before_undo(history, start_ns, deadline_ns))
    first = min((s for s in looks if s.fired), key=lambda s: (s.at_ns, s.source), default=None)
    return _sighted(name, first, samples, quiet, looks)


def alert_for(history: History, name: str, harm: Harm, since_ns: int, within_s: float) -> Sighting:
    """Return whether a signal covers one episode of harm: it is about that harm, and up when it begins or soon after.

    A signal about requests covers only the pod or change that was harmed. A signal about a node covers only harm whose
    cause can lie there. A state covers harm that begins while it is up; a state that is over covers nothing. An
    occurrence covers harm that begins at most RECENT_S after it. Both cover harm that began at most within_s before
    they appear, if they do before the fault is undone. since_ns: the start of the claim's window; what appeared before
    it does not count.
    """
    signal = history.facts.signals.get(name)
    if (useless := _uselessness(history, name)) or signal is None:
        return Sighting(name, Truth.FALSE, useless)
    deadline_ns = _before_undo(history, harm.start_ns, harm.start_ns + round(within_s * NS_PER_S))
    samples, quiet, looks = _looks(history, signal, since_ns, deadline_ns)
    about = tuple(look for look in looks if _is_about(history, signal, look, harm))
    if looks and not about:
        return Sighting(name, Truth.FALSE, f"signal {name} is about another node or request than {harm.subject}")
    is_state = signal.kind in _STATES
    first = _up_at(about, harm.start_ns) if is_state else None
    if first is None:
        from_ns = harm.start_ns if is_state else harm.start_ns - round(RECENT_S * NS_PER_S)
        first = min((s for s in about if s.fired and s.at_ns >= from_ns), key=_by_instant, default=None)
    return _sighted(name, first, samples, quiet, about)


def _before_undo(history: History, start_ns: int, deadline_ns: int) -> int:
    """Return the deadline, at the latest the instant before the first undo after the start."""
    undone = (event.at_ns - 1 for event in history.of_kind(UndoApplied) if event.at_ns > start_ns)
    return min((deadline_ns, *undone))


RECENT_S = 5.0
"""Harm that begins at most so long after an occurrence may follow from it: sources are polled every 1 to 5 s."""


def _up_at(looks: tuple[_Sample, ...], at_ns: int) -> _Sample | None:
    """Return the look with which a state came up that is up at an instant, the earliest of all sources."""
    up: dict[str, _Sample] = {}
    for look in looks:
        if look.at_ns <= at_ns and look.fired is not None:
            if look.fired:
                up.setdefault(look.source, look)
            else:
                up.pop(look.source, None)
    return min(up.values(), key=_by_instant, default=None)


def _by_instant(look: _Sample) -> tuple[int, str]:
    return look.at_ns, look.source


def _is_about(history: History, signal: SignalSpec, look: _Sample, harm: Harm) -> bool:
    """Return whether a look is about the request, or about a node, from which the harm came."""
    if look.subject:
        return look.subject == harm.subject
    if not harm.nodes:
        return True
    if signal.kind in _OF_NODES:
        return look.source in harm.nodes
    # A DaemonSet that lacks a pod says so of the node that the fault broke.
    victim = history.facts.placed.get(VICTIM, "")
    return not (victim and signal.kind == SignalKind.CONDITION and "/DaemonSet/" in signal.subject) or (
        victim in harm.nodes
    )


def _uselessness(history: History, name: str) -> str:
    """Return why a signal can show nothing, "" if it can."""
    if name not in history.facts.signals:
        return f"the mesh has no signal {name}"
    if name in history.facts.fires_without_fault:
        return f"signal {name} fires without a fault, too: the no-fault control shows it"
    return ""


def _sighted(
    name: str,
    first: _Sample | None,
    samples: tuple[_Sample, ...],
    quiet: frozenset[str],
    looks: tuple[_Sample, ...],
) -> Sighting:
    if first is not None:
        return Sighting(name, Truth.TRUE, f"signal {name} appeared on {first.source}", first.at_ns, first.source)
    blind = sum(look.fired is None for look in looks)
    if not looks or 2 * blind > len(looks):
        return Sighting(name, Truth.UNKNOWN, _blindness(name, samples, quiet, blind))
    return Sighting(name, Truth.FALSE, f"signal {name} did not appear in {len(looks)} looks")


def _looks(
    history: History, signal: SignalSpec, start_ns: int, deadline_ns: int
) -> tuple[tuple[_Sample, ...], frozenset[str], tuple[_Sample, ...]]:
    """Return all looks, the sources that count, and their looks from start_ns to deadline_ns."""
    samples = tuple(_READERS[signal.kind](signal, history.events))
    quiet = _quiet_sources(signal, samples, history.windows().get("baseline"), start_ns)
    return samples, quiet, tuple(s for s in samples if start_ns <= s.at_ns <= deadline_ns and s.source in quiet)


def _blindness(name: str, samples: tuple[_Sample, ...], quiet: frozenset[str], blind: int) -> str:
    if samples and not quiet:
        return f"signal {name} fired, or was not read, before the fault: it cannot show the fault"
    why = "its source was itself down, or the fault hid it by lowering what Kubernetes wants"
    return f"signal {name} could not be read ({blind} looks failed): {why}"


def _quiet_sources(
    signal: SignalSpec, samples: tuple[_Sample, ...], baseline: Window | None, start_ns: int
) -> frozenset[str]:
    before = tuple(s for s in samples if baseline and baseline.holds(s.at_ns) and s.at_ns < start_ns)
    if any(s.fired for s in before):
        return frozenset()
    return frozenset(s.source for s in (samples if signal.kind in _ON_OCCASION else before) if s.fired is not None)


def _scrapes(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[MetricSample]:
    return (event for event in events if isinstance(event, MetricSample) and event.detail.metric == signal.subject)


def _increases(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    """Compare each value with the one before; a counter that a reachable pod does not expose yet is 0."""
    known: dict[str, float] = {}
    for event in _scrapes(signal, events):
        pod, value = event.detail.pod, event.detail.value
        if value is None and not event.detail.error:
            value = 0.0
        before = known.get(pod)
        # A counter that fell began anew at 0, with its program: all that it shows is increase.
        start = 0.0 if value is not None and before is not None and value < before else before
        fired = None if value is None or start is None else value - start > signal.threshold
        yield _Sample(pod, event.at_ns, fired)
        if value is not None:
            known[pod] = value


def _event(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    """Compare the count of an Event with the look before: Events of an earlier run may still exist, or be deleted."""
    before: int | None = None
    for event in events:
        if isinstance(event, EventCount) and event.subject == signal.subject:
            count = event.detail.count
            yield _Sample(event.subject, event.at_ns, None if count is None or before is None else count > before)
            before = before if count is None else count


def _below(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    for event in _scrapes(signal, events):
        value = event.detail.value
        yield _Sample(event.detail.pod, event.at_ns, None if value is None else value < signal.threshold)


def _condition(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    """Compare the ready pods with those that Kubernetes wants, as an alert does.

    A fault that lowered the desired count hides the loss by the harness's own edit: such a look says nothing.
    """
    most = 0
    for event in events:
        if isinstance(event, ReplicaCount) and event.subject == signal.subject:
            ready, desired = event.detail.ready, event.detail.desired
            most = max(most, desired or 0)
            fired = None if ready is None or desired is None or desired < most else ready < desired
            yield _Sample(event.subject, event.at_ns, fired)


def _admission(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    for event in events:
        if isinstance(event, NewPod | PolicyChangeStep):
            outcome = event.detail.outcome
            fired = outcome == "refused" and signal.subject in event.detail.message
            yield _Sample("the API server", event.answered_ns, None if outcome == "failed" else fired, event.subject)


def _pod_event(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    """A pod that was refused or that started has no warning: a silent look.

    For one that did not start, an empty text may mean that the API could not be reached.
    """
    for event in events:
        if isinstance(event, NewPod):
            has_none = event.detail.outcome == "refused" or event.detail.started is True
            is_read = event.detail.outcome != "failed" and (has_none or event.is_blockage_known)
            at_ns = max(event.answered_ns, event.blocked_ns)  # Kubernetes may round down
            has_fired = signal.subject in event.blocked if is_read else None
            yield _Sample("the events of new pods", at_ns, has_fired, event.subject)


def _node_taint(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    for event in events:
        if isinstance(event, NodeTaints):
            taints = event.detail.taints
            yield _Sample(event.subject, event.at_ns, None if taints is None else signal.subject in taints)


def _drop(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    """A drop for another reason is a silent look: the node's drop log worked then."""
    for event in events:
        if isinstance(event, DropCount):
            yield _Sample(event.detail.node, event.at_ns, event.detail.reason == signal.subject)


def _status(signal: SignalSpec, events: tuple[Event, ...]) -> Iterator[_Sample]:
    """An object that does not exist has no conditions: a silent look."""
    stated_by, _, condition = signal.subject.rpartition(" ")
    for event in events:
        if isinstance(event, ObjectStatus) and event.subject == stated_by:
            stated = event.detail.conditions
            yield _Sample(event.subject, event.at_ns, None if stated is None else condition in stated)


_READERS: dict[str, Callable[[SignalSpec, tuple[Event, ...]], Iterator[_Sample]]] = {
    "metric-increases": _increases,
    "metric-below": _below,
    "condition": _condition,
    "admission": _admission,
    "pod-event": _pod_event,
    "node-taint": _node_taint,
    "drop": _drop,
    "status": _status,
    "event": _event,
}

_STATES = frozenset({SignalKind.CONDITION, SignalKind.METRIC_BELOW, SignalKind.NODE_TAINT, SignalKind.STATUS})
"""Kinds that say how something is; all others say that something happened."""

_OF_NODES = frozenset({SignalKind.NODE_TAINT, SignalKind.DROP})
"""Kinds whose source is a node."""

_ON_OCCASION = frozenset({"admission", "pod-event"})
"""Kinds whose source reports only on requests to the API: it need not have been read in the baseline."""


def _signal_seen(name: str, within_s: float | None, history: History, window: Window) -> Measurement:
    bound_ns = _end_ns(history, window) if within_s is None else window.start_ns + round(within_s * NS_PER_S)
    deadline_ns = min(bound_ns, _end_ns(history, window))
    found = sighting(history, name, window.start_ns, deadline_ns)
    after_s = None if found.at_ns is None else round((found.at_ns - window.start_ns) / NS_PER_S, 3)
    row = Row(name, "", found.truth, {"time_to_signal_s": after_s, "source": found.source}, found.reason)
    examples = () if found.at_ns is None else (Example(found.source, found.at_ns, "signal", name),)
    return Measurement(found.truth, found.reason, (row,), examples, at_ns=found.at_ns)


def _end_ns(history: History, window: Window) -> int:
    """Return the last instant of a window; of the fault, the last one before its undo begins."""
    end_ns = window.end_ns - 1
    undone_ns = history.undone_ns
    return min(end_ns, undone_ns) if window.name == "fault" and undone_ns is not None else end_ns


def _absent(name: str, history: History, window: Window) -> Measurement:
    signal = history.facts.signals.get(name)
    if signal is None:
        return Measurement(Truth.UNKNOWN, f"the mesh has no signal {name}: its absence says nothing")
    looks = tuple(s for s in _READERS[signal.kind](signal, history.events) if window.holds(s.at_ns))
    fired = tuple(look for look in looks if look.fired)
    blind = sum(look.fired is None for look in looks)
    if fired:
        truth, reason = Truth.FALSE, f"signal {name} appeared on {fired[0].source}"
    elif not looks or 2 * blind > len(looks):
        truth, reason = Truth.UNKNOWN, f"signal {name} could not be read in {blind} of {len(looks)} looks"
    else:
        truth, reason = Truth.TRUE, ""
    row = Row(name, "", truth, {"looks": len(looks), "fired": len(fired), "failed": blind}, reason)
    examples = tuple(Example(look.source, look.at_ns, "signal", name) for look in fired[:MAX_EXAMPLES])
    return Measurement(truth, reason, (row,), examples, at_ns=fired[0].at_ns if fired else None)
