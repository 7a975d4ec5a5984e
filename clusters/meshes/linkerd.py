"""Linkerd: a micro-proxy in every pod; destination, identity and proxy-injector are deployments of their own.

Facts are those of the edge channel at 26.8; the source of each is in `sources`, `webhooks` and `signals`. This is the
chart's default and not its HA variant: one replica of everything, and webhooks that the API server does without.
"""

from collections.abc import Mapping

from clusters.mesh import (
    KUBERNETES_SOURCES,
    Authority,
    Capability,
    ChartRelease,
    Component,
    Deviates,
    Deviation,
    Handshake,
    Issuance,
    Mesh,
    PolicyKind,
    Role,
    Signal,
    SignalKind,
    Source,
    Webhook,
)

_VERSION = "edge-26.8.3"
_NAMESPACE = "linkerd"
_TRUST_DOMAIN = "cluster.local"
_DOCS = "https://linkerd.io/2-edge"
_CHART = "https://github.com/linkerd/linkerd2/blob/edge-26.8.3/charts/linkerd-control-plane"
_PROXY = "https://github.com/linkerd/linkerd2-proxy/blob/release/v2.366.0/linkerd"
_READINESS = Source("readiness probes of the chart", f"{_CHART}/templates/destination.yaml", _VERSION, "source")
_IGNORE = Source(
    "The chart's webhookFailurePolicy is Ignore: without the injector a pod is admitted as it is",
    f"{_CHART}/values.yaml",
    _VERSION,
    "not-promised",
)
_VALIDATOR = Source(
    "The chart's webhookFailurePolicy is Ignore: without the policy controller its objects are stored unseen",
    f"{_CHART}/templates/destination-rbac.yaml",
    _VERSION,
    "not-promised",
)
_ENFORCED = Source(
    "The proxy of the called pod refuses what no policy authorizes",
    f"{_DOCS}/features/server-policy/",
    _VERSION,
    "documented",
)
_SEVEN_LOOKS = Source(
    "The kubelet must miss seven looks, ten seconds apart, and a partition spares it",
    f"{_CHART}/templates/destination.yaml",
    _VERSION,
    "source",
)
_DENIALS = Source("authorization metrics", f"{_PROXY}/app/inbound/src/metrics/authz.rs", _VERSION, "source")


def _member(pod: Mapping[str, object], _witness: Mapping[str, object] | None) -> bool:
    """Tell whether the admitted pod carries the proxy, as a native sidecar or as an ordinary container."""
    spec = pod.get("spec")
    if not isinstance(spec, Mapping):
        return False
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return any(container.get("name") == "linkerd-proxy" for container in containers)


def _identity(namespace: str, service_account: str) -> str:
    return f"{service_account}.{namespace}.serviceaccount.identity.{_NAMESPACE}.{_TRUST_DOMAIN}"


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


def _leaf_values(leaf_s: int) -> dict[str, object]:
    return {"identity": {"issuer": {"issuanceLifetime": f"{leaf_s}s"}}}


def _part(role: Role, name: str, *, port: int, process: str = "controller") -> Component:
    """One deployment of the control plane; the port is that of its program's own admin server, which no Service has."""
    return Component(
        role=role,
        kind="Deployment",
        namespace=_NAMESPACE,
        name=f"linkerd-{name}",
        selector=f"linkerd.io/control-plane-component={name}",
        process=process,
        port=port,
    )


def _down(name: str, deployment: str) -> Signal:
    return Signal(
        name=name,
        kind=SignalKind.CONDITION,
        subject=f"{_NAMESPACE}/Deployment/linkerd-{deployment}",
        source=_READINESS,
    )


