"""What a mesh is, as frozen facts. Pure: no I/O, no product by name, nothing but the standard library and msgspec.

It is the one module of `clusters` that the judge may import, so what both must know is defined here once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import msgspec

VICTIM, BYSTANDER = "victim", "bystander"
"""The node that a fault of one node breaks, and one that it must leave alone."""


class Role(StrEnum):
    """A mesh-neutral part: the thing that a drill breaks, whatever a product calls it."""

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
    """What a mesh, as installed, or the cluster under it can do at all."""

    MTLS = "mtls"
    INJECTION = "injection"
    L4_AUTHZ = "l4-authz"
    L7_AUTHZ = "l7-authz"
    POLICY_API = "policy-api"
    WEIGHTED_ROUTING = "weighted-routing"
    ENCRYPTION = "encryption"
    MUTUAL_AUTHENTICATION = "mutual-authentication"
    CONTROL_PLANE_NETWORK = "control-plane-network"  # its control plane's pods are not in the network of their node
    BOUND_L7_PROXY = "bound-l7-proxy"  # a Service is bound, by a label, to a proxy that enforces rules on requests
    GIVEN_ISSUER = "given-issuer"  # its issuer's certificate and key are supplied at installation, in a Secret
    NEW_PODS_ALONE = "new-pods-alone"  # a new pod starts while the control plane is away
    SHORT_LEAVES = "short-leaves"  # the life of a workload's certificate can be chosen at installation

    NODE_EXEC = "node-exec"  # programs can be run on its nodes, past the Kubernetes API
    NODE_POWER = "node-power"  # its nodes can be switched off and on
    API_SERVER = "api-server"  # its API server can be stopped and started
    WIRE = "wire"  # the packets of its nodes' interfaces can be read


OF_CLUSTER = frozenset({Capability.NODE_EXEC, Capability.NODE_POWER, Capability.API_SERVER, Capability.WIRE})
"""Capabilities that no mesh gives or takes: each cluster has them unless it says why not (`Cluster.absent`)."""


class Reference(msgspec.Struct, frozen=True):
    """Where a claim or a number comes from, so that a reader can check it.

    kind: documented, source, issue, inferred or not-promised; of the last the title says what is not promised.
    """

    title: str
    url: str
    version: str
    kind: str


class KnownIssue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A claim, by its id, that a mesh is known to break without an alert, and where that is reported.

    A run that breaks exactly what is listed ends as expected; one that no longer breaks it fails until the entry is
    removed. drill: the drill that makes the claim; "" in a run's own facts, where it is that run's drill.
    """

    claim: str
    issue: Reference
    drill: str = ""


class Override(msgspec.Struct, frozen=True):
    """A setting that differs from production, with the reason.

    only_when_built: it holds for images that the harness built, not for the official ones.
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
    process: str  # basename of the program, as the node's process table shows it
    service: str = ""  # the Service that fronts it, when it has one
    port: int = 0  # answers plain HTTP on the Service and on the pod while the process is healthy


class SignalKind(StrEnum):
    """Where on-call would learn of it."""

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
    """Something that the mesh or Kubernetes itself emits, on which an alert could be built, and what counts as it.

    subject, by kind: the name of a metric, which must rise by more than the threshold or fall below it;
    "namespace/kind/name" of a workload, or * for all of the kind (condition); a text within the message of a refusal
    (admission) or of the warning that Kubernetes gives of a new pod (pod-event); the key of a node's taint; the reason
    of a drop in the mesh's own record; "namespace/reason" of an Event, which must be reported more often than at the
    look before; "version kind namespace/name condition=word" of an object's condition, by its status or its reason.

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
    """Return each of these signals under its name."""
    return {signal.name: signal for signal in signals}


@dataclass(frozen=True)
class Webhook:
    """An admission webhook of the mesh and what the API server does when it does not answer."""

    configuration: str
    kind: str  # mutating | validating
    failure_policy: str  # Fail | Ignore
    operations: tuple[str, ...]
    source: Reference
    owner_label: str = ""  # label by which the mesh recognises it as its own and repairs it, "" when the mesh does not


@dataclass(frozen=True)
class ChartRelease:
    """One Helm release of the install, in order."""

    release: str
    chart: str
    namespace: str
    section: str = ""  # key under which the mesh's values hold this chart's own; "" when all charts share the whole


ImageValues = Callable[[Mapping[str, str], bool], Mapping[str, object]]
"""(image name -> reference, built by the harness?) -> chart values."""


