"""Mutations of events: on the wire, and of pods, policies, certificates and signals."""

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from clusters.model import SignalKind, SignalSpec
from drills.judge.events import (
    CertificateShown,
    CertificateText,
    DropCount,
    DropLogRead,
    E,
    Event,
    EventCount,
    MembershipSeen,
    MetricSample,
    NewPod,
    NodeTaints,
    ObjectStatus,
    PolicyChangeStep,
    ReplicaCount,
    WireHit,
    WirePair,
    revised,
)
from drills.judge.history import History
from drills.judge.mutations.target import Target, each_event, each_of, with_events
from drills.judge.records import NS_PER_S, Window

Look = ReplicaCount | EventCount | MetricSample | ObjectStatus | NodeTaints | DropCount | NewPod | PolicyChangeStep
"""An event that shows whether a signal fired."""

_LOOKS: dict[type[Event], tuple[SignalKind, ...]] = {
    ReplicaCount: (SignalKind.CONDITION,),
    EventCount: (SignalKind.EVENT,),
    MetricSample: (SignalKind.METRIC_INCREASES, SignalKind.METRIC_BELOW),
    ObjectStatus: (SignalKind.STATUS,),
    NodeTaints: (SignalKind.NODE_TAINT,),
    DropCount: (SignalKind.DROP,),
    NewPod: (SignalKind.ADMISSION, SignalKind.POD_EVENT),
    PolicyChangeStep: (SignalKind.ADMISSION,),
}
"""Event to the kinds of signal that it shows."""

ELSEWHERE = "refused for a reason that no claim names"
NOWHERE = "a node that no claim names"


def readable_call(history: History, target: Target) -> History:
    """Let one call of the edges be readable on a node."""
    (source, called), *_ = target.edges
    interface = next(iter(history.facts.wire_interfaces), "eth0")
    node = next(iter(history.facts.wire_nodes), "")
    found = WireHit.Detail(node=node, interface=interface, source=source, target=called, id="mutation")
    return with_events(history, [*history.events, WireHit(target.middle_ns, node, found)])


def readable_unmeshed_pod(history: History, target: Target) -> History:
    """Let one call from the mesh to a new pod outside of it be readable on a node."""
    pods = [event.subject for event in history.events_in(target.window, NewPod) if event.detail.meshed is False]
    is_from_mesh = ~pl.col("source").is_in(history.facts.unmeshed)
    served = history.calls.filter(pl.col("served_pod").is_in(pods), is_from_mesh)
    first = served.select("source", "target", "served_ns").head(1).collect().rows()
    interface = next(iter(history.facts.wire_interfaces), "eth0")
    node = next(iter(history.facts.wire_nodes), "")
    found = (
        WireHit(
            at_ns, node, WireHit.Detail(node=node, interface=interface, source=source, target=called, id="mutation")
        )
        for source, called, at_ns in first
    )
    return with_events(history, [*history.events, *found])


def blind_observers(history: History, _target: Target) -> History:
    """Let the observers not see the plaintext that proves that they can see."""
    unmeshed = history.facts.unmeshed
    without_hits = each_of(history, WireHit, lambda e: None if e.detail.source in unmeshed else e)
    return each_of(without_hits, WirePair, lambda e: None if e.detail.source in unmeshed else e)


def admit_unmeshed(history: History, target: Target) -> History:
    """Let one new pod be admitted outside the mesh, and start."""
    first = tuple(e for e in history.events_in(target.window, NewPod) if _is_asked(e, target))[:1]
    outside = {"outcome": "admitted", "meshed": False, "started": True}
    return each_of(history, NewPod, lambda e: revised(e, **outside) if e in first else e)


def overlook_unmeshed(history: History, target: Target) -> History:
    """Let the scan of all pods not find those outside the mesh."""
    return _in_window(history, target, NewPod, lambda e: revised(e, found=False) if e.is_found else e)


def refuse_new_pods(history: History, target: Target) -> History:
    """Let the API refuse every new pod, with a message that no signal matches."""
    return _in_window(history, target, NewPod, lambda e: revised(e, outcome="refused", meshed=None, message=ELSEWHERE))


def block_new_pods(history: History, target: Target) -> History:
    """Let no new pod start, for reasons that no signal matches."""
    blocked = {"outcome": "admitted", "meshed": None, "started": False, "blocked": ELSEWHERE}
    return _in_window(history, target, NewPod, lambda e: revised(e, **blocked))


