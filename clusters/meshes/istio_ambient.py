"""Istio in ambient mode: one ztunnel per node carries all pods' connections; a CNI plugin enrols pods at start.

istiod is control plane, certificate issuer and validating webhook; nothing is injected. Without a waypoint,
authorization is layer 4 only. Facts are those of 1.31, with their sources.
"""

import json
import re
from collections.abc import Mapping

from clusters.meshes._istiod import NOT_VALIDATED, VALIDATION, VALIDATOR, with_plugged_in_ca
from clusters.model import (
    Capability,
    Certificates,
    ChartRelease,
    Component,
    Drop,
    DropLog,
    EnforcementPoint,
    Enrolment,
    Handshake,
    Identity,
    Install,
    Membership,
    Mesh,
    Override,
    PolicyKind,
    PolicyModel,
    Reference,
    Role,
    SignalKind,
    SignalSpec,
    TargetPod,
    logged_ns,
)
from clusters.runtime import MANIFESTS
from clusters.selectors import at_path, deployment_of, selects

_VERSION = "1.31"
_TRUST_DOMAIN = "cluster.local"
_NAMESPACE = "istio-system"
_TREE = "https://github.com/istio/istio/blob/1.31.0"
_ZTUNNEL = "https://github.com/istio/ztunnel/blob/1.31.0-rc.0"
_POLICIES = "security.istio.io/v1"
_RULE_CUT = f"{_POLICIES} AuthorizationPolicy lab/request-rule ZtunnelAccepted=UnsupportedValue"
_BOUND = "v1 Service lab/frontend istio.io/WaypointBound"
_BINDINGS = {"l7-proxy-unbound": False, "l7-proxy-bound": True}  # signal -> what the condition says
_LOGS = "/var/log/pods/istio-system_ztunnel-*/istio-proxy/*.log"
_REFUSED = re.compile(r"connection closed due to policy (?:rejection: |change)")
_ENROLLED = "ambient.istio.io/redirection"  # the CNI agent sets this annotation last, once ztunnel serves the pod


def _source(title: str, url: str, kind: str) -> Reference:
    return Reference(title, url, _VERSION, kind)


def _code(title: str, path: str, kind: str = "source") -> Reference:
    return _source(title, f"{_TREE}/{path}", kind)


def _rust(title: str, path: str, kind: str = "source") -> Reference:
    return _source(title, f"{_ZTUNNEL}/{path}", kind)


_READINESS = {
    workload: _code("The chart's readiness probe", f"manifests/charts/{path}")
    for workload, path in (
        ("Deployment/istiod", "istio-control/istio-discovery/templates/deployment.yaml"),
        ("DaemonSet/ztunnel", "ztunnel/templates/daemonset.yaml"),
        ("DaemonSet/istio-cni-node", "istio-cni/templates/daemonset.yaml"),
    )
}
_PLUGIN = _code("The CNI plugin calls the CNI agent of its node and fails without it", "cni/pkg/plugin/plugin.go")
# The documents promise that a policy with such a rule denies. A DENY rule then has no effect, even one that names its
# callers: without its HTTP fields, `to` is an empty match, which ztunnel skips (src/rbac.rs). The message in the status
# says the opposite, that it is more restrictive than requested; see https://github.com/istio/istio/issues/61126.
_L4_ONLY = _code(
    "ztunnel does not get the HTTP fields of a rule, which need a waypoint; the object's status reports it",
    "pilot/pkg/serviceregistry/ambient/authorization.go",
)
_UNBOUND = _code(
    "The status of a Service reports whether its waypoint exists (WaypointBound)",
    "pilot/pkg/serviceregistry/ambient/waypoints.go",
)
_ACCESS_LOG = _rust(
    "ztunnel's access log names source, destination and policy of a denied connection", "src/proxy/metrics.rs"
)


def _member(pod: Mapping[str, object], _witness: Mapping[str, object] | None) -> bool:
    """Return whether the CNI agent reported that ztunnel carries the pod's connections."""
    return at_path(pod, "metadata", "annotations", _ENROLLED) == "enabled"


def _selects(policy: Mapping[str, object], called: TargetPod) -> bool:
    """Return whether ztunnel enforces the object for the called pod; an object with a targetRef is for a waypoint."""
    spec, namespace = policy.get("spec"), at_path(policy, "metadata", "namespace")
    if at_path(spec, "targetRef") or at_path(spec, "targetRefs"):
        return False
    return namespace in {called.namespace, _NAMESPACE} and selects(at_path(spec, "selector"), called.labels)


def _image_values(images: Mapping[str, str], _built: bool) -> dict[str, object]:
    return {
        chart: {"image": images[f"istio-{image}"]}
        for chart, image in (("istiod", "pilot"), ("istio-cni", "install-cni"), ("ztunnel", "ztunnel"))
    }


def _drop(line: str) -> Drop | None:
    """Parse one line of ztunnel's container log; None unless it is a denial.

    The kubelet prefixes time, stream and a tag. Only the ztunnel that received the connection logs the denial as one.
    """
    _, is_whole, said = line.partition(" F {")  # F: the kubelet's tag of a full line
    if not is_whole:
        return None
    entry = json.loads("{" + said)
    error = str(entry.get("error", ""))
    if entry.get("scope") != "access" or entry.get("direction") != "inbound" or not _REFUSED.match(error):
        return None
    source = _account(entry.get("src.identity")) or deployment_of(entry.get("src.workload"))
    target = str(entry.get("dst.service", "")).partition(".")[0] or deployment_of(entry.get("dst.workload"))
    drop = Drop(logged_ns(entry["time"]), source, target, _REFUSED.sub("", error) or error)
    return drop if source and target else None


