"""The events of a run, typed: one struct for each kind of line of events.jsonl.

A line reads `{"at_ns":..,"detail":{..},"kind":..,"subject":..}`. The kind is the tag of the class; some tags are older
words, and the class has the better name. A field that may be absent has a default: UNSET where absent differs from
null or empty. An unknown kind, an unknown field and a value of another type are errors.

reports/events.schema.json is the same as a JSON Schema; drills/judge/schema.py generates it.
"""

from typing import Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from drills.judge.base_event import Answered, BaseEvent, Detail
from drills.judge.records import Count, Milliseconds, Ns, Whole


class Phase(BaseEvent, frozen=True, tag="phase"):
    """A phase of the run began: baseline, fault or recovery; "end" when the last one ended."""


class StepEnd(BaseEvent, frozen=True, tag="step"):
    """A step of the drill ended, done or failed; subject: its name."""

    class Detail(Detail, frozen=True, kw_only=True):
        """took_s: how long it took."""

        took_s: float

    detail: Detail


class HarnessTrouble(BaseEvent, frozen=True, tag="harness"):
    """A part of the harness itself failed; subject: which part. It makes the run inconclusive."""

    class Detail(Detail, frozen=True, kw_only=True):
        """message: what failed."""

        message: str

    detail: Detail


class UndoWritten(BaseEvent, frozen=True, tag="fault.undo_written"):
    """The undo of the fault is on disk; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """action: how it will be undone. what: what will be restored."""

        action: str
        what: str

    detail: Detail


class FaultInjected(BaseEvent, frozen=True, tag="fault.injected"):
    """The fault is about to be injected, so its effects come later; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """fault: its kind. role: of the component that it breaks. node: victim or bystander. "" where there is none."""

        fault: str
        role: str
        node: str

    detail: Detail


class FaultAccount(BaseEvent, frozen=True, tag="fault.account"):
    """The fault was injected, as its own code reports; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """actor: that report. signer: key id of the issuer that the fault installed, if it installed one."""

        actor: str
        signer: str = ""

    detail: Detail


class FaultReceipt(BaseEvent, frozen=True, tag="fault.receipt"):
    """An observer independent of the fault's code checked whether the fault is in force; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """landed: what it saw, null when it could not look. momentary: the fault need not last."""

        observer: str
        evidence: str
        landed: bool | None
        momentary: bool = False

    detail: Detail


class UndoApplied(BaseEvent, frozen=True, tag="fault.undo_applied"):
    """The undo of the fault begins; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """action: how it is undone."""

        action: str

    detail: Detail


class UndoVerified(BaseEvent, frozen=True, tag="fault.undo_verified"):
    """The undo of the fault was verified; subject: the fault."""


class ProgramStarted(BaseEvent, frozen=True, tag="boot"):
    """A program of the lab started; subject: its pod. During a run: its container was restarted."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs."""

        pod: str
        node: str

    detail: Detail


class ProgramStalled(BaseEvent, frozen=True, tag="stalled"):
    """A program of the lab did not run for a while, until at_ns; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs, and for how long it did not."""

        pod: str
        node: str
        stalled_ms: Milliseconds

    detail: Detail


class ServerRejoined(BaseEvent, frozen=True, tag="late"):
    """A program that restarted during the run serves again; it makes no calls; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs."""

        pod: str
        node: str

    detail: Detail


class CallerReady(BaseEvent, frozen=True, tag="caller.ready"):
    """A caller started to execute its plan; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs, which service it calls, and whether on new or reused connections."""

        pod: str
        node: str
        target: str
        connection: str

    detail: Detail


class CallerEnd(BaseEvent, frozen=True, tag="caller.end"):
    """A caller stopped; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """scheduled: calls that were due. written: calls that it recorded. skipped: calls that it did not make."""

        pod: str
        node: str
        target: str
        connection: str
        scheduled: Count
        written: Count
        skipped: Count

    detail: Detail


class ServerEnd(BaseEvent, frozen=True, tag="server.end"):
    """A server stopped; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """served: how many requests it recorded."""

        pod: str
        service: str
        served: Count

    detail: Detail


class PodListed(BaseEvent, frozen=True, tag="pod"):
    """A pod of the lab as the API listed it at the start of the run; subject: its name."""

    class Detail(Detail, frozen=True, kw_only=True):
        """What policies select it by; labels: "key=value"."""

        service: str
        namespace: str
        service_account: str
        node: str
        address: str
        labels: tuple[str, ...]

    detail: Detail


