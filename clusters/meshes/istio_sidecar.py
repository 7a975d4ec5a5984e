"""Istio in sidecar mode: an Envoy in every pod; istiod is control plane, certificate issuer and both webhooks.

Facts are those of 1.31, with their sources.
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
    Webhook,
    logged_ns,
)
from clusters.runtime import MANIFESTS
from clusters.selectors import at_path, has_container, selects

_VERSION = "1.31"
_TRUST_DOMAIN = "cluster.local"
_ROOT = "istio-system"
_ISTIOD = "istio-system/Deployment/istiod"
_ROUTES = {"VirtualService", "DestinationRule"}
_TREE = "https://github.com/istio/istio/blob/1.31.0"
# Files of the kubelet: namespace_pod_uid/container/restarts.log. A proxy that starts before its program is one of the
# pod's init containers, in the same folder.
_LOGS = "/var/log/pods/lab_*/istio-proxy/*.log"
_REFUSED = re.compile(r"rbac_access_denied|rbac_deny|filter_chain_not_found|TLS_error|TLS error")
_NOT_CALLED = 'failed calling webhook "namespace.sidecar-injector.istio.io"'


def _code(title: str, path: str, kind: str = "source") -> Reference:
    return Reference(title, f"{_TREE}/{path}", _VERSION, kind)


_CHART = "manifests/charts/istio-control/istio-discovery/templates"
_READINESS = _code("The chart's readiness probe", f"{_CHART}/deployment.yaml")
_AGENT_METRICS = _code("Metrics of pilot-agent", "pkg/istio-agent/metrics/metrics.go")
_WRITTEN = Reference(
    "A Telemetry object selects the calls that a proxy logs",
    "https://istio.io/v1.31/docs/tasks/observability/logs/telemetry-api/",
    _VERSION,
    "documented",
)
_ADMISSION = _code("The chart's mutating webhook", f"{_CHART}/mutatingwebhook.yaml")


def _identity(namespace: str, service_account: str) -> str:
    return f"spiffe://{_TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}"


def _selects(policy: Mapping[str, object], called: TargetPod) -> bool:
    """Return whether the object selects the called pod: by its selector or, for a route, by the Service's host."""
    namespace, spec = at_path(policy, "metadata", "namespace"), policy.get("spec")
    if policy.get("kind") == "Telemetry":
        return False  # it decides what is logged, not what is served
    if policy.get("kind") in _ROUTES:
        return any(
            _names(host, str(namespace), called) for host in (at_path(spec, "host"), *_listed(at_path(spec, "hosts")))
        )
    if at_path(spec, "targetRef") or at_path(spec, "targetRefs"):
        return False  # for a gateway or a waypoint; the lab has neither
    return namespace in {called.namespace, _ROOT} and selects(at_path(spec, "selector"), called.labels)


