"""Facts about a mesh, as frozen values. Pure: no I/O, no product name, only the standard library and msgspec.

The judge may import this module and no other of `clusters`, so facts that both need are defined here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

VICTIM, BYSTANDER = "victim", "bystander"
"""The node that a single-node fault breaks, and the node that it must not affect."""


class Role(StrEnum):
    """A part that a drill can break, independent of the name that a product gives it."""

    CONTROL_PLANE = "control-plane"
    IDENTITY = "identity"
    INJECTOR = "injector"
    POLICY = "policy"
    NODE_AGENT = "node-agent"
    POD_PROXY = "pod-proxy"
    L7_PROXY = "l7-proxy"
    CNI = "cni"
    DNS = "dns"


class Capability(StrEnum):
    """Something that an installed mesh, or the cluster under it, can do."""

    MTLS = "mtls"
    INJECTION = "injection"
    POLICY_API = "policy-api"
    ENCRYPTION = "encryption"
    CONTROL_PLANE_NETWORK = "control-plane-network"  # control-plane pods have their own network namespace
    BOUND_L7_PROXY = "bound-l7-proxy"  # a label binds a Service to a proxy that enforces HTTP rules
    GIVEN_ISSUER = "given-issuer"  # the issuer's certificate and key are supplied at installation, in a Secret
    NEW_PODS_ALONE = "new-pods-alone"  # new pods start while the control plane is down
    SHORT_LEAVES = "short-leaves"  # the lifetime of workload certificates can be set at installation

    NODE_EXEC = "node-exec"  # programs can run on nodes without the Kubernetes API
    NODE_POWER = "node-power"  # nodes can be powered off and on
    API_SERVER = "api-server"  # the API server can be stopped and started
    WIRE = "wire"  # packets on node interfaces can be captured


OF_CLUSTER = frozenset({Capability.NODE_EXEC, Capability.NODE_POWER, Capability.API_SERVER, Capability.WIRE})
"""Capabilities of the cluster, not of the mesh: a cluster has each unless `Cluster.absent` gives a reason."""


class Reference(msgspec.Struct, frozen=True):
    """The source of a claim or a number, so that a reader can check it.

    kind: documented, source, issue, inferred or not-promised. The title of a not-promised one states what is missing.
    """

    title: str
    url: str
    version: str
    kind: str


class KnownIssue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A claim, by id, that a mesh is known to violate, and the issue that reports it.

    A run that violates exactly the listed claims ends as expected. A run that no longer violates one fails until the
    entry is removed. drill: the drill that makes the claim; "" in a run's own facts, which belong to one drill.

    What goes beyond the entry is not known. edges: those that it breaks ("source->target"), empty for any. since: the
    phase before which it breaks none (fault or recovery), "" for any. at_most: the largest value of each number that a
    row of the finding may show.
    """

    claim: str
    issue: Reference
    drill: str = ""
    edges: tuple[str, ...] = ()
    since: str = ""
    at_most: dict[str, float] = msgspec.field(default_factory=dict)


class Override(msgspec.Struct, frozen=True):
    """A setting that differs from production, with the reason.

    only_when_built: applies to images that the harness built, not to official images.
    """

    setting: str
    value: str
    reason: str
    only_when_built: bool = False


@dataclass(frozen=True)
class Component:
    """One running part of a mesh that a fault can address."""

    role: Role
    kind: str  # Deployment | DaemonSet | StatefulSet
    namespace: str
    name: str
    selector: str  # label selector of its pods
    process: str  # basename of the program in the node's process table
    service: str = ""  # its Service, "" when it has none
    port: int = 0  # serves plain HTTP, on Service and pod, while the process is healthy


class SignalKind(StrEnum):
    """Where a signal appears."""

    METRIC_INCREASES = "metric-increases"
    METRIC_BELOW = "metric-below"
    CONDITION = "condition"
    ADMISSION = "admission"
    POD_EVENT = "pod-event"
    NODE_TAINT = "node-taint"
    DROP = "drop"
    STATUS = "status"
    EVENT = "event"


class SignalSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signal of the mesh or of Kubernetes on which an alert can be built.

    subject, by kind:
    metric-increases, metric-below: a metric, which must rise by more than the threshold or fall below it.
    condition: "namespace/kind/name" of a workload; the name * stands for all of the kind.
    admission, pod-event: a text in the message of a refusal, or of a warning Event of a new pod.
    node-taint: the key of the taint. drop: the reason in the mesh's drop log.
    event: "namespace/reason" of an Event, whose count must exceed the count of the previous poll.
    status: "version kind namespace/name condition=word"; the word is the condition's status or reason.

    scrape_port, scrape_path: where each meshed pod serves the metric in Prometheus text format.
    """

    name: str
    kind: SignalKind
    subject: str
    source: Reference | None = None
    threshold: float = 0.0
    scrape_port: int = 0
    scrape_path: str = "/metrics"


def by_name(*signals: SignalSpec) -> dict[str, SignalSpec]:
    """Return a mapping from name to signal."""
    return {signal.name: signal for signal in signals}


@dataclass(frozen=True)
class Webhook:
    """An admission webhook of the mesh, and its failure policy."""

    configuration: str
    kind: str  # mutating | validating
    failure_policy: str  # Fail | Ignore
    operations: tuple[str, ...]
    source: Reference
    owner_label: str = ""  # label by which the mesh finds and repairs its own webhook, "" when it repairs none


@dataclass(frozen=True)
class ChartRelease:
    """One Helm release of an installation."""

    release: str
    chart: str
    namespace: str
    section: str = ""  # key of this chart's values in values.yaml, "" when all charts share the whole file


ImageValues = Callable[[Mapping[str, str], bool], Mapping[str, object]]
"""(image name -> reference, whether the harness built the images) -> chart values."""


@dataclass(frozen=True)
class Install:
    """How a mesh is installed on a cluster.

    crds: CRDs that the mesh reads and no chart contains, by their names in the catalogue. volumes: names of the
    volumes that its workloads claim. kernel_features: required kernel features, by their names in clusters/host.py.
    """

    charts: tuple[ChartRelease, ...] = ()
    image_values: ImageValues = lambda _images, _built: {}
    crds: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    kernel_features: tuple[str, ...] = ()
    is_network: bool = False  # the mesh is the pod network itself


class Enrolment(StrEnum):
    """When a pod is enrolled in the mesh."""

    ADMISSION = "admission"  # by a webhook: the admitted pod's spec shows it
    START = "start"  # by the pod network: only a started pod shows it


@dataclass(frozen=True)
class Membership:
    """Which pods are in a mesh, and what proves it."""

    proves: Callable[[Mapping[str, object], Mapping[str, object] | None], bool]  # (pod, witness) -> is it a member?
    witness: tuple[str, str] | None = None  # (API version, kind) of an object with the pod's name that proves it
    enrolment: Enrolment = Enrolment.ADMISSION
    namespace_labels: Mapping[str, str] = field(default_factory=dict)  # on the lab's meshed namespace
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)  # on the same namespace
    is_cluster_wide: bool = False  # every pod of the cluster is a member


@dataclass(frozen=True)
class Authority:
    """The trust anchor and issuer that the harness creates for a mesh that needs them at installation; PEM texts."""

    anchors: str
    issuer: str
    issuer_key: str


@dataclass(frozen=True)
class IssuerSecret:
    """The Secret with the certificate and key of a mesh's issuer, and the folder where the issuer's process mounts it.

    anchors: data key of the trust anchor when the Secret must exist before installation; "" when the chart creates
    the Secret.
    """

    namespace: str
    name: str
    certificate: str  # data key, and so the file name
    key: str
    folder: str  # mount path in the issuer's container
    anchors: str = ""


@dataclass(frozen=True)
class Issuance:
    """How an authority is supplied to a mesh: the issuer's DNS name, the chart values and the issuer's Secret."""

    issuer_name: str
    values: Callable[[Authority], Mapping[str, object]]
    secret: IssuerSecret


@dataclass(frozen=True)
class Handshake:
    """Where a meshed pod presents its certificate in a TLS handshake, even to a client that it then rejects.

    by_name: the pod answers only if the SNI is its identity.
    """

    port: int
    alpn: tuple[str, ...]
    by_name: bool = False


@dataclass(frozen=True)
class Certificates:
    """The workload certificates and issuer of an installed mesh.

    leaf_values: lifetime of a workload certificate in seconds -> chart values; None if it cannot be set.
    issuance: None if the mesh creates its own authority. handshake: None if no peer can see a pod's certificate.
    """

    leaf_ttl_s: int
    leaf_values: Callable[[int], Mapping[str, object]] | None = None
    issuance: Issuance | None = None
    handshake: Handshake | None = None


def _no_identity(_namespace: str, _service_account: str) -> str:
    return ""


@dataclass(frozen=True)
class Identity:
    """The caller identity that a mesh passes to a server."""

    of: Callable[[str, str], str] = _no_identity  # (namespace, service account) -> identity, "" where there is none
    header: str = ""  # request header with the caller's identity, "" where there is none
    trust_domain: str = ""
    edges_without_identity: tuple[
        tuple[str, str], ...
    ] = ()  # edges of the lab whose server is shown none, as we configure it


@dataclass(frozen=True)
class PolicyKind:
    """One kind of object that configures authorization, routing or encryption of a mesh."""

    api_version: str
    kind: str


@dataclass(frozen=True)
class EnforcementPoint:
    """One kind of policy: what identifies a caller, where traffic is intercepted, and what enforces the policy."""

    policy: str
    identity: str
    interception: str
    enforcement: str


@dataclass(frozen=True)
class TargetPod:
    """The called pod, with the facts that policy objects select by."""

    namespace: str
    service: str
    service_account: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class PolicyModel:
    """The policies of a mesh.

    kinds: recorded during each run. points: empty if policies are not enforced. root: namespace whose policy objects
    apply to all namespaces, "" if there is none. selects: (policy object, pod) -> does it select the pod directly?
    Objects that attach to a selecting object are found by their references.
    """

    kinds: tuple[PolicyKind, ...]
    points: tuple[EnforcementPoint, ...] = ()
    root: str = ""
    selects: Callable[[Mapping[str, object], TargetPod], bool] | None = None


@dataclass(frozen=True)
class Drop:
    """One denied call in the mesh's drop log on a node.

    address: the caller's, where the log does not name it; its app label is then looked up.
    """

    at_ns: int
    source: str  # app label, "" where only its address is known
    target: str  # app label
    reason: str  # in the mesh's words
    address: str = ""


def logged_ns(instant: object) -> int:
    """Return an instant of a mesh's log, in ISO 8601, in nanoseconds since 1970, exact to the microsecond."""
    return int(datetime.fromisoformat(str(instant)).timestamp() * 1e6) * 1000


