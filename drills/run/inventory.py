"""The pods of the lab, as the Kubernetes API lists them when a run begins."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from clusters.cluster import PLACED, Cluster
from clusters.kube import Json, is_ready
from clusters.lab import LAB, NEW_POD, OUTSIDE, OWN
from clusters.runtime import HarnessError

OBSERVER = "observer"


class _Metadata(msgspec.Struct):
    name: str
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class _Container(msgspec.Struct):
    image: str


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_Container]
    node_name: str = ""
    service_account_name: str = ""


class _Status(msgspec.Struct):
    ip: str = msgspec.field(default="", name="podIP")


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status


@dataclass(frozen=True)
class LabPod:
    """One pod that takes part in a run."""

    name: str
    namespace: str
    service: str  # the value of its label `app`
    node: str
    address: str
    image: str  # of its first container
    service_account: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """The pods that must write their logs for this run."""

    services: tuple[LabPod, ...]
    observers: tuple[LabPod, ...]
    placed: Mapping[str, str] = field(default_factory=dict)  # part in the lab's placement -> node

    def of(self, service: str) -> tuple[LabPod, ...]:
        """Return the pods of a service."""
        return tuple(pod for pod in self.services if pod.service == service)

    @property
    def image(self) -> str:
        """The lab's image, read from a pod into which no mesh injects a container."""
        return next(pod.image for pod in self.services if pod.namespace == OUTSIDE)

    @property
    def names(self) -> frozenset[str]:
        """The name of every pod."""
        return frozenset(pod.name for pod in (*self.services, *self.observers))


def take(cluster: Cluster) -> Inventory:
    """Return the lab's pods; HarnessError when one of them is not ready or a node has no observer."""
    services = (*_pods(cluster, LAB), *_pods(cluster, OUTSIDE))
    observers = tuple(pod for pod in _pods(cluster, OWN) if pod.service == OBSERVER)
    blind = set(cluster.nodes) - {pod.node for pod in observers}
    if blind:
        raise HarnessError(
            f"No observer runs on {', '.join(sorted(blind))} of {cluster.name}; expected one on every node. "
            f"Look at `kubectl --kubeconfig {cluster.kubeconfig} -n {OWN} get pods`."
        )
    if not any(pod.namespace == OUTSIDE for pod in services):
        raise HarnessError(
            f"Namespace {OUTSIDE} of {cluster.name} has no pod; expected the outsider. Deploy the lab again."
        )
    placed = {node["metadata"]["labels"][PLACED]: node["metadata"]["name"] for node in _placed(cluster)}
    return Inventory(services, observers, placed)


def _placed(cluster: Cluster) -> list[Json]:
    return cluster.kube.find("v1", "Node", selector=PLACED)


def _pods(cluster: Cluster, namespace: str) -> tuple[LabPod, ...]:
    found = []
    for raw in cluster.kube.pods(namespace):
        pod = msgspec.convert(raw, _Pod)
        service = pod.metadata.labels.get("app", "")
        if service == NEW_POD or not service:
            continue
        if not is_ready(raw):
            raise HarnessError(
                f"Pod {namespace}/{pod.metadata.name} is not ready; a run needs every pod of the lab. "
                f"Look at `kubectl --kubeconfig {cluster.kubeconfig} -n {namespace} get pods`."
            )
        found.append(
            LabPod(
                name=pod.metadata.name,
                namespace=namespace,
                service=service,
                node=pod.spec.node_name,
                address=pod.status.ip,
                image=pod.spec.containers[0].image,
                service_account=pod.spec.service_account_name,
                labels=pod.metadata.labels,
            )
        )
    return tuple(found)
