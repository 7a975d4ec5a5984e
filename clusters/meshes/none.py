"""No mesh at all: the control. Whatever a security claim says, it must come out VIOLATED here.

Its control plane and node agents are placebos, workloads on which nothing depends, so that the same fault lands with
the same receipt and availability can be seen to hold. Its policies are NetworkPolicies, accepted by the API
server and enforced by nobody, because the plain CNI of our clusters has no policy engine.
"""

from collections.abc import Mapping

from clusters.model import (
    KUBERNETES_SOURCES,
    OF_CLUSTER,
    Called,
    Capability,
    Certificates,
    Component,
    Install,
    KnownIssue,
    Membership,
    Mesh,
    PolicyKind,
    PolicyModel,
    Reference,
    Role,
    SignalKind,
    SignalSpec,
)
from clusters.objects import network_policy_selects
from clusters.runtime import MANIFESTS

_KUBERNETES = "v1.34"
_CENTRAL = (Role.CONTROL_PLANE, Role.IDENTITY, Role.INJECTOR)
_ON_EACH_NODE = (Role.NODE_AGENT, Role.CNI)


def _kubernetes(title: str, path: str) -> Reference:
    return Reference(title, f"https://kubernetes.io/docs/{path}", _KUBERNETES, "documented")


def _selects(policy: Mapping[str, object], called: Called) -> bool:
    return network_policy_selects(policy, called.namespace, called.labels)


def _placebo(role: Role, kind: str, name: str, service: str = "") -> Component:
    """One placebo plays several roles, as one real process often does."""
    return Component(
        role=role,
        kind=kind,
        namespace="meshdrill",
        name=name,
        selector=f"app={name}",
        process=name,
        service=service,
        port=8080,
    )


def _down(signal: str, kind: str, name: str) -> SignalSpec:
    source = _kubernetes(f"{kind} status", f"concepts/workloads/controllers/{kind.lower()}/")
    return SignalSpec(signal, SignalKind.CONDITION, f"meshdrill/{kind}/{name}", source)


_GOES_ON = _kubernetes("Services do not depend on a placebo", "concepts/services-networking/service/")
_UNENFORCED = _kubernetes(
    "A NetworkPolicy without a plugin that implements it has no effect",
    "concepts/services-networking/network-policies/",
)
_ADMITTED = _kubernetes(
    "No webhook: every pod is admitted as it is", "reference/access-authn-authz/extensible-admission-controllers/"
)
_STATUS = _kubernetes("Deployment status", "concepts/workloads/controllers/deployment/")

MESH = Mesh(
    name="none",
    title="no mesh (control)",
    manifests=MANIFESTS / "none",
    components=(
        *(_placebo(role, "Deployment", "placebo", service="placebo") for role in (*_CENTRAL, Role.POLICY)),
        *(_placebo(role, "DaemonSet", "agent-placebo") for role in _ON_EACH_NODE),
    ),
    # The control claims what it does not have: a drill must ask it the same questions and see them fail.
    capabilities=frozenset(Capability) - OF_CLUSTER - {Capability.INJECTION, Capability.GIVEN_ISSUER},
    absent={
        Capability.INJECTION: "no webhook to break and no label to take away; injection-outage is the control of these",
        Capability.GIVEN_ISSUER: "nobody signs anything; identity-outage is the control of these",
    },
    install=Install(),
    membership=Membership(proves=lambda _pod, _witness: False),
    certificates=Certificates(leaf_ttl_s=0),
    policy=PolicyModel(kinds=(PolicyKind("networking.k8s.io/v1", "NetworkPolicy"),), selects=_selects),
    signals={
        **{f"{role}-down": _down(f"{role}-down", "Deployment", "placebo") for role in _CENTRAL},
        **{f"{role}-down": _down(f"{role}-down", "DaemonSet", "agent-placebo") for role in _ON_EACH_NODE},
    },
    sources={
        **KUBERNETES_SOURCES,
        **dict.fromkeys(
            (
                "traffic-continues",
                "l7-proxy-serves",
                "node-agent-traffic-continues",
                "cni-traffic-continues",
                "identity-lives",
                "identity-expires",
                "restart-traffic",
            ),
            _GOES_ON,
        ),
        **dict.fromkeys(
            (
                "strict-refused",
                "change-on-connections",
                "request-rule",
                "l7-proxy-missing",
                "l7-proxy-unready",
                "l7-proxy-deleted",
                "config-refused",
                "node-agent-policy-continues",
                "cni-policy-continues",
                "apiserver-policy",
                "reboot-policy",
                "restart-policy",
            ),
            _UNENFORCED,
        ),
        **dict.fromkeys(
            (
                "injection-fail-closed",
                "node-agent-bypass",
                "node-agent-new-pods",
                "cni-bypass",
                "cni-new-pods",
                "cni-removal",
                "identity-new-pods",
                "reboot-bypass",
            ),
            _ADMITTED,
        ),
        **dict.fromkeys(("loss-visible", "recovers"), _STATUS),
        "drops-witnessed": Reference(
            "Nobody refuses anything, so nobody records it",
            "https://kubernetes.io/docs/concepts/services-networking/network-policies/",
            _KUBERNETES,
            "not-promised",
        ),
        "certificates": Reference(
            "Nobody gives pods certificates, so none can run out",
            "https://kubernetes.io/docs/concepts/cluster-administration/networking/",
            _KUBERNETES,
            "not-promised",
        ),
        "apiserver-traffic": _kubernetes(
            "Without an API server, pods and Services that exist go on", "tasks/debug/debug-cluster/#specific-scenarios"
        ),
        "no-plaintext": _kubernetes(
            "Kubernetes does not encrypt pod traffic", "concepts/cluster-administration/networking/"
        ),
        "identity": _kubernetes("Pod traffic carries no identity", "concepts/cluster-administration/networking/"),
        "weighted-routing": _kubernetes(
            "A Service spreads calls over its pods alike", "concepts/services-networking/service/"
        ),
    },
    deviates=(
        KnownIssue(
            "sometimes during fault: signal control-plane-down appears",
            _kubernetes(
                "Readiness is asked by the kubelet, which a partition spares",
                "concepts/configuration/liveness-readiness-startup-probes/",
            ),
            "control-plane-partition",
        ),
    ),
    is_control=True,
)
