"""What one mesh is, as frozen facts: types only, no I/O, no mesh by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clusters.issuance import Issuance


class Role(StrEnum):
    """A mesh-neutral part: the thing a drill breaks, whatever a product calls it."""

    CONTROL_PLANE = "control-plane"
    IDENTITY = "identity"
    INJECTOR = "injector"
    POLICY = "policy"
    NODE_AGENT = "node-agent"
    POD_PROXY = "pod-proxy"
    L7_PROXY = "l7-proxy"
    CNI = "cni"


class Capability(StrEnum):
    """What a mesh, as installed on this host, can do at all."""

    MTLS = "mtls"
    INJECTION = "injection"
    L4_AUTHZ = "l4-authz"
    L7_AUTHZ = "l7-authz"
    POLICY_API = "policy-api"
    WEIGHTED_ROUTING = "weighted-routing"
    ENCRYPTION = "encryption"
    MUTUAL_AUTHENTICATION = "mutual-authentication"
    CONTROL_PLANE_NETWORK = "control-plane-network"  # its control plane's pods are not in the network of their node
    BOUND_L7_PROXY = "bound-l7-proxy"  # a Service is bound, by a label, to a proxy that judges its requests
    GIVEN_ISSUER = "given-issuer"  # its issuer's certificate and key come from whoever installs it, in a Secret
    NEW_PODS_ALONE = "new-pods-alone"  # a new pod starts while the control plane is away
    SHORT_LEAVES = "short-leaves"  # whoever installs it chooses how long a workload's certificate lives


@dataclass(frozen=True)
class Source:
    """Where a claim or a number comes from, so that a reader can check it."""

    title: str
    url: str
    version: str
    kind: str  # documented | source | issue | inferred | not-promised


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
    """How on-call would learn of it."""

    METRIC_INCREASES = "metric-increases"
    METRIC_BELOW = "metric-below"
    CONDITION = "condition"
    ADMISSION = "admission"
    POD_EVENT = "pod-event"
    NODE_TAINT = "node-taint"
    DROP = "drop"
    STATUS = "status"  # its subject: "API-version kind namespace/name condition=WORD", a status or a reason
    EVENT = "event"


@dataclass(frozen=True)
class Signal:
    """Something that the mesh or Kubernetes itself emits, on which an alert could be built."""

    name: str
    kind: SignalKind
    # metric | namespace/kind/name of the workload, or * for all of the kind | text of the refusal or warning | taint |
    # reason of the drop | namespace/reason of the Event
    subject: str
    source: Source
    threshold: float = 0.0
    scrape_port: int = 0  # METRIC_*: port of each meshed pod that serves it in Prometheus text format
    scrape_path: str = "/metrics"


def by_name(*signals: Signal) -> dict[str, Signal]:
    """Return each of these signals under its name."""
    return {signal.name: signal for signal in signals}


@dataclass(frozen=True)
class Webhook:
    """An admission webhook of the mesh and what the API server does when it is silent."""

    configuration: str
    kind: str  # mutating | validating
    failure_policy: str  # Fail | Ignore
    operations: tuple[str, ...]
    source: Source
    keeper: str = ""  # label by which the mesh knows it as its own and repairs it, "" when nobody does


@dataclass(frozen=True)
class ChartRelease:
    """One Helm release of the install, in order."""

    release: str
    chart: str
    namespace: str
    section: str = ""  # key under which the mesh's values hold this chart's own; "" when all charts share the whole


@dataclass(frozen=True)
class Deviation:
    """A setting that differs from production, with the reason."""

    setting: str
    value: str
    reason: str
    only_when_built: bool = False  # true of images that the harness built, not of the official ones


@dataclass(frozen=True)
class Deviates:
    """A silent failure that is known and real: a claim of a drill that the mesh breaks, and where that is told.

    A run that breaks exactly what is listed ends as expected; one that breaks it no more fails until the entry is gone.
    """

    drill: str
    claim: str  # as the report words it
    issue: Source


class Enrolment(StrEnum):
    """When it is decided whether a pod is in the mesh."""

    ADMISSION = "admission"  # a webhook puts it in: the admitted pod shows it
    START = "start"  # the pod network puts it in: only a pod that has started shows it


@dataclass(frozen=True)
class Drop:
    """One refusal by the mesh, as its own record on the node tells it; labels of pods decide who that was."""

    at_ns: int
    source: str  # app label
    target: str  # app label
    reason: str  # the mesh's own word


@dataclass(frozen=True)
class DropLog:
    """The mesh's own record of what it refused, files on each node, one refusal a line."""

    path: str  # shell pattern of the files that are written to
    older: str  # shell pattern of those to which a full one is moved, perhaps compressed by gzip as `.gz`
    parse: Callable[[str], Drop | None]  # None for a line about something else
    source: Source