def start_elsewhere(history: History, target: Target) -> History:
    """Let every new pod run on a node for which it was not made."""
    return _in_window(history, target, NewPod, lambda e: revised(e, node=NOWHERE))


def refuse_changes(history: History, target: Target) -> History:
    """Let the API refuse every policy change, with a message that no signal matches."""
    return _in_window(history, target, PolicyChangeStep, lambda e: revised(e, outcome="refused", message=ELSEWHERE))


def forget(kind: type[E]) -> Callable[[History, Target], History]:
    """Return a mutation that removes the events of this kind from the window."""

    def apply(history: History, target: Target) -> History:
        return _in_window(history, target, kind, lambda _event: None)

    return apply


def miss_drops(history: History, target: Target) -> History:
    """Let the mesh log no drop of the edges for longer than the claim allows, in the middle of the window.

    Two seconds longer, because a logged drop stands for those of the second after it.
    """
    half_ns = round((target.number("max_gap_s", 0) + 2) * NS_PER_S / 2)
    middle = Window("middle", target.middle_ns - half_ns, target.middle_ns + half_ns)
    return _of_drops(history, replace(target, window=middle), lambda _event: None)


def forget_drops(history: History, target: Target) -> History:
    """Let the mesh log no drop of the edges."""
    return _of_drops(history, target, lambda _event: None)


def misname_drops(history: History, target: Target) -> History:
    """Let the mesh log another reason for every drop of the edges."""
    return _of_drops(history, target, lambda e: revised(e, reason=ELSEWHERE))


def blind_drops(history: History, _target: Target) -> History:
    """Let no node's drop log be readable."""
    return each_of(history, DropLogRead, lambda e: revised(e, error="no answer"))


def hide_signals(history: History, _target: Target) -> History:
    """Let every signal stay silent: workloads ready, metrics constant, other messages in refusals."""
    return _each_look(history, _quiet)


def blind_signals(history: History, _target: Target) -> History:
    """Let every source of a signal fail to answer."""
    return _each_look(history, lambda _signal, event: _unanswered(event))


def raise_signals(history: History, target: Target) -> History:
    """Let every signal fire at each look in the window."""
    return _each_look(history, lambda signal, e: _fired(signal, e) if target.window.holds(e.at_ns) else e)


def unmesh_pod(history: History, target: Target) -> History:
    """Let one pod have the wrong membership."""
    first = history.events_in(target.window, MembershipSeen)[:1]
    return each_of(history, MembershipSeen, lambda e: revised(e, meshed=not e.detail.expected) if e in first else e)


def expire_certificate(history: History, target: Target) -> History:
    """Let one certificate have expired when it was read."""
    first = history.events_in(target.window, CertificateShown)[:1]

    def ended(look: CertificateShown) -> CertificateShown:
        return revised(look, not_after_ns=look.at_ns - NS_PER_S) if look in first else look

    return each_of(history, CertificateShown, ended)


def renew_certificates(history: History, target: Target) -> History:
    """Let every certificate that was shown outlive the window."""
    later_ns = target.window.end_ns + NS_PER_S

    def renewed(look: CertificateShown) -> CertificateShown:
        return look if look.detail.not_after_ns is None else revised(look, not_after_ns=later_ns)

    return each_of(history, CertificateShown, renewed)


def keep_signer(history: History, _target: Target) -> History:
    """Let every certificate be signed by another issuer than the one that the fault installed."""
    return each_of(history, CertificateText, lambda e: revised(e, signer=""))


def _in_window(history: History, target: Target, kind: type[E], change: Callable[[E], E | None]) -> History:
    def in_window(event: E) -> E | None:
        return change(event) if target.window.holds(event.at_ns) and _is_asked(event, target) else event

    return each_of(history, kind, in_window)


def _is_asked(event: Event, target: Target) -> bool:
    """Whether the claim is about the node of this event; a claim that names none is about all."""
    return target.text("on") in {"", event.detail.placed if isinstance(event, NewPod) else ""}


