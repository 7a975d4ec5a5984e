"""No mesh: the control, on which every security claim must be VIOLATED.

Its control plane and node agents are placebos, workloads on which nothing depends: the same fault lands with the same
receipt, and availability holds. Its policies are NetworkPolicies, which the API server accepts and nothing enforces,
because the plain CNI of our clusters has no policy engine.
"""

from collections.abc import Mapping

from clusters.model import (
    OF_CLUSTER,
    Capability,
    Certificates,
    Component,
    Install,
    Membership,
    Mesh,
    PolicyKind,
    PolicyModel,
    Reference,
    Role,
    SignalKind,
    SignalSpec,
    TargetPod,
)
from clusters.runtime import MANIFESTS
from clusters.selectors import network_policy_selects

_KUBERNETES = "v1.34"
_CENTRAL = (Role.CONTROL_PLANE, Role.IDENTITY, Role.INJECTOR)
_ON_EACH_NODE = (Role.NODE_AGENT, Role.CNI)


def _kubernetes(title: str, path: str) -> Reference:
    return Reference(title, f"https://v1-34.docs.kubernetes.io/docs/{path}", _KUBERNETES, "documented")


def _selects(policy: Mapping[str, object], called: TargetPod) -> bool:
    return network_policy_selects(policy, called.namespace, called.labels)


def _placebo(role: Role, kind: str, name: str, service: str = "") -> Component:
    """Return a component backed by a placebo; one placebo has several roles, as a real process often has."""
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


MESH = Mesh(
    name="none",
    title="no mesh (control)",
    manifests=MANIFESTS / "none",
    components=(
        *(_placebo(role, "Deployment", "placebo", service="placebo") for role in (*_CENTRAL, Role.POLICY)),
        *(_placebo(role, "DaemonSet", "agent-placebo") for role in _ON_EACH_NODE),
    ),
    # The control claims capabilities that it lacks, so that a drill makes the same claims and sees them fail.
    capabilities=frozenset(Capability) - OF_CLUSTER - {Capability.INJECTION, Capability.GIVEN_ISSUER},
    absent={
        Capability.INJECTION: "no webhook to break and no label to remove; injection-outage is their control",
        Capability.GIVEN_ISSUER: "nothing is signed; identity-outage is their control",
    },
    install=Install(),
    membership=Membership(proves=lambda _pod, _witness: False),
    certificates=Certificates(leaf_ttl_s=0),
    policy=PolicyModel(kinds=(PolicyKind("networking.k8s.io/v1", "NetworkPolicy"),), selects=_selects),
    signals={
        **{f"{role}-down": _down(f"{role}-down", "Deployment", "placebo") for role in _CENTRAL},
        **{f"{role}-down": _down(f"{role}-down", "DaemonSet", "agent-placebo") for role in _ON_EACH_NODE},
    },
    is_control=True,
)