_TAINTS = Source(
    "Taints by which Kubernetes marks a node that is not ready, or was not heard of",
    "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions",
    "v1.34",
    "documented",
)
_PROBES = Source(
    "A Deployment's status counts the pods whose readiness probes succeed",
    "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes",
    "v1.34",
    "documented",
)
KUBERNETES_SIGNALS: Mapping[str, Signal] = by_name(
    Signal("node-not-ready", SignalKind.NODE_TAINT, "node.kubernetes.io/not-ready", _TAINTS),
    Signal("node-unreachable", SignalKind.NODE_TAINT, "node.kubernetes.io/unreachable", _TAINTS),
    Signal("workload-unready", SignalKind.CONDITION, "lab/Deployment/*", _PROBES),
)
"""What Kubernetes itself emits, whatever the mesh: every mesh has these beside its own."""


@dataclass(frozen=True)
class Point:
    """One kind of policy: where a caller is bound to a name, where traffic is taken up, and who enforces the policy."""

    policy: str
    identity: str
    interception: str
    enforcement: str


@dataclass(frozen=True)
class Handshake:
    """Where a meshed pod shows its certificate to whoever begins a TLS handshake, even if it then turns him away."""

    port: int
    alpn: tuple[str, ...]
    by_name: bool = False  # the pod answers only who asks, in the handshake, for its identity


@dataclass(frozen=True)
class Called:
    """A pod that is called, as policy objects know it."""

    namespace: str
    service: str
    service_account: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class PolicyKind:
    """One kind of object by which the mesh is told who may call whom, where calls go, or what is encrypted."""

    api_version: str
    kind: str


@dataclass(frozen=True)
class Mesh:
    """All that the harness needs to know of one product; a mesh file holds exactly one."""

    name: str
    title: str
    components: tuple[Component, ...]
    capabilities: frozenset[Capability]
    charts: tuple[ChartRelease, ...]
    values: str  # file name under manifests/values, "" when nothing is installed
    policy: str  # folder under manifests/policy
    namespace_labels: Mapping[str, str]  # on the lab's meshed namespace
    leaf_ttl_s: int  # life of a workload certificate as installed, 0 when there is none
    trust_domain: str
    identity_header: str  # request header in which a server reads its peer's identity, "" when there is none
    member: Callable[[Mapping[str, object], Mapping[str, object] | None], bool]  # (pod, witness) -> provably in it?
    identity: Callable[[str, str], str]  # (namespace, service account) -> identity as a server sees it
    image_values: Callable[[Mapping[str, str], bool], dict[str, object]]  # (image name -> ref, built here?) -> values
    namespace_annotations: Mapping[str, str] = field(default_factory=dict)  # beside the labels, on the same namespace
    crds: tuple[str, ...] = ()  # kinds of objects that it reads and no chart of its brings, by the catalogue's names
    issuance: Issuance | None = None  # None: the mesh makes its own authority, or has none
    volumes: tuple[str, ...] = ()  # names of those that its parts claim, for what they must remember
    leaf_values: Callable[[int], dict[str, object]] | None = None  # life of a workload's certificate -> chart values
    pod_proxy: str = ""  # basename of the program that carries and refuses a pod's calls in the pod, "" where none does
    nameless: tuple[tuple[str, str], ...] = ()  # edges of the lab whose server is shown no identity, as we configure it
    enrolment: Enrolment = Enrolment.ADMISSION
    member_witness: tuple[str, str] | None = None  # (API version, kind) of the object, named as the pod, that proves it
    enrols_all: bool = False  # every pod of the cluster is in it, not only those of the lab's namespace
    is_network: bool = False  # it is the pod network itself
    drop_log: DropLog | None = None
    absent: Mapping[Role | Capability, str] = field(default_factory=dict)  # what it has not, and why not here
    handshake: Handshake | None = None  # None where pods have no certificate that a peer could see
    policy_kinds: tuple[PolicyKind, ...] = ()  # recorded through each run
    points: tuple[Point, ...] = ()  # none where nobody enforces a policy
    policy_root: str = ""  # namespace whose policy objects count everywhere, "" when there is none
    # (policy object, pod) -> is it about the pod by itself? What attaches to such an object is found by its references.
    policy_selects: Callable[[Mapping[str, object], Called], bool] | None = None
    kernel_features: tuple[str, ...] = ()  # without which it cannot run on a host: names of clusters/host.py
    wire_scope: str = "any"  # where bytes count as on the wire: any node interface, or only between nodes
    signals: Mapping[str, Signal] = field(default_factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)  # claim id -> who promises it
    deviations: tuple[Deviation, ...] = ()
    deviates: tuple[Deviates, ...] = ()
    is_control: bool = False  # a control must fail every security claim

    def __post_init__(self) -> None:
        """Put the signals of Kubernetes beside the mesh's own."""
        object.__setattr__(self, "signals", {**KUBERNETES_SIGNALS, **self.signals})

    def component(self, role: Role) -> Component | None:
        """Return the component that plays the role, or None when the mesh has no such part."""
        return next((part for part in self.components if part.role is role), None)
