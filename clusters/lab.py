"""Deploy the lab on a mesh: namespaces, the programs, the policies in the mesh's own words, then the workloads."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

import yaml

from clusters.errors import HarnessError
from clusters.install import MANIFESTS, wait_components
from clusters.kube import Admission, Json, is_ready, wanted_and_ready
from clusters.mesh import Enrolment, Mesh
from clusters.place import Place
from clusters.progress import Steps
from clusters.waiting import wait_until

LAB, OUTSIDE, OWN = "lab", "outside", "meshdrill"
NAMESPACES = (LAB, OUTSIDE, OWN)
ON_DEMAND = frozenset({"newcomer", "latecomer"})
"""Apps, each with a manifest of its name, that a probe makes and removes: no part of what is deployed."""

# A webhook has decided before the pod exists; what starts with the pod may be shown a little after it.
_ENROLLED_S = {Enrolment.ADMISSION: 1.0, Enrolment.START: 30.0}
_PROGRAMS = "lab-programs"
_TRIED = "meshdrill-asked"
_FIRST = "namespaces.yaml"
_PLACEBO = "placebo.yaml"  # only where a mesh names it as a component


def deploy(place: Place, mesh: Mesh, *, image: str, steps: Steps) -> None:
    """Apply the whole lab in the order in which each part needs the one before."""
    names = {"LAB_IMAGE": image}
    with steps.step("lab namespaces and policies"):
        place.kube.apply_all([_labelled(item, mesh) for item in load(MANIFESTS / "lab" / _FIRST, names)])
        place.kube.apply_all([_programs(namespace) for namespace in NAMESPACES])
        place.kube.apply_all([item for path in policies(mesh) for item in load(path, names)])
    if mesh.enrolment is Enrolment.ADMISSION and not mesh.is_control:
        with steps.step("new pods enrolled"):
            wait_enrolled(place, mesh)
    with steps.step("lab workloads"):
        place.kube.apply_all([item for path in _workloads(mesh) for item in load(path, names)])


def try_pod(place: Place) -> Admission:
    """Ask what the API server makes of a new pod of the lab, and keep none; HarnessError when it cannot be asked."""
    answer = place.kube.try_pod(tried_pod())
    if answer.outcome == "failed":
        raise HarnessError(f"The API server could not be asked about a new pod: {answer.message}")
    return answer


def tried_pod() -> Json:
    """Return the pod that try_pod asks about, as it is before any webhook."""
    (pod,) = load(MANIFESTS / "lab" / "newcomer.yaml", {"NAME": _TRIED, "LAB_IMAGE": _TRIED})
    return pod


def wait_enrolled(place: Place, mesh: Mesh, *, within_s: float = 60.0) -> None:
    """Wait until the API server reaches the webhook: where it may do without, the lab would start outside the mesh."""
    wait_until(
        lambda: try_pod(place),
        lambda answer: answer.outcome == "accepted" and mesh.member(answer.object, None),
        what=f"A new pod of {LAB} put into the mesh by its webhook",
        within_s=within_s,
        next_step="Does the API server reach the webhook's Service?",
    )


def wait_ready(place: Place, mesh: Mesh, steps: Steps) -> None:
    """Wait until every pod of the lab and every part of the mesh is ready, and each meshed pod is provably a member."""
    with steps.step("lab ready"):
        wait_until(
            lambda: list(_unready(place)),
            lambda waiting: not waiting,
            what=f"Every pod of the lab on {place.name} ready",
            within_s=150.0,
            next_step=f"Look at `kubectl --kubeconfig {place.kubeconfig} get events -A`.",
        )
    wait_components(place, mesh, steps)
    if not mesh.is_control:
        wait_until(
            lambda: [name for name, is_member in members(place, mesh, LAB).items() if not is_member],
            lambda strangers: not strangers,
            what=f"Every pod of {LAB} in the mesh",
            within_s=_ENROLLED_S[mesh.enrolment],
            next_step="Was the namespace labelled or annotated before they were created?",
        )


def members(place: Place, mesh: Mesh, namespace: str) -> dict[str, bool | None]:
    """Return pod -> whether it is in the mesh, for each pod of the namespace; HarnessError as `Kube.find`.

    None where the object that would prove it is not there, and, where pods are enrolled as they start, of a pod that is
    not ready: it may only not have happened yet.
    """
    pods = place.kube.pods(namespace)
    proofs = {}
    if mesh.member_witness is not None:
        proofs = {found["metadata"]["name"]: found for found in place.kube.find(*mesh.member_witness, namespace)}
    return {(name := pod["metadata"]["name"]): _is_member(mesh, pod, proofs.get(name)) for pod in pods}


def is_member(place: Place, mesh: Mesh, pod: Mapping[str, object]) -> bool | None:
    """Tell as `members` does whether one pod is in the mesh; HarnessError when the API does not answer."""
    if mesh.member_witness is None:
        return _is_member(mesh, pod, None)
    metadata = pod["metadata"]
    named = metadata if isinstance(metadata, Mapping) else {}
    return _is_member(mesh, pod, place.kube.get(*mesh.member_witness, str(named["name"]), str(named["namespace"])))


def _is_member(mesh: Mesh, pod: Mapping[str, object], proof: Mapping[str, object] | None) -> bool | None:
    is_early = mesh.enrolment is Enrolment.START and not is_ready(pod)
    if is_early or (mesh.member_witness is not None and proof is None):
        return None
    return mesh.member(pod, proof)


def policies(mesh: Mesh) -> list[Path]:
    """Return the mesh's policy files, without those that probes and faults apply and remove."""
    return [path for path in sorted((MANIFESTS / "policy" / mesh.policy).glob("*.yaml")) if path.name != "change.yaml"]