class MembershipSeen(BaseEvent, frozen=True, tag="membership"):
    """A check whether a pod is in the mesh; subject: the pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """expected: whether it should be in the mesh. meshed: whether it is, null when not known."""

        expected: bool
        meshed: bool | None

    detail: Detail


class ComponentPod(BaseEvent, frozen=True, tag="component.pod"):
    """A pod of the mesh, or of Kubernetes itself, just before the baseline; subject: the pod.

    How old a part is can decide what its loss costs: collections and renewals have timers that begin with its start.
    """

    class Detail(Detail, frozen=True, kw_only=True):
        """role: of the component. started_ns: null when it has not started. restarts: of all its containers."""

        role: str
        node: str
        started_ns: Ns | None
        restarts: Count

    detail: Detail


class NewPod(BaseEvent, frozen=True, tag="newpod"):
    """A pod was created during the run; at_ns: when it was requested; subject: its name."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """The result of its creation. Null: not known.

        answered_ns: when the API server answered. message: its text. meshed, started: whether the pod is in the mesh,
        and whether it became ready in time. node: where it ran. placed: victim or bystander, if it was made for that
        node. found: for a pod outside the mesh, whether a scan of all pods finds it. blocked: for an admitted pod, what
        keeps it from starting, as Kubernetes says, "" for nothing. blocked_ns: since when.
        """

        outcome: Literal["admitted", "refused", "failed"]
        answered_ns: Ns
        message: str
        meshed: bool | None
        started: bool | None
        node: str
        placed: str = ""
        found: bool | UnsetType | None = UNSET
        blocked: str | UnsetType | None = UNSET
        blocked_ns: Ns | UnsetType | None = UNSET

    detail: Detail

    @property
    def answered_ns(self) -> int:
        """When the API server answered."""
        return self.detail.answered_ns

    @property
    def is_found(self) -> bool | None:
        """Whether a scan of all pods finds it outside the mesh; None when not known or not asked."""
        return None if self.detail.found is UNSET else self.detail.found

    @property
    def blocked(self) -> str:
        """What keeps it from starting, as Kubernetes says; "" for nothing, and when not known."""
        return self.detail.blocked or ""

    @property
    def is_blockage_known(self) -> bool:
        """Whether it is known what keeps it from starting."""
        return isinstance(self.detail.blocked, str)

    @property
    def blocked_ns(self) -> int:
        """Since when Kubernetes says so; 0 when it does not."""
        return self.detail.blocked_ns or 0


class PolicyChangeStep(BaseEvent, frozen=True, tag="change"):
    """A policy that forbids one edge was applied or removed; subject: the name of the change."""

    class Detail(Detail, frozen=True, kw_only=True):
        """outcome, message: what the API server said. source, target: the edge that the policy forbids."""

        step: Literal["apply", "remove"]
        outcome: Answered
        message: str
        source: str
        target: str

    detail: Detail

    @property
    def answered_ns(self) -> int:
        """When the API server answered, as precisely as recorded."""
        return self.at_ns

    @property
    def edge(self) -> tuple[str, str]:
        """Source and target of the calls that it forbids."""
        return self.detail.source, self.detail.target


class PolicyVersion(BaseEvent, frozen=True, tag="policy"):
    """A policy object was first seen in a version, or seen to be deleted; subject: "Kind namespace/name"."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """manifest: the object as one line of JSON. It and the resource version are absent for a deleted object."""

        verb: Literal["present", "changed", "gone"]
        api_version: str
        resource_version: str = ""
        manifest: str = ""

    detail: Detail


class PolicyListing(BaseEvent, frozen=True, tag="policy.look"):
    """All policy objects of a kind were listed; subject: the kind."""

    class Detail(Detail, frozen=True, kw_only=True):
        """answered_ns: when the list arrived. error: why it did not, "" when it did."""

        answered_ns: Ns
        error: str

    detail: Detail


class CertificateShown(BaseEvent, frozen=True, tag="certificate"):
    """The leaf certificate that a pod presented in a handshake; subject: the pod."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """fingerprint: SHA-256 of the leaf, absent when none was seen. error: why none was seen, "" when one was."""

        node: str
        error: str
        fingerprint: str = ""
        not_before_ns: Whole | None = None
        not_after_ns: Whole | None = None

    detail: Detail


class CertificateText(BaseEvent, frozen=True, tag="certificate.text"):
    """The content of a leaf certificate, when first seen; subject: its fingerprint."""

    class Detail(Detail, frozen=True, kw_only=True):
        """chain: base64 of DER, leaf first. is_whole: it is all that the server sent.

        signer: id of the key that signed it, "" when the leaf does not say; absent in the first records. error: why
        the leaf cannot be read, absent when it can.
        """

        chain: tuple[str, ...]
        is_whole: bool
        subject: str = ""
        issuer: str = ""
        signer: str | UnsetType = UNSET
        serial: str = ""
        san: tuple[str, ...] = ()
        error: str | UnsetType = UNSET

    detail: Detail

    @property
    def signer(self) -> str:
        """Id of the key that signed it; "" when not known."""
        return self.detail.signer or ""


class ReplicaCount(BaseEvent, frozen=True, tag="condition"):
    """How many pods a workload desires and has ready, by the API; subject: "namespace/Kind/name"."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Both null when the API could not be reached; error says why."""

        ready: Count | None
        desired: Count | None
        error: str

    detail: Detail