@dataclass(frozen=True)
class Install:
    """How a mesh gets onto a cluster.

    crds: kinds of objects that the mesh reads and none of its charts brings, by the catalogue's names. volumes: names
    of those that its parts claim. kernel_features: what a host must have, by the names of clusters/host.py.
    """

    charts: tuple[ChartRelease, ...] = ()
    image_values: ImageValues = lambda _images, _built: {}
    crds: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    kernel_features: tuple[str, ...] = ()
    is_network: bool = False  # the mesh is the pod network itself


class Enrolment(StrEnum):
    """When it is decided whether a pod is in the mesh."""

    ADMISSION = "admission"  # a webhook puts it in: the admitted pod shows it
    START = "start"  # the pod network puts it in: only a pod that has started shows it


@dataclass(frozen=True)
class Membership:
    """Which pods are in a mesh, and what proves it."""

    proves: Callable[[Mapping[str, object], Mapping[str, object] | None], bool]  # (pod, witness) -> is it in?
    witness: tuple[str, str] | None = None  # (API version, kind) of the object, named as the pod, that proves it
    enrolment: Enrolment = Enrolment.ADMISSION
    namespace_labels: Mapping[str, str] = field(default_factory=dict)  # on the lab's meshed namespace
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)  # beside the labels
    is_cluster_wide: bool = False  # every pod of the cluster is in it, not only those of the lab's namespace


@dataclass(frozen=True)
class Authority:
    """What the harness makes for a mesh whose trust anchor and issuer are supplied at installation; PEM texts."""

    anchors: str
    issuer: str
    issuer_key: str


@dataclass(frozen=True)
class IssuerSecret:
    """The Secret from which a mesh's issuer has its certificate and key, and where its process finds them as files.

    anchors: key for the trust anchor, where the mesh expects the whole Secret before it is installed; "" where its
    chart makes the Secret.
    """

    namespace: str
    name: str
    certificate: str  # key in the Secret's data, and so the name of the file
    key: str
    folder: str  # where the issuer's own process sees the files
    anchors: str = ""


@dataclass(frozen=True)
class Issuance:
    """How a mesh takes an authority that is supplied: its name, the chart values, and where the issuer lies then."""

    issuer_name: str  # DNS name in the issuer's certificate
    values: Callable[[Authority], Mapping[str, object]]
    secret: IssuerSecret


@dataclass(frozen=True)
class Handshake:
    """Where a meshed pod shows its certificate to any client that begins a TLS handshake, even one that it refuses."""

    port: int
    alpn: tuple[str, ...]
    by_name: bool = False  # the pod answers only clients that ask, in the handshake, for its identity


@dataclass(frozen=True)
class Certificates:
    """The certificates of workloads, and of their issuer, as a mesh is installed.

    leaf_values: life of a workload's certificate in seconds -> chart values; None where it cannot be chosen.
    issuance: None where the mesh makes its own authority. handshake: None where no peer can see a pod's certificate.
    """

    leaf_ttl_s: int
    leaf_values: Callable[[int], Mapping[str, object]] | None = None
    issuance: Issuance | None = None
    handshake: Handshake | None = None


def _no_identity(_namespace: str, _service_account: str) -> str:
    return ""


@dataclass(frozen=True)
class Identity:
    """The identity that a mesh shows a server of its caller."""

    of: Callable[[str, str], str] = _no_identity  # (namespace, service account) -> identity, "" where none is shown
    header: str = ""  # request header in which a server reads its peer's identity, "" when there is none
    trust_domain: str = ""
    edges_without_identity: tuple[
        tuple[str, str], ...
    ] = ()  # edges of the lab whose server is shown none, as we configure it


@dataclass(frozen=True)
class PolicyKind:
    """One kind of object by which a mesh is configured: which calls are allowed, where they go, what is encrypted."""

    api_version: str
    kind: str


@dataclass(frozen=True)
class EnforcementPoint:
    """One kind of policy: what a caller is known by, where traffic is intercepted, and what enforces the policy."""

    policy: str
    identity: str
    interception: str
    enforcement: str


@dataclass(frozen=True)
class TargetPod:
    """A pod that is called, as policy objects know it."""

    namespace: str
    service: str
    service_account: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class PolicyModel:
    """How a mesh's policies work.

    kinds: recorded through each run. points: none where policies are not enforced. root: namespace whose policy
    objects count everywhere, "" when there is none. selects: (policy object, pod) -> is it about the pod by itself?
    What attaches to such an object is found by its references.
    """

    kinds: tuple[PolicyKind, ...]
    points: tuple[EnforcementPoint, ...] = ()
    root: str = ""
    selects: Callable[[Mapping[str, object], TargetPod], bool] | None = None