def _listed(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _names(host: object, namespace: str, called: TargetPod) -> bool:
    """Return whether a route's host (short or full, exact or with a leading `*`) is the called service."""
    full = f"{called.service}.{called.namespace}.svc.cluster.local"
    wanted = str(host)
    if wanted.startswith("*"):
        return full.endswith(wanted[1:])
    return wanted == full or ("." not in wanted and wanted == called.service and namespace == called.namespace)


def _drop(line: str) -> Drop | None:
    """Parse one line of a proxy's container log; None unless it is a refusal.

    The kubelet prefixes time, stream and a tag. Every ServiceAccount of the lab has the name of its service.
    """
    _, is_whole, said = line.partition(" F {")  # F: the kubelet's tag of a full line
    if not is_whole:
        return None
    entry: dict[str, str | None] = json.loads("{" + said)
    words = [entry.get(name) for name in ("details", "ended", "transport")]
    reason = next((it for it in words if it and _REFUSED.search(it)), "")
    if not reason or not entry.get("account"):
        return None
    source = str(entry.get("peer") or "").rpartition("/sa/")[2]
    address = "" if source else str(entry.get("address") or "")
    return Drop(logged_ns(entry["start"]), source, str(entry["account"]), reason, address)


def _image_values(images: Mapping[str, str], built: bool) -> dict[str, object]:
    """Return chart values with the images; for our build of the proxy, also disable what it cannot do."""
    values: dict[str, object] = {
        "image": images["istio-pilot"],
        "global": {"proxy": {"image": images["istio-proxyv2"]}, "proxy_init": {"image": images["istio-proxyv2"]}},
    }
    if built:
        # Upstream Envoy lacks Istio's own filters: istiod must not configure them.
        values["env"] = {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
        values["telemetry"] = {"enabled": False}
        values["meshConfig"] = {"defaultProviders": {"metrics": []}}
    return values


def _istiod(role: Role) -> Component:
    """Return istiod as the component of a role; it has several, and a fault of one breaks all."""
    return Component(
        role=role,
        kind="Deployment",
        namespace="istio-system",
        name="istiod",
        selector="app=istiod",
        process="pilot-discovery",
        service="istiod",
        port=15014,  # plain HTTP on the Service and on the pod
    )


MESH = Mesh(
    name="istio-sidecar",
    title="Istio sidecar",
    manifests=MANIFESTS / "istio-sidecar",
    components=tuple(_istiod(role) for role in (Role.CONTROL_PLANE, Role.IDENTITY, Role.INJECTOR, Role.POLICY)),
    capabilities=frozenset(
        {
            Capability.MTLS,
            Capability.CONTROL_PLANE_NETWORK,
            Capability.INJECTION,
            Capability.POLICY_API,
            Capability.SHORT_LEAVES,
        }
    ),
    absent={
        Capability.BOUND_L7_PROXY: "each pod's own proxy enforces HTTP rules; no Service is bound to another proxy",
        Capability.GIVEN_ISSUER: "istiod creates its own authority; istio-sidecar-ca supplies one",
        Capability.NEW_PODS_ALONE: "istiod is the injector: while it is down, no new pod is admitted",
    },
    install=Install(
        charts=tuple(ChartRelease(it, it, _ROOT) for it in ("istio-base", "istiod")), image_values=_image_values
    ),
    membership=Membership(
        proves=lambda pod, _witness: has_container(pod, "istio-proxy"), namespace_labels={"istio-injection": "enabled"}
    ),
    certificates=Certificates(
        leaf_ttl_s=24 * 3600,
        # The lifetime that each agent requests; the issuer's limit is MAX_WORKLOAD_CERT_TTL, 90 days.
        leaf_values=lambda leaf_s: {"meshConfig": {"defaultConfig": {"proxyMetadata": {"SECRET_TTL": f"{leaf_s}s"}}}},
        handshake=Handshake(8080, ("istio",)),  # the lab's port; ALPN istio, as a peer's proxy offers
    ),
    identity=Identity(of=_identity, header="x-forwarded-client-cert", trust_domain=_TRUST_DOMAIN),
    policy=PolicyModel(
        kinds=(
            PolicyKind("security.istio.io/v1", "AuthorizationPolicy"),
            PolicyKind("security.istio.io/v1", "PeerAuthentication"),
            PolicyKind("networking.istio.io/v1", "VirtualService"),
            PolicyKind("networking.istio.io/v1", "DestinationRule"),
            PolicyKind("telemetry.istio.io/v1", "Telemetry"),
        ),
        points=(
            EnforcementPoint(
                "AuthorizationPolicy", "certificate in the proxy", "iptables in the pod", "the called pod's proxy"
            ),
        ),
        root=_ROOT,
        selects=_selects,
    ),
    pod_proxy="pilot-agent",  # the first process of the proxy's container; it calls istiod
    drop_log=DropLog(_LOGS, f"{_LOGS}.*", _drop, _WRITTEN),
    signals={
        # Readiness fails whether istiod is absent, killed or hung; see the chart's readinessProbe.
        "control-plane-down": SignalSpec("control-plane-down", SignalKind.CONDITION, _ISTIOD, _READINESS),
        # Reported by the proxies: their streams end when istiod ends. A hung istiod keeps them open. The metric
        # istiod_connection_failures was never seen to rise: an agent that cannot connect does not count it.
        "control-plane-unreachable": SignalSpec(
            name="control-plane-unreachable",
            kind=SignalKind.METRIC_INCREASES,
            subject="istio_agent_istiod_connection_terminations",
            source=_AGENT_METRICS,
            scrape_port=15020,
            scrape_path="/stats/prometheus",
        ),
        # One process has all roles: losing any of them shows in the same readiness.
        "identity-down": SignalSpec("identity-down", SignalKind.CONDITION, _ISTIOD, _READINESS),
        "injector-down": SignalSpec("injector-down", SignalKind.CONDITION, _ISTIOD, _READINESS),
        "injection-refused": SignalSpec("injection-refused", SignalKind.ADMISSION, _NOT_CALLED, _ADMISSION),
        "policy-refused": SignalSpec("policy-refused", SignalKind.ADMISSION, NOT_VALIDATED, VALIDATION),
    },
    webhooks=(
        # istiod restores its CA bundle at once if the label names its revision (pkg/webhooks/webhookpatch.go).
        Webhook("istio-sidecar-injector", "mutating", "Fail", ("CREATE",), _ADMISSION, owner_label="istio.io/rev"),
        VALIDATOR,
    ),
    overrides=(
        Override("pilot.resources.requests", "cpu 50m, memory 256Mi", "three nodes share two cores"),
        Override("pilot.autoscaleEnabled", "false", "no metrics server; one replica makes the outage total"),
        Override("global.proxy.resources.requests", "cpu 10m, memory 40Mi", "three nodes share two cores"),
        Override("meshConfig.extensionProviders, Telemetry", "refusals", "what a proxy refuses is read from its log"),
        Override("VirtualService retries", "0", "two default retries would hide failures from the callers"),
        Override(
            "proxy image",
            "upstream Envoy instead of Istio's build",
            "no container registry: upstream Envoy comes from a package registry",
            only_when_built=True,
        ),
        Override(
            "PILOT_ENABLE_METADATA_EXCHANGE, PILOT_ENABLE_ALPN_FILTER, telemetry.enabled",
            "false",
            "upstream Envoy lacks Istio's own filters",
            only_when_built=True,
        ),
    ),
)

VARIANTS = (with_plugged_in_ca(MESH),)