@dataclass(frozen=True)
class DropLog:
    """The mesh's log of denied calls: files on each node, one denial per line."""

    path: str  # shell pattern of the current files
    older: str  # shell pattern of rotated files; `.gz` ones are compressed by gzip
    parse: Callable[[str], Drop | None]  # None for any other line
    source: Reference


_DOCS = "https://v1-34.docs.kubernetes.io/docs"
_TAINTS = Reference(
    "Kubernetes taints a node that is not ready or unreachable",
    f"{_DOCS}/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions",
    "v1.34",
    "documented",
)
_PROBES = Reference(
    "A Deployment's status counts the pods whose readiness probes succeed",
    f"{_DOCS}/concepts/workloads/pods/pod-lifecycle/#container-probes",
    "v1.34",
    "documented",
)
KUBERNETES_SIGNALS: Mapping[str, SignalSpec] = by_name(
    SignalSpec("node-not-ready", SignalKind.NODE_TAINT, "node.kubernetes.io/not-ready", _TAINTS),
    SignalSpec("node-unreachable", SignalKind.NODE_TAINT, "node.kubernetes.io/unreachable", _TAINTS),
    SignalSpec("workload-unready", SignalKind.CONDITION, "lab/Deployment/*", _PROBES),
    SignalSpec("dns-down", SignalKind.CONDITION, "kube-system/Deployment/coredns", _PROBES),
)
"""Signals of Kubernetes itself; every mesh has them besides its own."""