@dataclass(frozen=True)
class Drop:
    """One refusal by the mesh, as its own record on the node shows it; labels of pods identify both ends."""

    at_ns: int
    source: str  # app label
    target: str  # app label
    reason: str  # the mesh's own word


@dataclass(frozen=True)
class DropLog:
    """The mesh's own record of what it refused: files on each node, one refusal a line."""

    path: str  # shell pattern of the files that are written to
    older: str  # shell pattern of those to which a full one is moved, perhaps compressed by gzip as `.gz`
    parse: Callable[[str], Drop | None]  # None for a line about something else
    source: Reference


_DOCS = "https://kubernetes.io/docs"
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
"""What Kubernetes itself emits, whatever the mesh: every mesh has these beside its own."""

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
"""Parts of Kubernetes itself that a drill may break, whatever the mesh: every mesh has these beside its own."""


@dataclass(frozen=True)
class Promises:
    """What the mesh's documents say of claims: references by name, and which of them speaks of a claim, by its id.

    drills: the same for one drill, where the same claim rests on another reference there.
    """

    references: Mapping[str, Reference] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    drills: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, drill: str, claim: str) -> Reference | None:
        """Return the reference that speaks of a claim in a drill, None where there is none."""
        name = self.drills.get(drill, {}).get(claim) or self.claims.get(claim)
        return self.references.get(name) if name else None


@dataclass(frozen=True)
class Mesh:
    """All that the harness needs to know of one product; a mesh file holds exactly one, and its variants."""

    name: str
    title: str
    manifests: Path  # its folder of manifests: values.yaml when it is installed from charts, policy/
    components: tuple[Component, ...]
    capabilities: frozenset[Capability]
    install: Install
    membership: Membership
    certificates: Certificates
    policy: PolicyModel
    identity: Identity = Identity()
    absent: Mapping[Role | Capability, str] = field(default_factory=dict)  # what it has not, and why not here
    signals: Mapping[str, SignalSpec] = field(default_factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    drop_log: DropLog | None = None
    pod_proxy: str = ""  # basename of the program that carries and refuses a pod's calls in the pod, "" where none does
    wire_scope: str = "any"  # where bytes count as on the wire: any node interface, or only between nodes
    promises: Promises = Promises()  # read from manifests/<mesh>/promises.toml
    known_issues: tuple[KnownIssue, ...] = ()  # read from manifests/<mesh>/known_issues.toml
    overrides: tuple[Override, ...] = ()
    is_control: bool = False  # a control must fail every security claim

    def __post_init__(self) -> None:
        """Put the parts and signals of Kubernetes beside the mesh's own."""
        own = tuple(part for part in self.components if part not in KUBERNETES_COMPONENTS)
        object.__setattr__(self, "components", (*own, *KUBERNETES_COMPONENTS))
        object.__setattr__(self, "signals", {**KUBERNETES_SIGNALS, **self.signals})

    def component(self, role: Role) -> Component | None:
        """Return the component that plays the role, or None when the mesh has no such part."""
        return next((part for part in self.components if part.role is role), None)


def with_more(
    mesh: Mesh,
    what: Capability,
    values: Callable[[Mapping[str, str]], Mapping[str, object]],
) -> Mesh:
    """Return the mesh with one capability more, which nothing calls absent any longer.

    values: image name -> reference, to the chart values that turn the capability on; each key replaces the whole of the
    mesh's own.
    """

    def chart_values(images: Mapping[str, str], built: bool) -> dict[str, object]:
        return {**mesh.install.image_values(images, built), **values(images)}

    return replace(
        mesh,
        capabilities=mesh.capabilities | {what},
        absent={need: why for need, why in mesh.absent.items() if need is not what},
        install=replace(mesh.install, image_values=chart_values),
    )


def with_given_issuer(mesh: Mesh, issuer_name: str, secret: IssuerSecret) -> Mesh:
    """Return the mesh with an issuer that the harness supplies, where it would make one for itself."""
    supplied = Override(f"Secret {secret.namespace}/{secret.name}", "issuer made by the harness", "drills replace it")
    return replace(
        with_more(mesh, Capability.GIVEN_ISSUER, lambda _images: {}),
        name=f"{mesh.name}-ca",
        title=f"{mesh.title} with a plugged-in CA",
        certificates=replace(mesh.certificates, issuance=Issuance(issuer_name, lambda _made: {}, secret)),
        overrides=(*mesh.overrides, supplied),
    )
