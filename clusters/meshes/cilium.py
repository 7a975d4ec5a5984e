"""Cilium: no sidecar; identity comes from labels, and the kernel of each node enforces policy.

The agent of a node programs the kernel, the operator does cluster-wide work, and SPIRE issues the identities with
which agents authenticate each other for their pods. Hubble, in each agent, exports every drop to a file. Facts are
those of 1.20, with their sources.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from clusters.model import (
    Capability,
    Certificates,
    ChartRelease,
    Component,
    Drop,
    DropLog,
    EnforcementPoint,
    Enrolment,
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
    by_name,
    logged_ns,
    with_more,
    with_values,
)
from clusters.runtime import MANIFESTS
from clusters.selectors import at_path, network_policy_selects, rules_select

_VERSION = "1.20"
_TREE = "https://github.com/cilium/cilium/blob/v1.20.2"
_CHART = "install/kubernetes/cilium"
_VALIDATOR = "operator/pkg/networkpolicy/validator.go"
_NAMESPACE, _SPIRE = "kube-system", "cilium-spire"


def _source(title: str, url: str, kind: str = "documented") -> Reference:
    return Reference(title, url, _VERSION, kind)


def _code(title: str, path: str) -> Reference:
    return _source(title, f"{_TREE}/{path}", "source")


_EXPORTER = _source(
    "The Hubble exporter writes flow events to a file",
    f"{_TREE}/Documentation/observability/hubble/configuration/export.rst",
)
_OPERATOR_READY = _code("The chart's readiness probe", f"{_CHART}/templates/cilium-operator/deployment.yaml")
_SPIRE_READY = _code("The chart's readiness probe", f"{_CHART}/templates/spire/server/statefulset.yaml")
_TAINT = _code(
    "The operator taints a node on which an agent is scheduled and does not run", "operator/watchers/node_taint.go"
)
_PLUGIN = _code("The CNI plugin calls the agent of its node and fails without it", "plugins/cilium-cni/cmd/cmd.go")
# The agent ignores an update that it cannot parse and keeps the previous version (pkg/policy/k8s, v1.20.2).
_NO_REQUESTS = _code(
    "Without its L7 proxy, Cilium rejects policies with HTTP rules and reports it in the object's status (Valid)",
    _VALIDATOR,
)
_DECLARED = "cilium.io/v2 CiliumNetworkPolicy lab/frontend Valid=False"
_HUBBLE = "/var/run/cilium/hubble"
_APP = "k8s:app="
_ORIGINS = ("k8s:", "any:")  # prefixes of label names: the label's source
_OPERATOR = ("cilium-operator", "io.cilium/app=operator", "cilium-operator-generic")  # name, selector, process
_AGENT = ("cilium", "k8s-app=cilium", "cilium-agent")
_PARTS = (Role.NODE_AGENT, Role.CNI)  # the agent has both roles: it is also the CNI plugin's backend


def _selects(policy: Mapping[str, object], called: TargetPod) -> bool:
    """Return whether one of the object's rules selects the called pod."""
    if policy.get("kind") == "NetworkPolicy":
        return network_policy_selects(policy, called.namespace, called.labels)
    if policy.get("kind") == "CiliumNetworkPolicy" and at_path(policy, "metadata", "namespace") != called.namespace:
        return False
    known_by = {
        **called.labels,
        "io.kubernetes.pod.namespace": called.namespace,
        "io.cilium.k8s.policy.serviceaccount": called.service_account,
    }
    return rules_select(policy, "endpointSelector", known_by, _ORIGINS)  # a rule without it selects nodes


def _exactly(ref: str) -> dict[str, object]:
    return {"override": ref, "useDigest": False, "pullPolicy": "IfNotPresent"}


def _image_values(images: Mapping[str, str], _built: bool) -> dict[str, object]:
    spire = {
        "initImage": _exactly(images["spire-init"]),
        **{part: {"image": _exactly(images[f"spire-{part}"])} for part in ("agent", "server")},
    }
    return {
        "image": _exactly(images["cilium"]),
        "operator": {"image": _exactly(images["cilium-operator"])},
        "authentication": {"mutual": {"spire": {"install": spire}}},
    }


