"""What one mesh is, as frozen facts: types only, no I/O, no mesh by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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


@dataclass(frozen=True)
class Signal:
    """Something that the mesh or Kubernetes itself emits, on which an alert could be built."""

    name: str
    kind: SignalKind
    subject: str  # metric | namespace/kind/name of the workload | text of the refusal or warning | taint
    source: Source
    threshold: float = 0.0
    scrape_port: int = 0  # METRIC_*: port of each meshed pod that serves it in Prometheus text format
    scrape_path: str = "/metrics"


@dataclass(frozen=True)
class Webhook:
    """An admission webhook of the mesh and what the API server does when it is silent."""

    configuration: str
    kind: str  # mutating | validating
    failure_policy: str  # Fail | Ignore
    operations: tuple[str, ...]
    source: Source


@dataclass(frozen=True)
class ChartRelease:
    """One Helm release of the install, in order."""

    release: str
    chart: str
    namespace: str


@dataclass(frozen=True)
class Deviation:
    """A setting that differs from production, with the reason."""

    setting: str
    value: str
    reason: str
    only_when_built: bool = False  # true of images that the harness built, not of the official ones


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
    """The mesh's own record of what it refused, a file on each node, one refusal a line."""

    path: str
    older: str  # shell pattern of the files to which a full one is moved
    parse: Callable[[str], Drop | None]  # None for a line about something else
    source: Source


@dataclass(frozen=True)
class Handshake:
    """Where a meshed pod shows its certificate to whoever begins a TLS handshake, even if it then turns him away."""

    port: int
    alpn: tuple[str, ...]


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
    enrolment: Enrolment = Enrolment.ADMISSION
    member_witness: tuple[str, str] | None = None  # (API version, kind) of the object, named as the pod, that proves it
    enrols_all: bool = False  # every pod of the cluster is in it, not only those of the lab's namespace
    is_network: bool = False  # it is the pod network itself
    drop_log: DropLog | None = None
    handshake: Handshake | None = None  # None where pods have no certificate that a peer could see
    policy_kinds: tuple[PolicyKind, ...] = ()  # recorded through each run
    policy_root: str = ""  # namespace whose policy objects count everywhere, "" when there is none
    policy_selects: Callable[[Mapping[str, object], Called], bool] | None = (
        None  # (object, pod) -> is it about the pod?
    )
    absent: Mapping[Capability, str] = field(default_factory=dict)  # what it could do elsewhere, and why not here
    wire_scope: str = "any"  # where bytes count as on the wire: any node interface, or only between nodes
    signals: Mapping[str, Signal] = field(default_factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)  # claim id -> who promises it
    deviations: tuple[Deviation, ...] = ()
    is_control: bool = False  # a control must fail every security claim

    def component(self, role: Role) -> Component | None:
        """Return the component that plays the role, or None when the mesh has no such part."""
        return next((part for part in self.components if part.role is role), None)
