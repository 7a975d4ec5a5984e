"""The fields of a component's pods in the Kubernetes API that faults need."""

from dataclasses import dataclass

import msgspec

from clusters.cluster import Cluster
from clusters.kube import Json, is_ready
from clusters.model import Component
from clusters.runtime import HarnessError


class _Terminated(msgspec.Struct, rename="camel"):
    exit_code: int = 0
    container_id: str = msgspec.field(default="", name="containerID")


class _State(msgspec.Struct):
    terminated: _Terminated | None = None


class _ContainerStatus(msgspec.Struct, rename="camel"):
    name: str
    restart_count: int = 0
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)


class _PodStatus(msgspec.Struct, rename="camel"):
    container_statuses: list[_ContainerStatus] = msgspec.field(default_factory=list)
    init_container_statuses: list[_ContainerStatus] = msgspec.field(default_factory=list)  # native sidecars, too
    pod_ip: str = msgspec.field(default="", name="podIP")


class _Metadata(msgspec.Struct):
    name: str
    uid: str


class _Pod(msgspec.Struct):
    metadata: _Metadata
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _ServiceSpec(msgspec.Struct):
    cluster_ip: str = msgspec.field(default="", name="clusterIP")


class _Service(msgspec.Struct):
    spec: _ServiceSpec


class _Generation(msgspec.Struct):
    generation: int = 0


class _Seen(msgspec.Struct, rename="camel"):
    observed_generation: int = 0


class _Workload(msgspec.Struct):
    metadata: _Generation
    status: _Seen = msgspec.field(default_factory=_Seen)


@dataclass(frozen=True)
class ContainerView:
    """One container of a component's pod and how it last ended."""

    pod: str
    key: str  # pod UID and container name: the same container across its restarts
    restarts: int
    ended_container: str  # runtime id of the last ended container, "" for none
    exit_code: int


def containers(cluster: Cluster, component: Component) -> tuple[ContainerView, ...]:
    """Return every container of the component's pods; HarnessError when the API does not answer."""
    return tuple(
        _view(pod, status)
        for pod in _pods(cluster, component)
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )


def pod_addresses(cluster: Cluster, component: Component) -> dict[str, str]:
    """Return pod name -> IP address of the component's pods that have one."""
    return {pod.metadata.name: pod.status.pod_ip for pod in _pods(cluster, component) if pod.status.pod_ip}


def service_address(cluster: Cluster, component: Component) -> str:
    """Return the cluster address of the component's Service, "" when it has no Service or no port."""
    if not component.service or not component.port:
        return ""
    found = cluster.kube.get("v1", "Service", component.service, component.namespace)
    address = msgspec.convert(found, _Service).spec.cluster_ip if found else ""
    return "" if address == "None" else address  # a headless Service has no address of its own


def workload(cluster: Cluster, component: Component) -> Json:
    """Return the component's Deployment, StatefulSet or DaemonSet; HarnessError when it does not exist."""
    found = cluster.kube.get("apps/v1", component.kind, component.name, component.namespace)
    if found is None:
        raise HarnessError(f"{component.kind} {component.namespace}/{component.name} does not exist.")
    return found


def unsettled(cluster: Cluster, component: Component) -> str:
    """Return why the rollout of the component's last change is not complete, "" when it is and every pod is ready.

    Replica counts alone do not show it: right after a change they are still the old ones.
    """
    found = msgspec.convert(workload(cluster, component), _Workload)
    title = f"{component.kind} {component.namespace}/{component.name}"
    if found.status.observed_generation < found.metadata.generation:
        return f"the controller of {title} has not observed its last change yet"
    unready = [
        pod["metadata"]["name"]
        for pod in cluster.kube.pods(component.namespace, component.selector)
        if not is_ready(pod)
    ]
    return f"pods of {title} that are not ready, or terminating: {', '.join(unready)}" if unready else ""


def _pods(cluster: Cluster, component: Component) -> list[_Pod]:
    return msgspec.convert(cluster.kube.pods(component.namespace, component.selector), list[_Pod])


def _view(pod: _Pod, status: _ContainerStatus) -> ContainerView:
    ended = status.state.terminated or status.last_state.terminated or _Terminated()
    return ContainerView(
        pod=pod.metadata.name,
        key=f"{pod.metadata.uid}/{status.name}",
        restarts=status.restart_count,
        ended_container=ended.container_id,
        exit_code=ended.exit_code,
    )