def _drop(line: str) -> Drop | None:
    """Parse one line of Hubble's export; None unless it is a drop between two pods with app labels."""
    flow = json.loads(line).get("flow", {})
    source, target = (_app(flow.get(end, {})) for end in ("source", "destination"))
    if not source or not target or flow.get("verdict") != "DROPPED":
        return None
    return Drop(logged_ns(flow["time"]), source, target, str(flow.get("drop_reason_desc", "unknown")))


def _app(end: object) -> str:
    labels = at_path(end, "labels")
    known = map(str, labels if isinstance(labels, list) else ())
    return next((label.removeprefix(_APP) for label in known if label.startswith(_APP)), "")


_NO_ENVOY = Override("envoy.enabled, l7Proxy", "false", "no package registry has cilium-envoy; cilium-l7 enables it")


MESH = Mesh(
    name="cilium",
    title="Cilium",
    manifests=MANIFESTS / "cilium",
    components=(
        Component(Role.CONTROL_PLANE, "Deployment", _NAMESPACE, *_OPERATOR, port=9963),
        *(Component(role, "DaemonSet", _NAMESPACE, *_AGENT, port=9962) for role in _PARTS),
        # 8080 serves plain HTTP on the pod: the server's health endpoint.
        Component(Role.IDENTITY, "StatefulSet", _SPIRE, "spire-server", "app=spire-server", "spire-server", port=8080),
    ),
    capabilities=frozenset(
        {
            Capability.POLICY_API,
            Capability.NEW_PODS_ALONE,
        }
    ),
    absent={
        Role.POLICY: "each agent reads policies from the Kubernetes API itself; see apiserver-outage",
        Capability.BOUND_L7_PROXY: "no Service selects its proxy by a label",
        Capability.ENCRYPTION: (
            "it is off here: cilium-wireguard has it. IPsec would need ESP in the kernel and a key from the harness; "
            "ztunnel is beta in 1.20 and needs one more image"
        ),
        Capability.MTLS: "agents authenticate each other for their pods, but no connection of a pod uses TLS",
        Capability.CONTROL_PLANE_NETWORK: "the operator shares its node's network: their packets are indistinguishable",
        Capability.SHORT_LEAVES: "the chart has no value for the lifetime of SPIRE's certificates, one hour",
        Capability.GIVEN_ISSUER: "SPIRE's server creates its own authority",
        Capability.INJECTION: "there is nothing to inject: the pod network is the mesh",
    },
    install=Install(
        charts=(ChartRelease("cilium", "cilium", _NAMESPACE),),
        image_values=_image_values,
        volumes=("spire-data",),
        is_network=True,
    ),
    membership=Membership(
        # An agent manages the pod if its CiliumEndpoint has a security identity and is ready.
        proves=lambda _pod, it: bool(at_path(it, "status", "identity")) and at_path(it, "status", "state") == "ready",
        witness=("cilium.io/v2", "CiliumEndpoint"),
        enrolment=Enrolment.START,
        is_cluster_wide=True,
    ),
    # No pod has a TLS certificate: the kernel knows the caller's identity from its labels.
    certificates=Certificates(leaf_ttl_s=0),
    policy=PolicyModel(
        kinds=(
            *(PolicyKind("cilium.io/v2", kind) for kind in ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")),
            PolicyKind("networking.k8s.io/v1", "NetworkPolicy"),
        ),
        points=(
            EnforcementPoint(
                "CiliumNetworkPolicy", "the pod's labels", "eBPF at its interface", "the called node's kernel"
            ),
        ),
        selects=_selects,
    ),
    drop_log=DropLog(f"{_HUBBLE}/events.log", f"{_HUBBLE}/events-*.log", _drop, _EXPORTER),
    signals=by_name(
        SignalSpec(
            "control-plane-down", SignalKind.CONDITION, f"{_NAMESPACE}/Deployment/cilium-operator", _OPERATOR_READY
        ),
        SignalSpec("identity-down", SignalKind.CONDITION, f"{_SPIRE}/StatefulSet/spire-server", _SPIRE_READY),
        *(SignalSpec(f"{it}-down", SignalKind.NODE_TAINT, "node.cilium.io/agent-not-ready", _TAINT) for it in _PARTS),
        SignalSpec("rule-unenforced", SignalKind.STATUS, _DECLARED, _NO_REQUESTS),
        # An agent's first garbage collection, 5 min after start, deletes authentications with nodes that had no id yet
        # when the agent learned of them (pkg/auth/authmap_gc.go, v1.20.2); a dead agent cannot renew them. The first
        # packet of each new pair is dropped with the same reason, so no claim takes this signal for an alert.
        SignalSpec("authentication-lost", SignalKind.DROP, "AUTH_REQUIRED", _EXPORTER),
        # The plugin waits 30 s for its agent when it adds a pod, and 30 s more when it cleans up a failed add.
        SignalSpec("new-pod-blocked", SignalKind.POD_EVENT, 'plugin type="cilium-cni"', _PLUGIN),
    ),
    overrides=(
        Override("operator.replicas", "1", "one replica makes the outage total"),
        _NO_ENVOY,
        Override("resources.limits.cpu", "500m", "a starting agent would take both cores from the callers"),
        Override("updateStrategy.rollingUpdate.maxUnavailable", "1", "three nodes share two cores"),
        Override("authentication.mutual.spire", "enabled", "the identity issuer to kill; deprecated in 1.20"),
        Override("SPIRE server.dataStorage", "a directory of one node", "a cluster of kind provisions no volumes"),
        Override(
            "SPIRE server, agent and busybox",
            "SPIRE 1.13.3 and our own shell image instead of 1.15.3 and busybox",
            "no container registry: no package registry has one of 1.15.3's modules",
            only_when_built=True,
        ),
        Override("hubble.export.static", "drops only", "the harness reads each node's drop log"),
        Override(
            "agent and operator images",
            "our own builds of the release's module",
            "no container registry: the release's source comes from a package registry",
            only_when_built=True,
        ),
    ),
)

_WIREGUARD = {"encryption": {"enabled": True, "type": "wireguard"}}
_INVALID = _code("The object's status reports a policy that Cilium rejects (Valid)", _VALIDATOR)
_ENVOY = ("cilium-envoy", "k8s-app=cilium-envoy", "cilium-envoy")
_REQUESTS = ("CiliumNetworkPolicy on requests", "the pod's labels", "eBPF and TPROXY", "the called node's Envoy")
_ENCRYPTING = with_values(with_more(MESH, Capability.ENCRYPTION), lambda _images: _WIREGUARD)
_WITH_ENVOY = with_values(
    MESH,
    lambda images: {"envoy": {"enabled": True, "image": _exactly(images["cilium-envoy"])}, "l7Proxy": True},
)

VARIANTS = (
    replace(
        _ENCRYPTING,
        name="cilium-wireguard",
        title="Cilium with WireGuard",
        install=replace(_ENCRYPTING.install, kernel_features=("WireGuard",)),
        wire_scope="nodes",  # traffic within one node is not encrypted
    ),
    replace(
        _WITH_ENVOY,
        name="cilium-l7",
        title="Cilium with its L7 proxy",
        components=(*MESH.components, Component(Role.L7_PROXY, "DaemonSet", _NAMESPACE, *_ENVOY)),
        install=replace(_WITH_ENVOY.install, kernel_features=("TPROXY",)),
        policy=replace(MESH.policy, points=(*MESH.policy.points, EnforcementPoint(*_REQUESTS))),
        signals={**MESH.signals, **by_name(msgspec.structs.replace(MESH.signals["rule-unenforced"], source=_INVALID))},
        overrides=tuple(it for it in MESH.overrides if it is not _NO_ENVOY),
    ),
)
