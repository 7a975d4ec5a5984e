"""Deploy the lab on a mesh: namespaces, programs, the mesh's own policies, then the workloads."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

import yaml

from clusters.cluster import Cluster
from clusters.install import wait_components
from clusters.kube import Admission, Json, is_ready, wanted_and_ready
from clusters.model import Enrolment, Mesh
from clusters.runtime import MANIFESTS, HarnessError, Steps, wait_until

FOLDER = MANIFESTS / "lab"
LAB, OUTSIDE, OWN = "lab", "outside", "meshdrill"
NAMESPACES = (LAB, OUTSIDE, OWN)
NEW_POD = "new-pod"
"""App label of the pods that a probe creates and deletes."""
NEW_POD_FILE, NEW_SERVICE_FILE = FOLDER / "new-pod.yaml", FOLDER / "new-destination.yaml"
"""Manifests of such a pod, and of a Service that a drill may want created with it; `deploy` skips both."""

# A webhook enrols a pod before it exists; the pod network may report enrolment shortly after the pod is ready.
_ENROLLED_S = {Enrolment.ADMISSION: 1.0, Enrolment.START: 30.0}
_PROGRAMS = "lab-programs"
_TRIED = "meshdrill-asked"
_FIRST = "namespaces.yaml"
_NEW_PODS = "new-pods.yaml"
_PLACEBO = "placebo.yaml"  # only where a mesh names it as a component


def deploy(cluster: Cluster, mesh: Mesh, *, image: str, steps: Steps) -> None:
    """Apply the whole lab, each part after those it depends on."""
    names = {"LAB_IMAGE": image}
    with steps.step("lab namespaces and policies"):
        cluster.kube.apply_all([_labelled(item, mesh) for item in load(FOLDER / _FIRST, names)])
        cluster.kube.apply_all([_programs(namespace) for namespace in NAMESPACES])
        cluster.kube.apply_all([item for path in policies(mesh) for item in load(path, names)])
        cluster.kube.apply_all(load(FOLDER / _NEW_PODS, names))  # before a new pod is tried, which needs its account
    if mesh.membership.enrolment is Enrolment.ADMISSION and not mesh.is_control:
        with steps.step("new pods enrolled"):
            wait_enrolled(cluster, mesh)
    with steps.step("lab workloads"):
        cluster.kube.apply_all([item for path in _workloads(mesh) for item in load(path, names)])


def try_pod(cluster: Cluster) -> Admission:
    """Create a pod of the lab as a dry run; HarnessError when the API server does not answer."""
    answer = cluster.kube.try_pod(tried_pod())
    if answer.outcome == "failed":
        raise HarnessError(f"The API server could not be asked about a new pod: {answer.message}")
    return answer


def tried_pod() -> Json:
    """Return the manifest of the pod that `try_pod` creates."""
    (pod,) = load(NEW_POD_FILE, {"NAME": _TRIED, "LAB_IMAGE": _TRIED})
    return pod


def wait_enrolled(cluster: Cluster, mesh: Mesh, *, within_s: float = 60.0) -> None:
    """Wait until the API server reaches the webhook: with failurePolicy Ignore the lab would start outside the mesh."""
    wait_until(
        lambda: try_pod(cluster),
        lambda answer: answer.outcome == "accepted" and mesh.membership.proves(answer.object, None),
        what=f"A new pod of {LAB} put into the mesh by its webhook",
        within_s=within_s,
        next_step="Does the API server reach the webhook's Service?",
    )


def wait_ready(cluster: Cluster, mesh: Mesh, steps: Steps) -> None:
    """Wait until all pods of the lab and all components of the mesh are ready, and each meshed pod is a member."""
    with steps.step("lab ready"):
        wait_until(
            lambda: list(_unready(cluster)),
            lambda waiting: not waiting,
            what=f"Every pod of the lab on {cluster.name} ready",
            within_s=150.0,
            next_step=f"Look at `kubectl --kubeconfig {cluster.kubeconfig} get events -A`.",
        )
    wait_components(cluster, mesh, steps)
    if not mesh.is_control:
        wait_until(
            lambda: [name for name, is_member in members(cluster, mesh, LAB).items() if not is_member],
            lambda outside: not outside,
            what=f"Every pod of {LAB} in the mesh",
            within_s=_ENROLLED_S[mesh.membership.enrolment],
            next_step="Was the namespace labelled or annotated before they were created?",
        )


def members(cluster: Cluster, mesh: Mesh, namespace: str) -> dict[str, bool | None]:
    """Return pod -> whether it is in the mesh, for each pod of the namespace; HarnessError as `Kube.find`.

    None if unknown: the witness object does not exist, or pods are enrolled at start and the pod is not ready yet.
    """
    pods = cluster.kube.pods(namespace)
    proofs = {}
    if mesh.membership.witness is not None:
        proofs = {found["metadata"]["name"]: found for found in cluster.kube.find(*mesh.membership.witness, namespace)}
    return {(name := pod["metadata"]["name"]): _is_member(mesh, pod, proofs.get(name)) for pod in pods}


def is_member(cluster: Cluster, mesh: Mesh, pod: Mapping[str, object]) -> bool | None:
    """Return, as `members`, whether one pod is in the mesh; HarnessError when the API does not answer."""
    if mesh.membership.witness is None:
        return _is_member(mesh, pod, None)
    metadata = pod["metadata"]
    named = metadata if isinstance(metadata, Mapping) else {}
    return _is_member(
        mesh, pod, cluster.kube.get(*mesh.membership.witness, str(named["name"]), str(named["namespace"]))
    )


def _is_member(mesh: Mesh, pod: Mapping[str, object], proof: Mapping[str, object] | None) -> bool | None:
    is_early = mesh.membership.enrolment is Enrolment.START and not is_ready(pod)
    if is_early or (mesh.membership.witness is not None and proof is None):
        return None
    return mesh.membership.proves(pod, proof)


def policies(mesh: Mesh) -> list[Path]:
    """Return the mesh's policy files, without those that probes and faults apply and delete."""
    return [path for path in sorted((mesh.manifests / "policy").glob("*.yaml")) if path.name != "change.yaml"]