def _of_drops(history: History, target: Target, change: Callable[[DropCount], DropCount | None]) -> History:
    """Change the drops that a claim counts: a drop lies in a window when its first or its last does."""
    names = {f"{source}->{called}" for source, called in target.edges}
    node = history.facts.placed.get(target.text("on"), "")

    def of_edge(drop: DropCount) -> DropCount | None:
        is_meant = drop.subject in names and node in {"", drop.detail.node}
        return change(drop) if is_meant and any(map(target.window.holds, drop.instants)) else drop

    return each_of(history, DropCount, of_edge)


def _each_look(history: History, change: Callable[[SignalSpec, Look], Event | None]) -> History:
    def look(event: Event) -> Event | None:
        changed: Event | None = event
        for signal in history.facts.signals.values():
            if isinstance(changed, Look) and _is_look(signal, changed):
                changed = change(signal, changed)
        return changed

    return each_event(history, look)


def _is_look(signal: SignalSpec, event: Look) -> bool:
    if signal.kind not in _LOOKS[type(event)]:
        return False
    match event:
        case ReplicaCount() | EventCount():
            return event.subject == signal.subject
        case MetricSample():
            return event.detail.metric == signal.subject
        case ObjectStatus():
            return event.subject == signal.subject.rpartition(" ")[0]
    return True


_ENOUGH = 1_000_000
"""More pods than any workload ever desires."""


def _quiet(signal: SignalSpec, event: Look) -> Event:
    detail: dict[str, object]
    match event:
        case ReplicaCount():
            detail = {"ready": None if event.detail.desired is None else _ENOUGH}
        case EventCount():
            detail = {"count": None if event.detail.count is None else 0}
        case MetricSample():
            detail = {"value": signal.threshold + 1, "error": ""}
        case NodeTaints():
            detail = {"taints": _without(_word(signal), event.detail.taints)}
        case ObjectStatus():
            detail = {"conditions": _without(_word(signal), event.detail.conditions)}
        case DropCount():
            detail = {"reason": event.detail.reason.replace(signal.subject, ELSEWHERE)}
        case NewPod() if signal.kind is SignalKind.POD_EVENT:
            detail = {"blocked": event.blocked.replace(signal.subject, ELSEWHERE)}
        case _:
            detail = {"message": event.detail.message.replace(signal.subject, ELSEWHERE)}
    return revised(event, **detail)


def _without(word: str, found: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if found is None else tuple(it for it in found if it != word)


_UNANSWERED: dict[type[Event], dict[str, object]] = {
    ReplicaCount: {"ready": None, "desired": None},
    EventCount: {"count": None},
    MetricSample: {"value": None, "error": "no answer"},
    NodeTaints: {"taints": None, "error": "no answer"},
    ObjectStatus: {"conditions": None, "error": "no answer"},
    NewPod: {"outcome": "failed"},
    PolicyChangeStep: {"outcome": "failed"},
}


def _unanswered(event: Look) -> Event | None:
    """Return the look without an answer; a drop log that could not be read has no lines, so None."""
    return None if isinstance(event, DropCount) else revised(event, **_UNANSWERED[type(event)])


def _fired(signal: SignalSpec, event: Look) -> Event:
    detail: dict[str, object]
    match event:
        case ReplicaCount():
            detail = {"ready": 0, "desired": 1}
        case EventCount():
            detail = {"count": event.at_ns}  # more often at every look
        case MetricSample():
            is_low = signal.kind is SignalKind.METRIC_BELOW
            risen = event.at_ns / NS_PER_S * (signal.threshold + 1)  # more at every look than the look before
            detail = {"value": signal.threshold - 1 if is_low else risen, "error": ""}
        case NodeTaints():
            detail = {"taints": (*(event.detail.taints or ()), _word(signal)), "error": ""}
        case ObjectStatus():
            detail = {"conditions": (*(event.detail.conditions or ()), _word(signal)), "error": ""}
        case DropCount():
            detail = {"reason": signal.subject}
        case NewPod() if signal.kind is SignalKind.POD_EVENT:
            detail = {"blocked": f"{event.blocked} {signal.subject}".strip()}
        case _:  # a request has looks of several signals: the message names each
            detail = {"outcome": "refused", "message": f"{event.detail.message} {signal.subject}".strip()}
    return revised(event, **detail)


def _word(signal: SignalSpec) -> str:
    """Return the taint, or the condition from a subject "object condition"."""
    return signal.subject.rpartition(" ")[2]
