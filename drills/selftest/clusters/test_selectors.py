"""Which policy objects select a pod: Kubernetes' selectors, and each mesh's own kinds."""

import pytest

from clusters.kube import Json
from clusters.lab import load as objects
from clusters.meshes import load, names
from clusters.model import Mesh, TargetPod
from clusters.selectors import has_container, selects
from drills.report.audit.objects import related

LEDGER = TargetPod("lab", "ledger", "ledger", {"app": "ledger", "version": "v1"})


def expression(key: str, operator: str, *values: str) -> dict[str, object]:
    """Return a selector of one expression."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"app": "ledger"}}, True),
        ({"matchLabels": {"app": "ledger", "version": "v2"}}, False),
        ({"matchLabels": {"tier": "x"}}, False),
        (expression("app", "In", "fraud", "ledger"), True),
        (expression("app", "In", "fraud"), False),
        (expression("app", "NotIn", "fraud"), True),
        (expression("app", "NotIn", "ledger"), False),
        (expression("tier", "NotIn", "x"), True),
        (expression("app", "Exists"), True),
        (expression("tier", "Exists"), False),
        (expression("tier", "DoesNotExist"), True),
        (expression("app", "DoesNotExist"), False),
        (expression("app", "OfTomorrow"), True),
        ({"matchLabels": {"app": "ledger"}, **expression("version", "In", "v2")}, False),
    ],
)
def test_a_selector_fits_as_kubernetes_says(selector: object, fits: bool) -> None:
    """All labels and expressions must match; an unknown operator matches."""
    assert selects(selector, LEDGER.labels) is fits


def about(mesh: str, policy: dict[str, object], called: TargetPod = LEDGER) -> bool:
    """Return whether the object selects the pod, by the mesh's rules."""
    tells = load(mesh).policy.selects
    assert tells is not None
    return tells(policy, called)


def policy(kind: str, namespace: str = "lab", **spec: object) -> dict[str, object]:
    """Return a policy object."""
    return {"kind": kind, "metadata": {"name": "p", "namespace": namespace}, "spec": spec}


def applied(mesh: Mesh) -> list[Json]:
    """Return the mesh's policy objects that the harness applies, for callers and observers."""
    files = (mesh.manifests / "policy" / name for name in ("authorization.yaml", "observers.yaml"))
    return [it for path in files if path.exists() for it in objects(path, {})]


APP = {"matchLabels": {"app": "ledger"}}
OTHER = {"matchLabels": {"app": "fraud"}}


