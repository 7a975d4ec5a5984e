"""Worlds in which something else happened than calls: on the wire, to pods, policies and signals."""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from clusters.model import SignalSpec
from drills.judge.history import History
from drills.judge.mutations.target import Target, each_event, told, with_events
from drills.judge.records import NS_PER_S, Detail, Event, Window

# Which kinds of signal an event is a look at, whatever its subject.
_LOOKS = {"newpod": ("admission", "pod-event"), "change": ("admission",), "node": ("node-taint",), "drop": ("drop",)}
_OF_SUBJECT = {"condition": "condition", "told": "event"}  # which kind it is a look at, of the signal of that subject
ELSEWHERE = "refused for a reason that nobody named"
NOWHERE = "a node that nobody named"


def readable_call(history: History, target: Target) -> History:
    """Let one call of the edges be readable on a node."""
    (source, called), *_ = target.edges
    interface = next(iter(history.facts.wire_interfaces), "eth0")
    node = next(iter(history.facts.wire_nodes), "")
    where = {"node": node, "interface": interface, "source": source, "target": called, "id": "mutation"}
    return with_events(history, [*history.events, Event(target.middle_ns, "wire.hit", node, {**where})])


def blind_observers(history: History, _target: Target) -> History:
    """Let the observers never see the plaintext that they must see to prove that they can."""
    return each_event(
        history,
        lambda e: None if e.kind.startswith("wire.") and e.text("source") in history.facts.unmeshed else e,
    )


def admit_unmeshed(history: History, target: Target) -> History:
    """Let one new pod be admitted without the mesh, and start."""
    first = tuple(e for e in history.events_in(target.window, "newpod") if _is_asked(e, target))[:1]
    return each_event(history, lambda e: told(e, outcome="admitted", meshed=False, started=True) if e in first else e)


def overlook_strays(history: History, target: Target) -> History:
    """Let nobody who looks at all pods find those that are outside the mesh."""
    return _in_window(history, target, "newpod", lambda e: told(e, found=False) if e.flag("found") else e)


def refuse_new_pods(history: History, target: Target) -> History:
    """Let the API refuse every new pod, without the words of any signal."""
    return _in_window(history, target, "newpod", lambda e: told(e, outcome="refused", meshed=None, message=ELSEWHERE))


def block_new_pods(history: History, target: Target) -> History:
    """Let no new pod ever start, for reasons that no signal names."""
    blocked: dict[str, Detail] = {"outcome": "admitted", "meshed": None, "started": False, "blocked": ELSEWHERE}
    return _in_window(history, target, "newpod", lambda e: told(e, **blocked))


def start_elsewhere(history: History, target: Target) -> History:
    """Let every new pod come to a node for which it was not made."""
    return _in_window(history, target, "newpod", lambda e: told(e, node=NOWHERE))


def refuse_changes(history: History, target: Target) -> History:
    """Let the API refuse every policy change, without the words of any signal."""
    return _in_window(history, target, "change", lambda e: told(e, outcome="refused", message=ELSEWHERE))


def forget(kind: str) -> Callable[[History, Target], History]:
    """Return a mutation after which nothing of this kind happened in the window."""

    def apply(history: History, target: Target) -> History:
        return _in_window(history, target, kind, lambda _event: None)

    return apply


def miss_drops(history: History, target: Target) -> History:
    """Let the mesh write down no drop of the edges for longer than the claim allows, in the middle.

    Two seconds longer, because a drop on record stands for those of the second that follows it.
    """
    half_ns = round((target.number("max_gap_s", 0) + 2) * NS_PER_S / 2)
    middle = Window("middle", target.middle_ns - half_ns, target.middle_ns + half_ns)
    return _of_drops(history, replace(target, window=middle), lambda _event: None)


def forget_drops(history: History, target: Target) -> History:
    """Let the mesh write down no drop of the edges."""
    return _of_drops(history, target, lambda _event: None)


def misname_drops(history: History, target: Target) -> History:
    """Let the mesh give another reason for every drop of the edges."""
    return _of_drops(history, target, lambda e: told(e, reason=ELSEWHERE))


def blind_drops(history: History, _target: Target) -> History:
    """Let no node's record of drops be readable."""
    return each_event(history, lambda e: told(e, error="no answer") if e.kind == "drops.source" else e)


def hide_signals(history: History, _target: Target) -> History:
    """Let every signal stay silent: workloads ready, metrics still, refusals in other words."""
    return _each_look(history, _quiet)


def blind_signals(history: History, _target: Target) -> History:
    """Let every source of a signal fail to answer."""
    return _each_look(history, lambda _signal, event: _unanswered(event))


def raise_signals(history: History, target: Target) -> History:
    """Let every signal fire at each look in the window."""
    return _each_look(history, lambda signal, e: _fired(signal, e) if target.window.holds(e.at_ns) else e)


def unmesh_pod(history: History, target: Target) -> History:
    """Let one pod be where it does not belong."""
    first = history.events_in(target.window, "membership")[:1]
    return each_event(history, lambda e: told(e, meshed=not e.flag("expected")) if e in first else e)


def unready_workload(history: History, target: Target) -> History:
    """Let a workload have no replica at one look."""
    looks = history.events_in(target.window, "condition")
    first = tuple(event for event in looks if event.subject == target.text("subject"))[:1]
    return each_event(history, lambda e: told(e, ready=0, desired=1) if e in first else e)