def load(path: Path, names: Mapping[str, str]) -> list[Json]:
    """Read the objects of a manifest with its ${NAMES} filled in; a name that nobody gave is an error."""
    try:
        text = Template(path.read_text()).substitute(names)
    except (KeyError, ValueError) as error:
        raise HarnessError(f"Manifest {path.name}: placeholder {error} has no value.") from error
    return [item for item in yaml.safe_load_all(text) if item]


def _workloads(mesh: Mesh) -> list[Path]:
    left_out = {_FIRST, *(f"{app}.yaml" for app in ON_DEMAND)}
    if not any(part.namespace == OWN for part in mesh.components):
        left_out.add(_PLACEBO)
    return [path for path in sorted((MANIFESTS / "lab").glob("*.yaml")) if path.name not in left_out]


def _programs(namespace: str) -> Json:
    data = {path.name: path.read_text() for path in sorted((MANIFESTS / "lab").glob("*.py"))}
    metadata = {"name": _PROGRAMS, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _labelled(item: Json, mesh: Mesh) -> Json:
    """Put the mesh's own enrolment labels and annotations on the namespace that belongs to it."""
    if item["kind"] == "Namespace" and item["metadata"]["name"] == LAB:
        item["metadata"].setdefault("labels", {}).update(mesh.namespace_labels)
        item["metadata"].setdefault("annotations", {}).update(mesh.namespace_annotations)
    return item


def _unready(place: Place) -> Iterator[str]:
    """Name what is missing: a pod that is not ready, or a workload with fewer pods than it wants."""
    for namespace in (*NAMESPACES, "kube-system"):  # without its DNS the lab's first calls go nowhere
        for kind in ("Deployment", "DaemonSet"):
            for item in place.kube.find("apps/v1", kind, namespace):
                wanted, ready = wanted_and_ready(item)
                if wanted == 0 or ready < wanted:
                    yield f"{kind} {namespace}/{item['metadata']['name']} {ready}/{wanted}"
        for pod in place.kube.pods(namespace):
            if "deletionTimestamp" in pod["metadata"] or not is_ready(pod):
                yield f"Pod {namespace}/{pod['metadata']['name']}"
