"""Linkerd: a micro-proxy in every pod; destination, identity and proxy-injector are separate Deployments.

Facts are those of edge-26.8, with their sources. MESH is the chart's default: one replica each, and webhooks with
failurePolicy Ignore. VARIANTS are the HA mode, and a lab with the chart's default inbound policy,
`all-unauthenticated`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from clusters.model import (
    Authority,
    Capability,
    Certificates,
    ChartRelease,
    Component,
    Drop,
    DropLog,
    EnforcementPoint,
    Handshake,
    Identity,
    Install,
    Issuance,
    IssuerSecret,
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
    Webhook,
    by_name,
    logged_ns,
)
from clusters.runtime import MANIFESTS
from clusters.selectors import has_container, network_policy_selects, route_selects

_VERSION = "edge-26.8.3"
_NAMESPACE, _TRUST_DOMAIN = "linkerd", "cluster.local"
_WEBSITE = "https://github.com/linkerd/website/blob/93f001753363bba09eafd81e290512f89f4697ed"
_DOCS = f"{_WEBSITE}/linkerd.io/content/2-edge"
_DEFAULT_POLICY = "config.linkerd.io/default-inbound-policy"
_CHART = "https://github.com/linkerd/linkerd2/blob/edge-26.8.3/charts/linkerd-control-plane"
_PROXY = "https://github.com/linkerd/linkerd2-proxy/blob/release/v2.366.0/linkerd"
_SERVICE = "https://github.com/linkerd/linkerd2/blob/edge-26.8.3/pkg/identity/service.go"
_ISSUER = IssuerSecret(_NAMESPACE, "linkerd-identity-issuer", "crt.pem", "key.pem", "/var/run/linkerd/identity/issuer")


def _source(title: str, url: str, kind: str = "source") -> Reference:
    return Reference(title, url, _VERSION, kind)


def _docs(title: str, path: str) -> Reference:
    return _source(title, f"{_DOCS}/{path}.md", "documented")


_IGNORE = _source(
    "The chart's webhookFailurePolicy is Ignore: without the injector, pods are admitted without a proxy",
    f"{_CHART}/values.yaml",
    "not-promised",
)
_VALIDATOR = _source(
    "The chart's webhookFailurePolicy is Ignore: without the policy controller, policy objects are stored unvalidated",
    f"{_CHART}/templates/destination-rbac.yaml",
    "not-promised",
)
_PARTS = {"control-plane": "destination", "identity": "identity", "injector": "proxy-injector"}
_READINESS = {
    part: _source("The chart's readiness probe", f"{_CHART}/templates/{name}.yaml") for part, name in _PARTS.items()
}
_ALONE = Override("controllerReplicas", "1", "the chart's default; one replica makes the outage total")
_CLOSED = Override("default-inbound-policy of the lab", "deny", "all four meshes must deny by default")
_AUTHORIZATION = ("AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication")
_RELOADED = _docs(
    "The identity controller loads a replaced issuer and reports it by an Event",
    "tasks/automatically-rotating-control-plane-tls-credentials",
)
_SKIPPED = _source("The identity controller skips an issuer of an untrusted root and reports it by an Event", _SERVICE)
_INVALID = _source("With an expired issuer, each certificate request fails and an Event reports it", _SERVICE)
_DENIED = _source("The proxy's authorization metrics", f"{_PROXY}/app/inbound/src/metrics/authz.rs")


# Files of the kubelet: namespace_pod_uid/container/restarts.log.
_LOGS = "/var/log/pods/lab_*/linkerd-proxy/*.log"
_REFUSAL = re.compile(r"(?:Request|Connection) denied")
_SERVER = re.compile(r"server\.name=([\w.-]+)")
_CALLER = re.compile(rf"([\w-]+)\.lab\.serviceaccount\.identity\.{_NAMESPACE}\.")
_ADDRESS = re.compile(r"client(?:\.ip)?=(?:.*?\()?(\d+\.\d+\.\d+\.\d+)")
_WRITTEN = _source(
    "The called pod's proxy logs each request and connection that it denies", f"{_PROXY}/app/inbound/src/policy/http.rs"
)


def _drop(line: str) -> Drop | None:
    """Parse one line of a proxy's container log; None unless it is a denial.

    The kubelet prefixes time, stream and a tag. The lab's Servers have the names of their services.
    """
    at, _, said = line.partition(" ")
    denial, server = _REFUSAL.search(said), _SERVER.search(said)
    if denial is None or server is None:
        return None
    caller, address = _CALLER.search(said), _ADDRESS.search(said)
    return Drop(
        logged_ns(at), caller[1] if caller else "", server[1], denial[0], "" if caller or not address else address[1]
    )


def _selects(policy: Mapping[str, object], called: TargetPod) -> bool:
    """Return whether a Server selects the pod or a route its Service; all other kinds attach to those."""
    is_about_pod = policy.get("kind") == "Server" and network_policy_selects(policy, called.namespace, called.labels)
    return is_about_pod or route_selects(policy, called.namespace, called.service)


def _image_values(images: Mapping[str, str], _built: bool) -> dict[str, object]:
    controller, _, controller_tag = images["linkerd-controller"].rpartition(":")
    proxy, _, proxy_tag = images["linkerd-proxy"].rpartition(":")
    return {
        "controllerImage": controller,
        "controllerImageVersion": controller_tag,
        "proxy": {"image": {"name": proxy, "version": proxy_tag}},
    }


def _authority_values(authority: Authority) -> dict[str, object]:
    issuer = {"tls": {"crtPEM": authority.issuer, "keyPEM": authority.issuer_key}}
    return {"identityTrustAnchorsPEM": authority.anchors, "identity": {"issuer": issuer}}


def _part(role: Role, name: str, *, port: int, process: str = "controller") -> Component:
    """Return one Deployment of the control plane; port is its program's admin server, which no Service exposes."""
    selector = f"linkerd.io/control-plane-component={name}"
    return Component(role, "Deployment", _NAMESPACE, f"linkerd-{name}", selector, process, port=port)