class NodeTaints(BaseEvent, frozen=True, tag="node"):
    """Which taints a node has, by the API; subject: the node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """taints: their keys, null when the API could not be reached; error says why."""

        taints: tuple[str, ...] | None
        error: str

    detail: Detail


class ObjectStatus(BaseEvent, frozen=True, tag="status"):
    """The status conditions of an object, by the API; subject: "version Kind namespace/name"."""

    class Detail(Detail, frozen=True, kw_only=True):
        """conditions: "type=status" and "type=reason"; empty for no such object; null as in NodeTaints."""

        conditions: tuple[str, ...] | None
        message: str
        error: str

    detail: Detail


class EventCount(BaseEvent, frozen=True, tag="told"):
    """How often Kubernetes reports an Event; subject: "namespace/reason". Kubernetes deletes Events after an hour."""

    class Detail(Detail, frozen=True, kw_only=True):
        """count: null when the API could not be reached; error says why."""

        count: Count | None
        error: str

    detail: Detail


class MetricSample(BaseEvent, frozen=True, tag="scrape"):
    """A metric of a pod, summed over its label sets; subject: the pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """value: null when the scrape failed (error says why), or when the pod does not expose the metric."""

        pod: str
        node: str
        metric: str
        value: float | None
        error: str

    detail: Detail


class WireReady(BaseEvent, frozen=True, tag="wire.ready"):
    """A wire observer started to listen; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """interfaces: those on which it listens."""

        node: str
        interfaces: tuple[str, ...]

    detail: Detail


class WireHit(BaseEvent, frozen=True, tag="wire.hit"):
    """A wire observer found the canary of a call in plaintext; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """id: the call."""

        node: str
        interface: str
        source: str
        target: str
        id: str

    detail: Detail

    @property
    def instants(self) -> tuple[int, ...]:
        """The instants at which the record proves that a packet was readable."""
        return (self.at_ns,)


class WirePair(BaseEvent, frozen=True, tag="wire.pair"):
    """How often a wire observer found the canary of an edge on one interface; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """first_ns, last_ns: when it was found for the first and the last time."""

        node: str
        interface: str
        source: str
        target: str
        count: Count
        first_ns: Ns
        last_ns: Ns

    detail: Detail

    @property
    def instants(self) -> tuple[int, ...]:
        """The instants at which the record proves that a packet was readable."""
        return self.detail.first_ns, self.detail.last_ns


class WireGap(BaseEvent, frozen=True, tag="wire.gap"):
    """A wire observer reports that it was blind; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """reason: why it was blind."""

        node: str
        reason: str

    detail: Detail


class WireEnd(BaseEvent, frozen=True, tag="wire.end"):
    """A wire observer stopped; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """packets: how many it examined. dropped: how many it lost."""

        node: str
        packets: Count
        dropped: Count

    detail: Detail


class DropCount(BaseEvent, frozen=True, tag="drop"):
    """Packets or calls that the mesh says it dropped on one node, of one edge, for one reason, within three seconds.

    subject: "source->target".
    """

    class Detail(Detail, frozen=True, kw_only=True):
        """reason: in the mesh's words. first_ns, last_ns: the first and the last drop."""

        node: str
        source: str
        target: str
        reason: str
        count: Count
        first_ns: Ns
        last_ns: Ns

    detail: Detail

    @property
    def instants(self) -> tuple[int, int]:
        """The instants at which the record proves a drop."""
        return self.detail.first_ns, self.detail.last_ns


class DropLogRead(BaseEvent, frozen=True, tag="drops.source"):
    """The mesh's drop log on a node was read; subject: the node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """error: why it could not be read, "" when it was."""

        node: str
        error: str

    detail: Detail


Event = (
    Phase | StepEnd | HarnessTrouble
    | UndoWritten | FaultInjected | FaultAccount | FaultReceipt | UndoApplied | UndoVerified
    | ProgramStarted | ProgramStalled | ServerRejoined | CallerReady | CallerEnd | ServerEnd
    | PodListed | MembershipSeen | ComponentPod | NewPod
    | PolicyChangeStep | PolicyVersion | PolicyListing
    | CertificateShown | CertificateText
    | ReplicaCount | NodeTaints | ObjectStatus | EventCount | MetricSample
    | WireReady | WireHit | WirePair | WireGap | WireEnd
    | DropCount | DropLogRead
)  # fmt: skip
"""Any event."""

E = TypeVar("E", bound=Event)
"""One kind of event."""

_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def decode(line: bytes) -> Event:
    """Return the event of one line; msgspec.DecodeError names what is wrong with it."""
    return _DECODER.decode(line)


def encode(event: Event) -> bytes:
    """Return the event as one line, without its line break."""
    return msgspec.json.encode(event, order="sorted")


def revised(event: E, **detail: object) -> E:
    """Return the event with other values in some fields of its detail; TypeError for a field that it does not have."""
    return msgspec.structs.replace(event, detail=msgspec.structs.replace(event.detail, **detail))
