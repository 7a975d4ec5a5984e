"""How each action of the undo log is done, and how it shows that it took effect. Doing one twice is harmless."""

from collections.abc import Callable, Mapping

import msgspec

from clusters.kube import describe
from clusters.place import Place
from drills.run.faults import processes
from drills.run.faults.admission import reinject, uninjected
from drills.run.faults.apiserver import give_back, unanswering
from drills.run.faults.declared import retract, unretracted
from drills.run.faults.issuer import reissue, unissued
from drills.run.faults.nodecut import reach, unreached
from drills.run.faults.packets import cut, heal
from drills.run.faults.power import boot, not_back
from drills.run.faults.rollout import incomplete
from drills.run.faults.views import unsettled
from drills.run.plan import stop_plan
from drills.run.undo_entry import Action, Undo


class _Named(msgspec.Struct, frozen=True):
    name: str
    namespace: str | None = None


FIRST: frozenset[Action] = frozenset({"return-apiserver", "boot-node-after-api"})
"""Without what these put right, none of the others can be carried out."""


SELDOM_S: Mapping[Action, float] = {"reissue": 3.0}
"""How often it is looked whether an undo took effect that takes long: each look takes processor time from the calls."""


def act(place: Place, undo: Undo) -> None:
    """Do it once; HarnessError when it could not be done now, which a later try may."""
    _ACTS[undo.action](place, undo)


def missing(place: Place, undo: Undo) -> str:
    """Say what still differs from the undone state, "" when nothing does."""
    return _LOOKS[undo.action](place, undo)


def _scale(place: Place, undo: Undo) -> None:
    place.kube.scale(undo.target, undo.replicas)


def _resume(place: Place, undo: Undo) -> None:
    processes.resume(place, undo.target)


def _delete(place: Place, undo: Undo) -> None:
    place.kube.delete(undo.manifest, grace_s=0).demand(f"Deleting {describe(undo.manifest)}")


def _create(place: Place, undo: Undo) -> None:
    component = undo.target
    if place.kube.get("apps/v1", component.kind, component.name, component.namespace) is None:
        place.kube.create(undo.manifest).demand(f"Creating {describe(undo.manifest)}")


def _patch(place: Place, undo: Undo) -> None:
    place.kube.patch(undo.manifest)


def _stop_workload(place: Place, _undo: Undo) -> None:
    stop_plan(place.share)


def _nothing(_place: Place, _undo: Undo) -> None:
    """Leave it to the component's own controller."""


def _not_seen(_place: Place, _undo: Undo) -> str:
    return ""


def _not_gone(place: Place, undo: Undo) -> str:
    named = msgspec.convert(undo.manifest["metadata"], _Named)
    found = place.kube.get(str(undo.manifest["apiVersion"]), str(undo.manifest["kind"]), named.name, named.namespace)
    return f"{describe(undo.manifest)} still exists" if found is not None else ""


def _not_ready(place: Place, undo: Undo) -> str:
    component = undo.target
    desired, ready = place.kube.replicas(component)
    if not desired == ready == undo.replicas:
        return (
            f"{component.kind} {component.namespace}/{component.name} has {ready} of {desired} replicas ready; "
            f"expected {undo.replicas}"
        )
    # Asked last because it costs most: a program run on every node.
    stopped = [process.pid for process in processes.find(place, component) if process.is_stopped]
    return f"processes {stopped} of {component.name} are still stopped (state T)" if stopped else ""


def _not_settled(place: Place, undo: Undo) -> str:
    return unsettled(place, undo.target) or _not_ready(place, undo)


def _not_replaced(place: Place, undo: Undo) -> str:
    return incomplete(place, undo) or _not_ready(place, undo)


def _give_back(place: Place, undo: Undo) -> None:
    give_back(place, undo.node)


def _unanswering(place: Place, undo: Undo) -> str:
    return unanswering(place, undo.node)


def _boot(place: Place, undo: Undo) -> None:
    boot(place, undo.node)


def _not_back(place: Place, undo: Undo) -> str:
    return not_back(place, undo.node)


def _boot_after_api(place: Place, undo: Undo) -> None:
    give_back(place, undo.api_node)
    boot(place, undo.node)


def _not_back_after_api(place: Place, undo: Undo) -> str:
    return unanswering(place, undo.api_node) or not_back(place, undo.node)


def _heal(place: Place, _undo: Undo) -> None:
    heal(place)


def _reach_api(place: Place, undo: Undo) -> None:
    reach(place, undo.node)


def _api_unreached(place: Place, undo: Undo) -> str:
    return unreached(place, undo.node)


def _not_injected(place: Place, undo: Undo) -> str:
    return (_not_ready(place, undo) if undo.component else "") or uninjected(place, undo)


def _not_reissued(place: Place, undo: Undo) -> str:
    return unissued(place, undo) or _not_ready(place, undo)


def _cut(place: Place, undo: Undo) -> str:
    return cut(place) or _not_ready(place, undo)


_ACTS: dict[Action, Callable[[Place, Undo], None]] = {
    "scale": _scale,
    "await-ready": _nothing,
    "resume": _resume,
    "delete": _delete,
    "stop-workload": _stop_workload,
    "patch": _patch,
    "await-rollout": _nothing,
    "return-apiserver": _give_back,
    "boot-node": _boot,
    "boot-node-after-api": _boot_after_api,
    "heal": _heal,
    "reach-api": _reach_api,
    "create": _create,
    "reinject": reinject,
    "reissue": reissue,
    "retract": retract,
}
_LOOKS: dict[Action, Callable[[Place, Undo], str]] = {
    "scale": _not_ready,
    "await-ready": _not_ready,
    "resume": _not_ready,
    "delete": _not_gone,
    "stop-workload": _not_seen,
    "patch": _not_settled,
    "await-rollout": _not_replaced,
    "return-apiserver": _unanswering,
    "boot-node": _not_back,
    "boot-node-after-api": _not_back_after_api,
    "heal": _cut,
    "reach-api": _api_unreached,
    "create": _not_settled,
    "reinject": _not_injected,
    "reissue": _not_reissued,
    "retract": unretracted,
}
