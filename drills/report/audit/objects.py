"""Policy objects and certificates at one instant, from the observations before and after it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from drills.judge.events import CertificateShown, CertificateText, PodListed, PolicyListing, PolicyVersion
from drills.judge.history import History
from drills.judge.records import NS_PER_S
from drills.report.audit.chain import Issuer, above, sha256_of

RECORDED, NOT_RECORDED = "recorded", "not recorded"
GONE: Final = "gone"
_ATTACHES: Final = ("targetRef", "targetRefs", "parentRefs")  # the words of the Gateway API


@dataclass(frozen=True)
class Pod:
    """A pod of the lab, with what policy objects select by."""

    name: str
    namespace: str
    service: str
    service_account: str
    labels: Mapping[str, str]


Manifests = Mapping[str, Mapping[str, object]]
"""Objects by `Kind namespace/name`."""

Select = Callable[[Mapping[str, object], Pod], bool]
"""Whether a policy object applies to a pod; each mesh decides it for its own kinds."""


class PolicyObject(msgspec.Struct, frozen=True):
    """One object that applies to the called service. since_s: first sight of this version minus the instant."""

    name: str
    api_version: str
    resource_version: str
    sha256: str
    since_s: float
    manifest: dict[str, object]


class Policies(msgspec.Struct, frozen=True):
    """The objects that applied to the target. doubts: what the observations leave open."""

    answer: str
    says: str
    objects: tuple[PolicyObject, ...] = ()
    doubts: tuple[str, ...] = ()


class Shown(msgspec.Struct, frozen=True):
    """A certificate that a pod presented. seen_s: observations, in seconds from the instant."""

    pod: str
    seen_s: tuple[float, ...]
    fingerprint: str
    subject: str
    issuer: str
    serial: str
    san: tuple[str, ...]
    not_before_ns: int
    not_after_ns: int
    is_valid: bool  # at the instant
    chain_sha256: tuple[str, ...]  # leaf first
    is_whole_chain: bool  # False: only the leaf is recorded
    above: tuple[Issuer, ...] = ()  # in the order of the chain


class Certificates(msgspec.Struct, frozen=True):
    """What the called pods presented before and after the instant. doubts: pods with nothing recorded."""

    answer: str
    says: str
    shown: tuple[Shown, ...] = ()
    doubts: tuple[str, ...] = ()


def pods_of(history: History, service: str) -> dict[str, Pod]:
    """Return the recorded pods of a service, by name."""
    return {
        event.subject: Pod(
            name=event.subject,
            namespace=event.detail.namespace,
            service=service,
            service_account=event.detail.service_account,
            labels=dict(label.split("=", 1) for label in event.detail.labels),
        )
        for event in history.of_kind(PodListed)
        if event.detail.service == service
    }


def policies_of(history: History, target: str, at_ns: int, select: Select) -> Policies:
    """Return the objects that applied to a pod of the target at the instant."""
    looks, pods = history.of_kind(PolicyListing), tuple(pods_of(history, target).values())
    if not looks:
        return Policies(NOT_RECORDED, "the run observed no policy object")
    if not pods:
        return Policies(NOT_RECORDED, f"the run recorded no pod of {target}")
    kinds = sorted({event.subject for event in looks})
    good = [event for event in looks if not event.detail.error]
    before = {kind: [it for it in good if it.subject == kind and it.detail.answered_ns <= at_ns] for kind in kinds}
    after = {kind: [it for it in good if it.subject == kind and it.at_ns >= at_ns] for kind in kinds}
    blind = [kind for kind in kinds if not before[kind]]
    if len(blind) == len(kinds):
        return Policies(NOT_RECORDED, f"no observation of {', '.join(kinds)} before the instant")

    standing = _standing(history, at_ns)
    manifests = {name: _manifest(event) for name, event in standing.items()}

    def is_ours(manifest: Mapping[str, object]) -> bool:
        return any(select(manifest, pod) for pod in pods)

    def is_about(event: PolicyVersion) -> bool:
        return event.subject in related({**manifests, event.subject: _manifest(event)}, is_ours)

    ours = related(manifests, is_ours)
    objects = tuple(_object(event, at_ns) for name, event in standing.items() if name in ours)
    next_ns = {kind: after[kind][0].detail.answered_ns if after[kind] else None for kind in kinds}
    later = _changed_later(history, at_ns, next_ns, standing, is_about)
    doubts = (
        *(f"{kind}: not observed before the instant" for kind in blind),
        *(f"{kind}: not observed after the instant" for kind in kinds if next_ns[kind] is None),
        *later,
    )
    ages = (f"{kind} {_ago_s(before[kind][-1].at_ns, at_ns):.1f} s before" for kind in kinds if before[kind])
    return Policies(RECORDED, f"last observed: {', '.join(ages)}", objects, doubts)


def certificates_of(history: History, pods: Iterable[str], at_ns: int) -> Certificates:
    """Return what each pod presented, last before the instant and first after it."""
    looks = history.of_kind(CertificateShown)
    if not looks:
        return Certificates(NOT_RECORDED, "the run observed no certificate")
    texts = {event.subject: event.detail for event in history.of_kind(CertificateText)}
    shown: list[Shown] = []
    doubts: list[str] = []
    for pod in pods:
        ours = [event for event in looks if event.subject == pod]
        around = _around(ours, at_ns)
        shown += _grouped(around, texts, at_ns)
        if not around:
            failed = next((event.detail.error for event in ours if event.detail.error), "not observed")
            doubts.append(f"{pod}: {failed}")
        elif len({event.detail.fingerprint for event in around}) > 1:
            doubts.append(f"{pod}: renewed between the two observations, so the one at the instant is unknown")
    if not shown:
        return Certificates(NOT_RECORDED, "; ".join(doubts) or "no called pod is recorded", (), tuple(doubts))
    return Certificates(
        RECORDED, "presented by the called pods to a client without a certificate", tuple(shown), tuple(doubts)
    )


def _around(looks: list[CertificateShown], at_ns: int) -> list[CertificateShown]:
    """Return the last good observation before the instant and the first after it."""
    good = [event for event in looks if event.detail.not_after_ns is not None]
    before = [event for event in good if event.at_ns <= at_ns]
    after = [event for event in good if event.at_ns > at_ns]
    return before[-1:] + after[:1]


def _grouped(
    around: list[CertificateShown], texts: Mapping[str, CertificateText.Detail], at_ns: int
) -> Iterator[Shown]:
    for fingerprint in dict.fromkeys(event.detail.fingerprint for event in around):
        seen = [event for event in around if event.detail.fingerprint == fingerprint]
        text = texts.get(fingerprint, CertificateText.Detail(chain=(), is_whole=False))
        begins_ns, ends_ns = seen[0].detail.not_before_ns or 0, seen[0].detail.not_after_ns or 0
        yield Shown(
            pod=seen[0].subject,
            seen_s=tuple(round((event.at_ns - at_ns) / NS_PER_S, 3) for event in seen),
            fingerprint=fingerprint,
            subject=text.subject,
            issuer=text.issuer,
            serial=text.serial,
            san=text.san,
            not_before_ns=begins_ns,
            not_after_ns=ends_ns,
            is_valid=begins_ns <= at_ns <= ends_ns,
            chain_sha256=tuple(map(sha256_of, text.chain)),
            is_whole_chain=text.is_whole,
            above=above(text.chain, at_ns),
        )


def _standing(history: History, at_ns: int) -> dict[str, PolicyVersion]:
    """Return the objects that existed at the instant, each with the event of its version."""
    standing: dict[str, PolicyVersion] = {}
    for event in history.of_kind(PolicyVersion):
        if event.at_ns > at_ns:
            continue
        if event.detail.verb == GONE:
            standing.pop(event.subject, None)
        else:
            standing[event.subject] = event
    return dict(sorted(standing.items()))


def _changed_later(
    history: History,
    at_ns: int,
    next_ns: Mapping[str, int | None],
    standing: Mapping[str, PolicyVersion],
    is_about: Callable[[PolicyVersion], bool],
) -> Iterator[str]:
    """Yield each change that the next observation of its kind found, and that may have happened before the instant."""
    for event in history.of_kind(PolicyVersion):
        by_ns = next_ns.get(event.subject.split(" ", 1)[0])
        if event.at_ns <= at_ns or (by_ns is not None and event.at_ns > by_ns):
            continue
        known = standing.get(event.subject) if event.detail.verb == GONE else event
        if known is not None and is_about(known):
            late_s = _ago_s(at_ns, event.at_ns)
            yield f"{event.subject} was seen {event.detail.verb} {late_s:.1f} s later, and may have been so before"


def _object(event: PolicyVersion, at_ns: int) -> PolicyObject:
    return PolicyObject(
        name=event.subject,
        api_version=event.detail.api_version,
        resource_version=event.detail.resource_version,
        sha256=hashlib.sha256(event.detail.manifest.encode()).hexdigest(),
        since_s=round((event.at_ns - at_ns) / NS_PER_S, 3),
        manifest=dict(_manifest(event)),
    )


def _manifest(event: PolicyVersion) -> Mapping[str, object]:
    try:
        return msgspec.json.decode(event.detail.manifest, type=dict[str, object])
    except msgspec.DecodeError:
        return {}


def _ago_s(before_ns: int, after_ns: int) -> float:
    return (after_ns - before_ns) / NS_PER_S


def related(objects: Manifests, is_about: Callable[[Mapping[str, object]], bool]) -> frozenset[str]:
    """Return the names of the objects that apply to the pod, directly or through others.

    An object that attaches to one of these (`targetRef`, `parentRefs`) applies too. Any other object that one of these
    names is one that it needs, and is returned as well.
    """
    ours = {name for name, manifest in objects.items() if is_about(manifest)}
    while more := _next(objects, ours):
        ours |= more
    return frozenset(ours)


def _next(objects: Manifests, ours: set[str]) -> set[str]:
    attached = {name for name in objects if ours.intersection(_named(objects, name, attaches=True))}
    needed = {it for name in ours for it in _named(objects, name, attaches=False)}
    return (attached | needed).intersection(objects) - ours


def _named(objects: Manifests, name: str, *, attaches: bool) -> Iterator[str]:
    """Yield the objects that this one names; the default namespace is its own."""
    spec = objects[name].get("spec")
    home = name.partition(" ")[2].rpartition("/")[0]
    for key, value in spec.items() if isinstance(spec, Mapping) else ():
        if (key in _ATTACHES) is attaches:
            for it in value if isinstance(value, list) else (value,):
                if isinstance(it, Mapping):
                    yield f"{it.get('kind')} {it.get('namespace') or home}/{it.get('name')}"