MESH = Mesh(
    name="linkerd",
    title="Linkerd",
    components=(
        # "controller" is in the name of each program of this pod: /controller twice, and /linkerd-policy-controller.
        _part(Role.CONTROL_PLANE, "destination", port=9996),
        _part(Role.POLICY, "destination", port=9990, process="linkerd-policy-controller"),
        _part(Role.IDENTITY, "identity", port=9990),
        _part(Role.INJECTOR, "proxy-injector", port=9995),
    ),
    capabilities=frozenset(
        {
            Capability.MTLS,
            Capability.CONTROL_PLANE_NETWORK,
            Capability.INJECTION,
            Capability.L4_AUTHZ,
            Capability.L7_AUTHZ,
            Capability.POLICY_API,
            Capability.WEIGHTED_ROUTING,
            Capability.SHORT_LEAVES,
        }
    ),
    absent={Capability.BOUND_L7_PROXY: "each pod's own proxy judges requests; no Service is bound to another"},
    charts=(
        ChartRelease("linkerd-crds", "linkerd-crds", _NAMESPACE),
        ChartRelease("linkerd-control-plane", "linkerd-control-plane", _NAMESPACE),
    ),
    values="linkerd.yaml",
    policy="linkerd",
    namespace_labels={},
    # The default policy is fixed when a proxy starts: until it hears from the policy controller it goes by this alone.
    namespace_annotations={"linkerd.io/inject": "enabled", "config.linkerd.io/default-inbound-policy": "deny"},
    issuance=Issuance(f"identity.{_NAMESPACE}.{_TRUST_DOMAIN}", _authority_values),
    leaf_ttl_s=24 * 3600,
    leaf_values=_leaf_values,
    trust_domain=_TRUST_DOMAIN,
    identity_header="l5d-client-id",
    nameless=(("checkout", "fraud"),),  # an opaque port: no proxy reads the request, so none writes into it
    # The port of the lab. A proxy ends the TLS of whoever asks for its own name, and passes on all other:
    # linkerd/tls/src/server.rs of the proxy.
    handshake=Handshake(8080, (), by_name=True),
    member=_member,
    identity=_identity,
    image_values=_image_values,
    policy_kinds=(
        PolicyKind("policy.linkerd.io/v1beta3", "Server"),
        PolicyKind("policy.linkerd.io/v1alpha1", "AuthorizationPolicy"),
        PolicyKind("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication"),
        PolicyKind("policy.linkerd.io/v1alpha1", "NetworkAuthentication"),
        PolicyKind("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ),
    signals={
        signal.name: signal
        for signal in (
            _down("control-plane-down", "destination"),
            _down("identity-down", "identity"),
            _down("injector-down", "proxy-injector"),
            Signal(
                name="call-denied",
                kind=SignalKind.METRIC_INCREASES,
                subject="inbound_http_authz_deny_total",
                source=_DENIALS,
                scrape_port=4191,
            ),
        )
    },
    webhooks=(
        Webhook("linkerd-proxy-injector-webhook-config", "mutating", "Ignore", ("CREATE",), _IGNORE),
        Webhook("linkerd-policy-validator-webhook-config", "validating", "Ignore", ("CREATE", "UPDATE"), _VALIDATOR),
        Webhook("linkerd-sp-validator-webhook-config", "validating", "Ignore", ("CREATE", "UPDATE"), _VALIDATOR),
    ),
    sources={
        **KUBERNETES_SOURCES,
        "traffic-continues": Source(
            "Cached discovery results outlive an outage of the control plane while they are used",
            f"{_DOCS}/tasks/configuring-proxy-discovery-cache/",
            _VERSION,
            "documented",
        ),
        "no-plaintext": Source(
            "TCP traffic between meshed pods is mutual TLS without further configuration",
            f"{_DOCS}/features/automatic-mtls/",
            _VERSION,
            "documented",
        ),
        "strict-refused": _ENFORCED,
        "change-on-connections": Source(
            "Each request is weighed, and a connection that a new policy no longer allows is closed",
            f"{_PROXY}/app/inbound/src/policy/tcp.rs",
            _VERSION,
            "source",
        ),
        "identity": Source(
            "The called proxy writes the caller's TLS identity into l5d-client-id, and strips what the caller wrote",
            f"{_PROXY}/app/inbound/src/http/set_identity_header.rs",
            _VERSION,
            "source",
        ),
        "weighted-routing": Source(
            "HTTPRoute backendRefs with weights, resolved by the caller's proxy",
            f"{_DOCS}/reference/httproute/",
            _VERSION,
            "documented",
        ),
        "injection-fail-closed": _IGNORE,
        "enrolled-at-creation": Source(
            "A pod gets its proxy as it is created and shows it in its spec; what is annotated later changes nothing",
            f"{_DOCS}/features/proxy-injection/",
            _VERSION,
            "documented",
        ),
        "config-refused": _VALIDATOR,
        "apiserver-traffic": Source(
            "Proxies are told by the destination controller, which answers from what it knew (inferred)",
            f"{_DOCS}/tasks/configuring-proxy-discovery-cache/",
            _VERSION,
            "inferred",
        ),
        **dict.fromkeys(("apiserver-policy", "reboot-policy", "request-rule"), _ENFORCED),
        "reboot-bypass": _IGNORE,
        **dict.fromkeys(
            ("identity-lives", "identity-new-pods"),
            Source(
                "A proxy's certificate lives a day and is renewed; without one a proxy does not become ready",
                f"{_DOCS}/features/automatic-mtls/",
                _VERSION,
                "documented",
            ),
        ),
        "certificates": Source(
            "A certificate lives a day, and its proxy renews it when 70 % of that is over",
            f"{_PROXY}/proxy/identity-client/src/certify.rs",
            _VERSION,
            "source",
        ),
        "identity-expires": Source(
            "A certificate that expired is accepted by no peer: mutual TLS fails until the proxy has a new one",
            f"{_DOCS}/tasks/replacing_expired_certificates/",
            _VERSION,
            "documented",
        ),
        "loss-visible": _READINESS,
        "recovers": Source(
            "The proxy's watches reconnect with back-off",
            f"{_PROXY}/tonic-watch/src/lib.rs",
            _VERSION,
            "inferred",
        ),
    },
    deviates=tuple(
        Deviates(f"control-plane-{end}", "sometimes during fault: signal control-plane-down appears", _SEVEN_LOOKS)
        for end in ("hang", "partition")
    ),
    deviations=(
        Deviation("controllerReplicas", "1", "the chart's default; one replica makes the outage total"),
        Deviation("default-inbound-policy of the lab", "deny", "all four meshes are asked to refuse by default"),
        Deviation("resources.requests", "10m to 20m CPU, 10Mi to 50Mi", "three nodes share two cores"),
        Deviation("Service fraud", "opaque port", "each call there has a handshake of its own, and shows no identity"),
        Deviation("trust anchor and issuer", "made by the harness", "the mesh wants them from whoever installs it"),
        Deviation("disableHeartBeat", "true", "a drill cluster reports its version to nobody"),
    ),
)
