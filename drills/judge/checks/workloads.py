"""Leaf certificates as workloads show them to their peers."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

from drills.judge.checks.looks import Look, measured, names
from drills.judge.events import CertificateShown, CertificateText, FaultAccount, ServerEnd
from drills.judge.history import History
from drills.judge.measure import Invariant, Measurement, Number, Occurrence, Row, Truth
from drills.judge.records import NS_PER_S, Window


def certificate_validity(min_left_s: float = 0.0, max_gap_s: float = 30.0) -> Invariant:
    """At every look each workload's leaf certificate was valid, for min_left_s more, and named the workload's identity.

    An identity that the facts of the run do not name is not compared. Reads events CertificateShown and
    CertificateText. Each server must have been seen at least every max_gap_s, except those of services
    outside the mesh.
    """
    params: dict[str, Number] = {"min_left_s": min_left_s, "max_gap_s": max_gap_s}
    says = f"every leaf certificate is valid for {min_left_s:g} s more"
    return Invariant("certificate_validity", says, partial(_certificates, min_left_s, max_gap_s), params)


def leaf_ended() -> Occurrence:
    """The newest leaf certificate that each workload showed until the window's end had expired by then.

    Reads events CertificateShown; UNKNOWN without a readable certificate.
    """
    return Occurrence("leaf_ended", "every leaf certificate has expired and no newer one was shown", _ended)


def issuer_taken_up(within_s: float) -> Occurrence:
    """Each server shows a leaf certificate of the issuer that the fault installed, within_s after the window's start.

    Reads the signers of events FaultAccount and CertificateText, and CertificateShown; services outside the mesh need
    none. A pod that still shows another issuer's certificate at the bound or later is late; UNKNOWN for a pod that was
    not seen then.
    """
    says = f"every pod shows a certificate of the new issuer within {within_s:g} s"
    return Occurrence("issuer_taken_up", says, partial(_taken_up, within_s), {"within_s": within_s})


def _taken_up(within_s: float, history: History, window: Window) -> Measurement:
    signer = next(filter(None, (it.detail.signer for it in history.events_in(window, FaultAccount))), "")
    if not signer:
        return Measurement(Truth.UNKNOWN, "the record names no issuer that the fault installed")
    signers = {event.subject: event.signer for event in history.of_kind(CertificateText)}
    looks = [event for event in history.events_in(window, CertificateShown) if event.detail.fingerprint in signers]
    pods = sorted({*history.facts.servers, *(event.subject for event in looks)} - _outside(history))
    due_ns, first_ns, late, unseen = window.start_ns + round(within_s * NS_PER_S), [window.start_ns], [], []
    for pod in pods:
        own = [event for event in looks if event.subject == pod]
        new = [event.at_ns for event in own if signers[event.detail.fingerprint] == signer]
        if new and new[0] <= due_ns:
            first_ns.append(new[0])
        elif any(event.at_ns >= due_ns and event.at_ns not in new for event in own):
            late.append(pod)
        else:
            unseen.append(pod)
    truth, reason = Truth.TRUE, ""
    if late:
        truth, reason = Truth.FALSE, f"still signed by another issuer: {names(late)}"
    elif unseen or not pods:
        truth, reason = Truth.UNKNOWN, f"no certificate was seen at the bound: {names(unseen) or 'any pod'}"
    slowest_s = round((max(first_ns) - window.start_ns) / NS_PER_S, 3)
    numbers: dict[str, Number] = {"pods": len(pods), "late": len(late), "unseen": len(unseen), "slowest_s": slowest_s}
    return Measurement(truth, reason, rows=(Row("leaf certificates", "", truth, numbers, reason),))


def _outside(history: History) -> set[str]:
    """Return the servers outside the mesh, which need no certificate."""
    ends = history.of_kind(ServerEnd)
    return {event.subject for event in ends if event.detail.service in history.facts.unmeshed}


def _ended(history: History, window: Window) -> Measurement:
    newest: dict[str, int] = {}
    for event in history.of_kind(CertificateShown):
        ends_ns = event.detail.not_after_ns
        if ends_ns is not None and event.at_ns < window.end_ns:
            newest[event.subject] = max(ends_ns, newest.get(event.subject, ends_ns))
    alive = sorted(pod for pod, ends_ns in newest.items() if ends_ns >= window.end_ns)
    if not newest:
        return Measurement(Truth.UNKNOWN, "no leaf certificate was seen")
    ended: dict[str, Number] = {"seen": len(newest), "over": len(newest) - len(alive)}
    reason = f"not expired at the end: {names(alive)}" if alive else ""
    truth = Truth.FALSE if alive else Truth.TRUE
    return Measurement(truth, reason, rows=(Row("leaf certificates", "", truth, ended, reason),))


def _longest_gap_s(seen_ns: Sequence[int], window: Window) -> float:
    return max(after - before for before, after in pairwise([window.start_ns, *seen_ns, window.end_ns])) / NS_PER_S


def _certificates(min_left_s: float, max_gap_s: float, history: History, window: Window) -> Measurement:
    names = {event.subject: event.detail.san for event in history.of_kind(CertificateText)}
    looks = [
        _look_at_certificate(event, min_left_s, _other_name(history, event, names))
        for event in history.events_in(window, CertificateShown)
    ]
    pods = sorted({*history.facts.servers, *(event.subject for event, _, _ in looks)} - _outside(history))
    known = [look for look in looks if look[1] is not None]
    doubts = (_unseen_for(pod, known, looks, max_gap_s, window) for pod in pods)
    return measured("leaf certificates", known, next(filter(None, doubts), ""))


def _unseen_for(pod: str, known: Sequence[Look], looks: Sequence[Look], max_gap_s: float, window: Window) -> str:
    """Return for how long the certificate of a pod was not seen, and why; "" when that was not too long."""
    seen_ns = [event.at_ns for event, _, _ in known if event.subject == pod]
    gap_s = _longest_gap_s(seen_ns, window)
    if seen_ns and gap_s <= max_gap_s:
        return ""
    blind = next((f", {seen}" for event, is_valid, seen in looks if event.subject == pod and is_valid is None), "")
    return f"that of {pod} was not seen for {gap_s:.1f} s, at most {max_gap_s:g} s may pass{blind}"


def _other_name(history: History, event: CertificateShown, names: Mapping[str, tuple[str, ...]]) -> str:
    """Return the names in a certificate that lacks the identity of its workload, "" where it has it or need not.

    The address of a pod that the fault ended may belong to another pod by now.
    """
    lost, pod = history.lost_pods, event.subject
    if lost is not None and pod in lost.pods and event.at_ns >= lost.injected_ns:
        return ""
    identity = history.facts.identities.get(history.services.get(pod, ""), "")
    shown = names.get(event.detail.fingerprint)
    return ", ".join(shown) if identity and shown and identity not in shown else ""


def _look_at_certificate(event: CertificateShown, min_left_s: float, other: str) -> Look:
    begins_ns, ends_ns = event.detail.not_before_ns, event.detail.not_after_ns
    if begins_ns is None or ends_ns is None:
        return event, None, event.detail.error or "certificate not known"
    if other:
        return event, False, f"shows another's identity: {other}"
    is_valid = begins_ns <= event.at_ns <= ends_ns - round(min_left_s * NS_PER_S)
    return event, is_valid, f"{(ends_ns - event.at_ns) / NS_PER_S:.1f} s left"
