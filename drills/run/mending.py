"""How each action of the undo log is done, and how it shows that it took effect. Doing one twice is harmless."""

from collections.abc import Callable, Mapping

import msgspec

from clusters.cluster import Cluster
from clusters.kube import describe
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


def act(cluster: Cluster, undo: Undo) -> None:
    """Do it once; HarnessError when it could not be done now, which a later try may."""
    _ACTS[undo.action](cluster, undo)


def missing(cluster: Cluster, undo: Undo) -> str:
    """Say what still differs from the undone state, "" when nothing does."""
    return _LOOKS[undo.action](cluster, undo)


def _scale(cluster: Cluster, undo: Undo) -> None:
    cluster.kube.scale(undo.target, undo.replicas)


def _resume(cluster: Cluster, undo: Undo) -> None:
    processes.resume(cluster, undo.target)


def _delete(cluster: Cluster, undo: Undo) -> None:
    cluster.kube.delete(undo.manifest, grace_s=0).demand(f"Deleting {describe(undo.manifest)}")


def _create(cluster: Cluster, undo: Undo) -> None:
    component = undo.target
    if cluster.kube.get("apps/v1", component.kind, component.name, component.namespace) is None:
        cluster.kube.create(undo.manifest).demand(f"Creating {describe(undo.manifest)}")


def _patch(cluster: Cluster, undo: Undo) -> None:
    cluster.kube.patch(undo.manifest)


def _stop_workload(cluster: Cluster, _undo: Undo) -> None:
    stop_plan(cluster.share)


def _nothing(_cluster: Cluster, _undo: Undo) -> None:
    """Leave it to the component's own controller."""


def _not_seen(_cluster: Cluster, _undo: Undo) -> str:
    return ""


def _not_gone(cluster: Cluster, undo: Undo) -> str:
    named = msgspec.convert(undo.manifest["metadata"], _Named)
    found = cluster.kube.get(str(undo.manifest["apiVersion"]), str(undo.manifest["kind"]), named.name, named.namespace)
    return f"{describe(undo.manifest)} still exists" if found is not None else ""


def _not_ready(cluster: Cluster, undo: Undo) -> str:
    component = undo.target
    desired, ready = cluster.kube.replicas(component)
    if not desired == ready == undo.replicas:
        return (
            f"{component.kind} {component.namespace}/{component.name} has {ready} of {desired} replicas ready; "
            f"expected {undo.replicas}"
        )
    # Asked last because it costs most: a program run on every node.
    stopped = [process.pid for process in processes.find(cluster, component) if process.is_stopped]
    return f"processes {stopped} of {component.name} are still stopped (state T)" if stopped else ""


def _not_settled(cluster: Cluster, undo: Undo) -> str:
    return unsettled(cluster, undo.target) or _not_ready(cluster, undo)


def _not_replaced(cluster: Cluster, undo: Undo) -> str:
    return incomplete(cluster, undo) or _not_ready(cluster, undo)


def _give_back(cluster: Cluster, undo: Undo) -> None:
    give_back(cluster, undo.node)


def _unanswering(cluster: Cluster, undo: Undo) -> str:
    return unanswering(cluster, undo.node)


def _boot(cluster: Cluster, undo: Undo) -> None:
    boot(cluster, undo.node)


def _not_back(cluster: Cluster, undo: Undo) -> str:
    return not_back(cluster, undo.node)


def _boot_after_api(cluster: Cluster, undo: Undo) -> None:
    give_back(cluster, undo.api_node)
    boot(cluster, undo.node)


def _not_back_after_api(cluster: Cluster, undo: Undo) -> str:
    return unanswering(cluster, undo.api_node) or not_back(cluster, undo.node)


def _heal(cluster: Cluster, _undo: Undo) -> None:
    heal(cluster)


def _reach_api(cluster: Cluster, undo: Undo) -> None:
    reach(cluster, undo.node)


def _api_unreached(cluster: Cluster, undo: Undo) -> str:
    return unreached(cluster, undo.node)


def _not_injected(cluster: Cluster, undo: Undo) -> str:
    return (_not_ready(cluster, undo) if undo.component else "") or uninjected(cluster, undo)


def _not_reissued(cluster: Cluster, undo: Undo) -> str:
    return unissued(cluster, undo) or _not_ready(cluster, undo)


def _cut(cluster: Cluster, undo: Undo) -> str:
    return cut(cluster) or _not_ready(cluster, undo)


_ACTS: dict[Action, Callable[[Cluster, Undo], None]] = {
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
_LOOKS: dict[Action, Callable[[Cluster, Undo], str]] = {
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