MESH = Mesh(
    name="linkerd",
    title="Linkerd",
    manifests=MANIFESTS / "linkerd",
    components=(
        # "controller" is in the name of each program of this pod: twice /controller, and /linkerd-policy-controller.
        _part(Role.CONTROL_PLANE, "destination", port=9996),
        _part(Role.POLICY, "destination", port=9990, process="linkerd-policy-controller"),
        _part(Role.IDENTITY, "identity", port=9990),
        _part(Role.INJECTOR, "proxy-injector", port=9995),
    ),
    capabilities=frozenset(
        {
            Capability.MTLS,
            Capability.CONTROL_PLANE_NETWORK,
            Capability.GIVEN_ISSUER,
            Capability.INJECTION,
            Capability.POLICY_API,
            Capability.SHORT_LEAVES,
            Capability.NEW_PODS_ALONE,
        }
    ),
    absent={
        Capability.BOUND_L7_PROXY: "each pod's own proxy enforces HTTP rules; no Service is bound to another proxy"
    },
    install=Install(
        charts=tuple(ChartRelease(name, name, _NAMESPACE) for name in ("linkerd-crds", "linkerd-control-plane")),
        image_values=_image_values,
    ),
    membership=Membership(
        proves=lambda pod, _witness: has_container(pod, "linkerd-proxy"),
        # A proxy reads its default policy at start and applies only that until the policy controller answers.
        namespace_annotations={"linkerd.io/inject": "enabled", _DEFAULT_POLICY: "deny"},
    ),
    certificates=Certificates(
        leaf_ttl_s=24 * 3600,
        leaf_values=lambda leaf_s: {"identity": {"issuer": {"issuanceLifetime": f"{leaf_s}s"}}},
        issuance=Issuance(f"identity.{_NAMESPACE}.{_TRUST_DOMAIN}", _authority_values, _ISSUER),
        # The lab's port. A proxy terminates TLS whose SNI is its own name and forwards all other: tls/src/server.rs.
        handshake=Handshake(8080, (), by_name=True),
    ),
    identity=Identity(
        of=lambda namespace, account: f"{account}.{namespace}.serviceaccount.identity.{_NAMESPACE}.{_TRUST_DOMAIN}",
        header="l5d-client-id",
        trust_domain=_TRUST_DOMAIN,
        edges_without_identity=(
            ("checkout", "fraud"),
        ),  # an opaque port: no proxy parses the request, so none adds the header
    ),
    policy=PolicyModel(
        kinds=(
            PolicyKind("policy.linkerd.io/v1beta3", "Server"),
            *(PolicyKind("policy.linkerd.io/v1alpha1", kind) for kind in _AUTHORIZATION),
            PolicyKind("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ),
        points=(
            EnforcementPoint(
                "AuthorizationPolicy", "certificate in the proxy", "iptables in the pod", "the called pod's proxy"
            ),
        ),
        selects=_selects,
    ),
    pod_proxy="linkerd2-proxy",
    drop_log=DropLog(_LOGS, f"{_LOGS}.*", _drop, _WRITTEN),
    signals=by_name(
        *(
            SignalSpec(
                f"{part}-down", SignalKind.CONDITION, f"{_NAMESPACE}/Deployment/linkerd-{name}", _READINESS[part]
            )
            for part, name in _PARTS.items()
        ),
        SignalSpec("issuer-updated", SignalKind.EVENT, f"{_NAMESPACE}/IssuerUpdated", _RELOADED),
        SignalSpec("issuer-refused", SignalKind.EVENT, f"{_NAMESPACE}/IssuerUpdateSkipped", _SKIPPED),
        SignalSpec("issuer-invalid", SignalKind.EVENT, f"{_NAMESPACE}/IssuerValidationFailed", _INVALID),
        SignalSpec(
            "call-denied", SignalKind.METRIC_INCREASES, "inbound_http_authz_deny_total", _DENIED, scrape_port=4191
        ),
    ),
    webhooks=(
        Webhook("linkerd-proxy-injector-webhook-config", "mutating", "Ignore", ("CREATE",), _IGNORE),
        Webhook("linkerd-policy-validator-webhook-config", "validating", "Ignore", ("CREATE", "UPDATE"), _VALIDATOR),
        Webhook("linkerd-sp-validator-webhook-config", "validating", "Ignore", ("CREATE", "UPDATE"), _VALIDATOR),
    ),
    overrides=(
        _ALONE,
        _CLOSED,
        Override("resources.requests", "10m to 20m CPU, 10Mi to 50Mi", "three nodes share two cores"),
        Override("Service fraud", "opaque port", "each call to it needs its own handshake, and carries no identity"),
        Override("trust anchor and issuer", "made by the harness", "the chart requires them at installation"),
        Override("disableHeartBeat", "true", "a drill cluster does not report its version"),
    ),
)

# The value is that of all three webhooks; the documents of HA mode promise something only of the injector's.
_HA = _source("values-ha.yaml sets webhookFailurePolicy to Fail", f"{_CHART}/values-ha.yaml")
_HA_INJECTOR = _docs("In HA mode no pod that asks for a proxy is admitted without one", "features/ha")


def _ha_values(images: Mapping[str, str], built: bool) -> dict[str, object]:
    """Return the availability settings of the chart's values-ha.yaml, with one replica per worker node."""
    ha = {"controllerReplicas": 2, "webhookFailurePolicy": "Fail", "enablePodAntiAffinity": True}
    return {**_image_values(images, built), **ha, "highAvailability": True, "enablePodDisruptionBudget": True}


def _without(one: Override) -> tuple[Override, ...]:
    return tuple(it for it in MESH.overrides if it != one)


VARIANTS = (
    replace(
        MESH,
        name="linkerd-ha",
        title="Linkerd, highly available",
        install=replace(MESH.install, image_values=_ha_values),
        webhooks=tuple(
            replace(hook, failure_policy="Fail", source=_HA_INJECTOR if hook.kind == "mutating" else _HA)
            for hook in MESH.webhooks
        ),
        signals={
            **MESH.signals,
            **{
                name: SignalSpec(name, SignalKind.ADMISSION, f"linkerd-{hook}.linkerd.io", source)
                for name, hook, source in (
                    ("injection-refused", "proxy-injector", _HA_INJECTOR),
                    ("policy-refused", "policy-validator", _HA),
                )
            },
        },
        overrides=(
            msgspec.structs.replace(_ALONE, value="2", reason="the cluster has two worker nodes"),
            *_without(_ALONE),
        ),
    ),
    replace(
        MESH,
        name="linkerd-open",
        title="Linkerd, open by default",
        membership=replace(MESH.membership, namespace_annotations={"linkerd.io/inject": "enabled"}),
        overrides=_without(_CLOSED),
    ),
)
