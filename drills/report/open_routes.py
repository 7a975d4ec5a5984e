"""The routes of a run that can only work or be broken: outage, lost calls and latency count these, and no other."""

from collections.abc import Collection

from drills.judge.events import NewPod, PolicyChangeStep
from drills.judge.history import History
from drills.judge.measure import Edge

_DENIED = "denied"


def open_routes(history: History) -> tuple[Edge, ...]:
    """Return the planned routes, sorted, without those that the drill or a probe closes by itself.

    Left out are routes that a policy change of a probe closes, routes that the drill claims are denied, routes to a
    service whose pods a probe creates and deletes, and routes with both ends outside the mesh: those only show that the
    callers work.
    """
    unmeshed = history.facts.unmeshed
    called = {
        (it.source, it.target) for it in history.facts.callers if not (it.source in unmeshed and it.target in unmeshed)
    }
    fleeting = {_service_of(pod) for pod in history.of_kind(NewPod)}
    return tuple(sorted(edge for edge in called - _closed(history) if not _is_served_by(fleeting, edge[1])))


def _service_of(pod: NewPod) -> str:
    """Return the service of a pod of a probe, which names it SERVICE-RUN-NUMBER."""
    return pod.subject.rsplit("-", 2)[0]


def _is_served_by(fleeting: Collection[str], target: str) -> bool:
    """Whether pods of these services serve the target: a Service of that name, or one more of the same pods."""
    return any(target == service or target.startswith(f"{service}-") for service in fleeting)


def _closed(history: History) -> set[Edge]:
    closed = {change.edge for change in history.of_kind(PolicyChangeStep)}
    for claim in history.facts.claims:
        if claim.check.name == _DENIED:
            closed.update(claim.check.edges)
    return closed