@pytest.mark.parametrize(
    ("mesh", "found", "is_about"),
    [
        ("istio-sidecar", policy("AuthorizationPolicy"), True),
        ("istio-sidecar", policy("AuthorizationPolicy", selector=APP), True),
        ("istio-sidecar", policy("AuthorizationPolicy", selector=OTHER), False),
        ("istio-sidecar", policy("AuthorizationPolicy", "istio-system", selector=APP), True),
        ("istio-sidecar", policy("AuthorizationPolicy", "outside"), False),
        ("istio-sidecar", policy("AuthorizationPolicy", targetRefs=[{"kind": "Gateway"}]), False),
        ("istio-sidecar", policy("PeerAuthentication", mtls={"mode": "STRICT"}), True),
        ("istio-sidecar", policy("VirtualService", hosts=["ledger.lab.svc.cluster.local"]), True),
        ("istio-sidecar", policy("VirtualService", hosts=["fraud.lab.svc.cluster.local"]), False),
        ("istio-sidecar", policy("VirtualService", "outside", hosts=["ledger"]), False),
        ("istio-sidecar", policy("DestinationRule", host="ledger"), True),
        ("istio-sidecar", policy("DestinationRule", "istio-system", host="*.local"), True),
        ("istio-sidecar", policy("DestinationRule", host="*.example.org"), False),
        ("istio-sidecar", policy("Telemetry"), False),
        ("cilium", policy("CiliumNetworkPolicy", endpointSelector={}), True),
        ("cilium", policy("CiliumNetworkPolicy", endpointSelector=APP), True),
        ("cilium", policy("CiliumNetworkPolicy", endpointSelector={"matchLabels": {"k8s:app": "ledger"}}), True),
        ("cilium", policy("CiliumNetworkPolicy", endpointSelector=OTHER), False),
        ("cilium", policy("CiliumNetworkPolicy", endpointSelector=expression("any:app", "In", "ledger")), True),
        ("cilium", policy("CiliumNetworkPolicy", "outside", endpointSelector={}), False),
        ("cilium", policy("CiliumClusterwideNetworkPolicy", "", endpointSelector=APP), True),
        ("cilium", policy("CiliumClusterwideNetworkPolicy", "", nodeSelector={}), False),
        (
            "cilium",
            policy(
                "CiliumClusterwideNetworkPolicy",
                "",
                endpointSelector={"matchLabels": {"k8s:io.cilium.k8s.policy.serviceaccount": "ledger"}},
            ),
            True,
        ),
        ("cilium", {**policy("CiliumNetworkPolicy"), "spec": None, "specs": [{"endpointSelector": APP}]}, True),
        ("cilium", policy("NetworkPolicy", podSelector=OTHER), False),
        ("linkerd", policy("Server", podSelector=APP), True),
        ("linkerd", policy("Server", podSelector=OTHER), False),
        ("linkerd", policy("Server", "outside", podSelector={}), False),
        ("linkerd", policy("HTTPRoute", parentRefs=[{"kind": "Service", "name": "ledger"}]), True),
        ("linkerd", policy("HTTPRoute", parentRefs=[{"kind": "Service", "name": "fraud"}]), False),
        ("linkerd", policy("HTTPRoute", parentRefs=[{"kind": "Server", "name": "ledger"}]), False),
        ("linkerd", policy("AuthorizationPolicy", targetRef={"kind": "Server", "name": "ledger"}), False),
        ("none", policy("NetworkPolicy", podSelector=APP), True),
        ("none", policy("NetworkPolicy", "outside", podSelector={}), False),
    ],
)
def test_a_mesh_knows_which_of_its_objects_are_about_a_pod(mesh: str, found: dict[str, object], is_about: bool) -> None:
    """By namespace, selector, root namespace or host, as the mesh defines each kind."""
    assert about(mesh, found) is is_about


@pytest.mark.parametrize("mesh", [name for name in names() if load(name).policy.selects is not None])
def test_the_harness_own_policies_are_found_for_the_service_that_they_are_about(mesh: str) -> None:
    """Of what is applied to a mesh, the rules of ledger and those for everyone are about ledger, and no other's."""
    found = applied(load(mesh))
    everyone = {it["metadata"]["name"] for it in found} & {"allow-nothing", "proxy-admin"}
    named = {it["metadata"]["name"] for it in found if about(mesh, it)}
    assert {"ledger", *everyone} <= named
    assert everyone
    assert named.isdisjoint({"frontend", "checkout", "payment", "fraud", "bank-adapter"})


def test_what_attaches_is_about_what_it_attaches_to() -> None:
    """The authorization of the route of ledger's Server and its callers, not those of other Servers."""
    by_name = {f"{it['kind']} lab/{it['metadata']['name']}": it for it in applied(load("linkerd"))}
    ours = related(by_name, lambda it: about("linkerd", dict(it)))
    assert {
        "Server lab/ledger",
        "HTTPRoute lab/ledger-callers",
        "AuthorizationPolicy lab/ledger",
        "MeshTLSAuthentication lab/callers-of-ledger",
        "HTTPRoute lab/probes",
        "AuthorizationPolicy lab/probes",
        "NetworkAuthentication lab/anywhere",
    } <= ours
    assert not any(app in name for name in ours for app in ("frontend", "checkout", "payment", "fraud", "bank"))


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_proxy_is_found_as_sidecar_of_either_kind(kind: str) -> None:
    """By its full name, among containers and native sidecars; a pod without containers has none."""
    assert has_container({"spec": {kind: [{"name": "app"}, {"name": "proxy"}]}}, "proxy")
    assert not has_container({"spec": {kind: [{"name": "proxy-init"}]}}, "proxy")
    assert not has_container({"spec": {kind: None}}, "proxy")
    assert not has_container({}, "proxy")