def load(path: Path, names: Mapping[str, str]) -> list[Json]:
    """Read the objects of a manifest with its ${PLACEHOLDERS} replaced; HarnessError for one without a value."""
    try:
        text = Template(path.read_text()).substitute(names)
    except (KeyError, ValueError) as error:
        raise HarnessError(f"Manifest {path.name}: placeholder {error} has no value.") from error
    return [item for item in yaml.safe_load_all(text) if item]


def _workloads(mesh: Mesh) -> list[Path]:
    left_out = {_FIRST, _NEW_PODS, NEW_POD_FILE.name, NEW_SERVICE_FILE.name}
    if not any(part.namespace == OWN for part in mesh.components):
        left_out.add(_PLACEBO)
    return [path for path in sorted((FOLDER).glob("*.yaml")) if path.name not in left_out]


def _programs(namespace: str) -> Json:
    data = {path.name: path.read_text() for path in sorted((FOLDER).glob("*.py"))}
    metadata = {"name": _PROGRAMS, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _labelled(item: Json, mesh: Mesh) -> Json:
    """Add the mesh's enrolment labels and annotations to the meshed namespace."""
    if item["kind"] == "Namespace" and item["metadata"]["name"] == LAB:
        item["metadata"].setdefault("labels", {}).update(mesh.membership.namespace_labels)
        item["metadata"].setdefault("annotations", {}).update(mesh.membership.namespace_annotations)
    return item


def _unready(cluster: Cluster) -> Iterator[str]:
    """Yield each pod that is not ready and each workload with fewer ready pods than desired."""
    for namespace in (*NAMESPACES, "kube-system"):  # kube-system: the lab's first calls need DNS
        for kind in ("Deployment", "DaemonSet"):
            for item in cluster.kube.find("apps/v1", kind, namespace):
                wanted, ready = wanted_and_ready(item)
                if wanted == 0 or ready < wanted:
                    yield f"{kind} {namespace}/{item['metadata']['name']} {ready}/{wanted}"
        for pod in cluster.kube.pods(namespace):
            if "deletionTimestamp" in pod["metadata"] or not is_ready(pod):
                yield f"Pod {namespace}/{pod['metadata']['name']}"