KUBERNETES_COMPONENTS = (
    Component(
        role=Role.DNS,
        kind="Deployment",
        namespace="kube-system",
        name="coredns",
        selector="k8s-app=kube-dns",
        process="coredns",
        service="kube-dns",
        port=9153,  # its metrics
    ),
)
"""Parts of Kubernetes itself that a drill may break; every mesh has them besides its own."""


@dataclass(frozen=True)
class Promises:
    """What the mesh's documents say about claims.

    references: by name. claims: claim id -> name of its reference. drills: the same for single drills; takes
    precedence over claims.
    """

    references: Mapping[str, Reference] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    drills: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, drill: str, claim: str) -> Reference | None:
        """Return the reference for a claim of a drill, or None."""
        name = self.drills.get(drill, {}).get(claim) or self.claims.get(claim)
        return self.references.get(name) if name else None


@dataclass(frozen=True)
class Mesh:
    """All facts about one product that the harness needs; a mesh file defines exactly one, and its variants."""

    name: str
    title: str
    manifests: Path  # folder with values.yaml (if it is installed from charts) and policy/
    components: tuple[Component, ...]
    capabilities: frozenset[Capability]
    install: Install
    membership: Membership
    certificates: Certificates
    policy: PolicyModel
    identity: Identity = Identity()
    absent: Mapping[Role | Capability, str] = field(default_factory=dict)  # what it lacks, with the reason
    signals: Mapping[str, SignalSpec] = field(default_factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    drop_log: DropLog | None = None
    pod_proxy: str = ""  # basename of the sidecar proxy's program, "" if there is no sidecar
    wire_scope: str = "any"  # where plaintext counts: on any node interface, or only between nodes
    promises: Promises = Promises()  # read from manifests/<mesh>/promises.toml
    known_issues: tuple[KnownIssue, ...] = ()  # read from manifests/<mesh>/known_issues.toml
    overrides: tuple[Override, ...] = ()
    is_control: bool = False  # a control must fail every security claim

    def __post_init__(self) -> None:
        """Add the components and signals of Kubernetes itself."""
        own = tuple(part for part in self.components if part not in KUBERNETES_COMPONENTS)
        object.__setattr__(self, "components", (*own, *KUBERNETES_COMPONENTS))
        object.__setattr__(self, "signals", {**KUBERNETES_SIGNALS, **self.signals})

    def component(self, role: Role) -> Component | None:
        """Return the component with this role, or None."""
        return next((part for part in self.components if part.role is role), None)


def with_more(mesh: Mesh, what: Capability) -> Mesh:
    """Return the mesh with one more capability, removed from `absent`."""
    rest = {need: why for need, why in mesh.absent.items() if need is not what}
    return replace(mesh, capabilities=mesh.capabilities | {what}, absent=rest)


def with_values(mesh: Mesh, values: Callable[[Mapping[str, str]], Mapping[str, object]]) -> Mesh:
    """Return the mesh with more chart values: (image name -> reference) -> values.

    Each top-level key replaces the mesh's own.
    """

    def chart_values(images: Mapping[str, str], built: bool) -> dict[str, object]:
        return {**mesh.install.image_values(images, built), **values(images)}

    return replace(mesh, install=replace(mesh.install, image_values=chart_values))


def with_given_issuer(mesh: Mesh, issuer_name: str, secret: IssuerSecret) -> Mesh:
    """Return the variant of the mesh whose issuer the harness supplies instead of the mesh creating its own."""
    supplied = Override(f"Secret {secret.namespace}/{secret.name}", "issuer made by the harness", "drills replace it")
    return replace(
        with_more(mesh, Capability.GIVEN_ISSUER),
        name=f"{mesh.name}-ca",
        title=f"{mesh.title} with a plugged-in CA",
        certificates=replace(mesh.certificates, issuance=Issuance(issuer_name, lambda _made: {}, secret)),
        overrides=(*mesh.overrides, supplied),
    )
