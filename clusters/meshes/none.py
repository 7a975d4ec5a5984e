"""No mesh at all: the control. Whatever a security claim says, it must come out VIOLATED here.

Its control plane and node agents are placebos, workloads on which nothing depends, so that the same fault lands with
the same receipt and availability can be seen to hold. Its policies are NetworkPolicies, accepted by the API
server and enforced by nobody, because the plain CNI of our clusters has no policy engine.
"""

from collections.abc import Mapping

from clusters.mesh import (
    KUBERNETES_SOURCES,
    Called,
    Capability,
    Component,
    Mesh,
    PolicyKind,
    Role,
    Signal,
    SignalKind,
    Source,
)
from clusters.selectors import network_policy_selects

_KUBERNETES = "v1.34"


def _kubernetes(title: str, path: str) -> Source:
    return Source(title, f"https://kubernetes.io/docs/{path}", _KUBERNETES, "documented")


def _never_a_member(_pod: Mapping[str, object], _witness: Mapping[str, object] | None) -> bool:
    return False


def _no_identity(_namespace: str, _service_account: str) -> str:
    return ""


def _no_values(_images: Mapping[str, str], _built: bool) -> dict[str, object]:
    return {}


def _selects(policy: Mapping[str, object], called: Called) -> bool:
    return network_policy_selects(policy, called.namespace, called.labels)


def _placebo(role: Role) -> Component:
    """One placebo plays every role of a control plane, as one real process often does."""
    return Component(
        role=role,
        kind="Deployment",
        namespace="meshdrill",
        name="placebo",
        selector="app=placebo",
        process="placebo",
        service="placebo",
        port=8080,
    )


def _down(name: str) -> Signal:
    source = _kubernetes("Deployment status", "concepts/workloads/controllers/deployment/")
    return Signal(name, SignalKind.CONDITION, "meshdrill/Deployment/placebo", source)


def _placebo_agent(role: Role) -> Component:
    return Component(
        role=role,
        kind="DaemonSet",
        namespace="meshdrill",
        name="agent-placebo",
        selector="app=agent-placebo",
        process="agent-placebo",
        port=8080,
    )


def _agent_down(name: str) -> Signal:
    source = _kubernetes("DaemonSet status", "concepts/workloads/controllers/daemonset/")
    return Signal(name, SignalKind.CONDITION, "meshdrill/DaemonSet/agent-placebo", source)


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
    components=(
        *map(_placebo, (Role.CONTROL_PLANE, Role.IDENTITY, Role.INJECTOR)),
        *map(_placebo_agent, (Role.NODE_AGENT, Role.CNI)),
    ),
    # The control claims what it does not have: a drill must ask it the same questions and see them fail.
    capabilities=frozenset(Capability) - {Capability.INJECTION},
    absent={
        Capability.INJECTION: "no webhook to break and no label to take away; injection-outage is the control of these"
    },
    charts=(),
    values="",
    policy="none",
    namespace_labels={},
    leaf_ttl_s=0,
    trust_domain="",
    identity_header="",
    policy_kinds=(PolicyKind("networking.k8s.io/v1", "NetworkPolicy"),),
    policy_selects=_selects,
    member=_never_a_member,
    identity=_no_identity,
    image_values=_no_values,
    signals={
        **{name: _down(name) for name in ("control-plane-down", "identity-down", "injector-down")},
        **{name: _agent_down(name) for name in ("node-agent-down", "cni-down")},
    },
    sources={
        **KUBERNETES_SOURCES,
        **dict.fromkeys(
            (
                "traffic-continues",
                "node-agent-traffic-continues",
                "cni-traffic-continues",
                "identity-lives",
                "identity-expires",
            ),
            _GOES_ON,
        ),
        **dict.fromkeys(
            (
                "strict-refused",
                "config-refused",
                "node-agent-policy-continues",
                "cni-policy-continues",
                "apiserver-policy",
                "reboot-policy",
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
        "drops-witnessed": Source(
            "Nobody refuses anything, so nobody records it",
            "https://kubernetes.io/docs/concepts/services-networking/network-policies/",
            _KUBERNETES,
            "not-promised",
        ),
        "certificates": Source(
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
    is_control=True,
)