def expire_certificate(history: History, target: Target) -> History:
    """Let one certificate be out of date when it was looked at."""
    first = history.events_in(target.window, "certificate")[:1]
    return each_event(history, lambda e: told(e, not_after_ns=e.at_ns - NS_PER_S) if e in first else e)


def renew_certificates(history: History, target: Target) -> History:
    """Let every certificate that was shown outlive the window."""
    later_ns = target.window.end_ns + NS_PER_S
    return each_event(history, lambda e: told(e, not_after_ns=later_ns) if e.number("not_after_ns") is not None else e)


def keep_signer(history: History, _target: Target) -> History:
    """Let every certificate be signed by another than the issuer that the fault put in."""
    return each_event(history, lambda e: told(e, signer="") if e.kind == "certificate.text" else e)


def _in_window(history: History, target: Target, kind: str, change: Callable[[Event], Event | None]) -> History:
    def in_window(event: Event) -> Event | None:
        is_meant = event.kind == kind and target.window.holds(event.at_ns) and _is_asked(event, target)
        return change(event) if is_meant else event

    return each_event(history, in_window)


def _is_asked(event: Event, target: Target) -> bool:
    """Whether the claim asks of the place of this event; one that names no place asks of all."""
    return target.text("on") in {"", event.text("placed")}


def _of_drops(history: History, target: Target, change: Callable[[Event], Event | None]) -> History:
    """Change the drops that a claim counts: a drop lies in a window when its first or its last does."""
    names = {f"{source}->{called}" for source, called in target.edges}
    node = history.facts.placed.get(target.text("on"), "")

    def of_edge(event: Event) -> Event | None:
        if event.kind != "drop" or event.subject not in names or node not in {"", event.text("node")}:
            return event
        instants = (event.at_ns, *(round(event.number(key) or event.at_ns) for key in ("first_ns", "last_ns")))
        return change(event) if any(map(target.window.holds, instants)) else event

    return each_event(history, of_edge)


def _each_look(history: History, change: Callable[[SignalSpec, Event], Event]) -> History:
    def look(event: Event) -> Event:
        for signal in history.facts.signals.values():
            event = change(signal, event) if _is_look(signal, event) else event
        return event

    return each_event(history, look)


def _is_look(signal: SignalSpec, event: Event) -> bool:
    if event.kind in _OF_SUBJECT:
        return signal.kind == _OF_SUBJECT[event.kind] and event.subject == signal.subject
    if event.kind == "scrape":
        return event.text("metric") == signal.subject
    if event.kind == "status":
        return signal.kind == "status" and event.subject == signal.subject.rpartition(" ")[0]
    return signal.kind in _LOOKS.get(event.kind, ())


_LISTS = {"node": "taints", "status": "conditions"}  # what such a look found, None when nobody could look
_ENOUGH = 1_000_000
"""More pods than any workload wants, at whatever instant."""


def _quiet(signal: SignalSpec, event: Event) -> Event:
    match event.kind:
        case "condition":
            return told(event, ready=None if event.number("desired") is None else _ENOUGH)
        case "told":
            return told(event, count=None if event.number("count") is None else 0)
        case "scrape":
            return told(event, value=signal.threshold + 1, error="")
        case "node" | "status":
            key, word = _LISTS[event.kind], _word(signal)
            found = event.detail.get(key)
            return told(event, **{key: [it for it in found if it != word] if isinstance(found, list) else None})
        case "drop":
            return told(event, reason=event.text("reason").replace(signal.subject, ELSEWHERE))
    words = "blocked" if signal.kind == "pod-event" else "message"
    return told(event, **{words: event.text(words).replace(signal.subject, ELSEWHERE)})


_UNANSWERED: dict[str, dict[str, Detail]] = {
    "condition": {"ready": None, "desired": None},
    "told": {"count": None},
    "scrape": {"value": None, "error": "no answer"},
    "node": {"taints": None, "error": "no answer"},
    "status": {"conditions": None, "error": "no answer"},
}


def _unanswered(event: Event) -> Event:
    if event.kind == "drop":
        return msgspec.structs.replace(event, kind="lost")  # a record that nobody could read has no lines
    return told(event, **_UNANSWERED.get(event.kind, {"outcome": "failed"}))


def _fired(signal: SignalSpec, event: Event) -> Event:
    detail: dict[str, Detail]
    match event.kind:
        case "condition":
            detail = {"ready": 0, "desired": 1}
        case "told":
            detail = {"count": event.at_ns}  # more often at every look
        case "scrape":
            is_low = signal.kind == "metric-below"
            risen = event.at_ns / NS_PER_S * (signal.threshold + 1)  # more at every look than the look before
            detail = {"value": signal.threshold - 1 if is_low else risen, "error": ""}
        case "node" | "status":
            found = event.detail.get(_LISTS[event.kind])
            known = found if isinstance(found, list) else []
            detail = {_LISTS[event.kind]: [*known, _word(signal)], "error": ""}
        case "drop":
            detail = {"reason": signal.subject}
        case _ if signal.kind == "pod-event":
            detail = {"blocked": signal.subject}
        case _:
            detail = {"outcome": "refused", "message": signal.subject}
    return told(event, **detail)


def _word(signal: SignalSpec) -> str:
    """Return the taint, or of an object and its condition the condition."""
    return signal.subject.rpartition(" ")[2]