def _account(identity: object) -> str:
    """Return the ServiceAccount of an identity, which is the app label in the lab; "" outside the mesh."""
    return str(identity).rpartition("/sa/")[2] if identity else ""


def _istiod(role: Role) -> Component:
    """Return istiod as the component of a role; it has several, and a fault of one breaks all."""
    # 15014 serves plain HTTP on the Service and on the pod.
    return Component(role, "Deployment", _NAMESPACE, "istiod", "app=istiod", "pilot-discovery", "istiod", 15014)


def _down(workload: str, *parts: Role) -> dict[str, SignalSpec]:
    names = [f"{part}-down" for part in parts]
    return {it: SignalSpec(it, SignalKind.CONDITION, f"{_NAMESPACE}/{workload}", _READINESS[workload]) for it in names}


MESH = Mesh(
    name="istio-ambient",
    title="Istio ambient",
    manifests=MANIFESTS / "istio-ambient",
    components=(
        *(_istiod(role) for role in (Role.CONTROL_PLANE, Role.IDENTITY, Role.POLICY)),
        Component(Role.NODE_AGENT, "DaemonSet", _NAMESPACE, "ztunnel", "app=ztunnel", "ztunnel", port=15020),
        Component(
            Role.CNI, "DaemonSet", _NAMESPACE, "istio-cni-node", "k8s-app=istio-cni-node", "install-cni", port=15014
        ),
    ),
    capabilities=frozenset(
        {
            Capability.MTLS,
            Capability.POLICY_API,
            Capability.BOUND_L7_PROXY,
            Capability.CONTROL_PLANE_NETWORK,
            Capability.SHORT_LEAVES,
            Capability.NEW_PODS_ALONE,
        }
    ),
    absent={
        Role.INJECTOR: "nothing is injected: the CNI plugin enrols a pod at start, or keeps it from starting",
        Capability.INJECTION: "nothing is injected: the CNI plugin enrols a pod at start",
        Capability.GIVEN_ISSUER: "istiod creates its own authority; istio-ambient-ca supplies one",
        Capability.ENCRYPTION: "the kernel encrypts nothing; ztunnel does, by mutual TLS",
    },
    install=Install(
        charts=tuple(ChartRelease(it, it, _NAMESPACE, it) for it in ("istio-base", "istiod", "istio-cni", "ztunnel")),
        image_values=_image_values,
        crds=("gateway-classes", "gateways"),  # a waypoint is a Gateway; without its CRD istiod knows no waypoints
    ),
    membership=Membership(
        proves=_member, enrolment=Enrolment.START, namespace_labels={"istio.io/dataplane-mode": "ambient"}
    ),
    certificates=Certificates(
        leaf_ttl_s=24 * 3600,
        leaf_values=lambda leaf_s: {"ztunnel": {"env": {"SECRET_TTL": f"{leaf_s}s"}}},
        handshake=Handshake(15008, ("h2",)),  # HBONE: ztunnel presents the pod's certificate here
    ),
    identity=Identity(trust_domain=_TRUST_DOMAIN),  # mutual TLS ends at ztunnel; the server sees no identity
    policy=PolicyModel(
        kinds=tuple(PolicyKind(_POLICIES, it) for it in ("AuthorizationPolicy", "PeerAuthentication")),
        points=(
            EnforcementPoint(
                "AuthorizationPolicy of connections", "certificate in ztunnel", "in the pod, by the CNI", "ztunnel"
            ),
            EnforcementPoint(
                "AuthorizationPolicy of requests", "certificate in ztunnel", "the caller's ztunnel", "the waypoint"
            ),
        ),
        root=_NAMESPACE,
        selects=_selects,
    ),
    drop_log=DropLog(_LOGS, f"{_LOGS}.*", _drop, _ACCESS_LOG),
    wire_scope="any",  # ztunnel's sockets are in the pod's network namespace: all that leaves it is encrypted
    signals={
        **_down("Deployment/istiod", Role.CONTROL_PLANE, Role.IDENTITY),  # readiness fails after each kind of fault
        **_down("DaemonSet/ztunnel", Role.NODE_AGENT),
        **_down("DaemonSet/istio-cni-node", Role.CNI),
        "new-pod-blocked": SignalSpec(
            "new-pod-blocked", SignalKind.POD_EVENT, 'plugin type="istio-cni" name="istio-cni" failed (add)', _PLUGIN
        ),
        "rule-unenforced": SignalSpec("rule-unenforced", SignalKind.STATUS, _RULE_CUT, _L4_ONLY),
        **{it: SignalSpec(it, SignalKind.STATUS, f"{_BOUND}={is_so}", _UNBOUND) for it, is_so in _BINDINGS.items()},
        "policy-refused": SignalSpec("policy-refused", SignalKind.ADMISSION, NOT_VALIDATED, VALIDATION),
    },
    webhooks=(VALIDATOR,),
    overrides=(
        Override("istiod: resources.requests", "cpu 50m, memory 256Mi", "three nodes share two cores"),
        Override("istiod: autoscaleEnabled", "false", "no metrics server; one replica makes the outage total"),
        # By default up to 100 connections share one tunnel, and the access log has a line for every connection.
        Override("ztunnel: POOL_MAX_STREAMS_PER_CONNECTION", "1", "each new connection must need its own handshake"),
        Override("ztunnel: logLevel, logAsJson", "info,access=warn; true", "denials are read from its log"),
        Override("Gateway API", "GatewayClass and Gateway only", "a waypoint is a Gateway; no drill uses routes"),
        Override(
            "istiod and CNI images",
            "our own builds of the release line's module",
            "no container registry: the source comes from a package registry",
            only_when_built=True,
        ),
    ),
)

VARIANTS = (with_plugged_in_ca(MESH),)
