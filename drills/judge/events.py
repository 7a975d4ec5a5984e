"""The events of a run, typed: one struct for each kind of line of events.jsonl.

A line reads `{"at_ns":..,"detail":{..},"kind":..,"subject":..}`. The kind on disk is the tag of its class; where the
tag is an older word, the class has the better name. A field that may be absent has a default, UNSET where absent and
null or empty are two things. An unknown kind, an unknown field and a value of another type are errors.

reports/events.schema.json is the same as a JSON Schema; drills/judge/schema.py writes it.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

Ns = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An instant, in ns: no more than a column of a table holds."""

Answered = Literal["accepted", "refused", "failed"]
"""What the API server said to a write: yes, no, or nothing because it could not be asked."""


class Detail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a kind of event says beyond when and of what; of some kinds nothing."""


class BaseEvent(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """What every event says: when, in ns on the clock that all nodes share, and of what."""

    at_ns: Ns
    subject: str
    detail: Detail = Detail()

    @property
    def kind(self) -> str:
        """The kind as it stands on disk."""
        return str(self.__struct_config__.tag)


class Phase(BaseEvent, frozen=True, tag="phase"):
    """A phase of the run began: baseline, fault or recovery; "end" when the last one was over."""


class StepEnd(BaseEvent, frozen=True, tag="step"):
    """A step of the drill was over, done or failed; subject: its name."""

    class Detail(Detail, frozen=True, kw_only=True):
        """took_s: how long it took."""

        took_s: float

    detail: Detail


class HarnessTrouble(BaseEvent, frozen=True, tag="harness"):
    """Something of the harness itself went wrong; subject: which part. It makes the run inconclusive."""

    class Detail(Detail, frozen=True, kw_only=True):
        """message: what went wrong."""

        message: str

    detail: Detail


class UndoWritten(BaseEvent, frozen=True, tag="fault.undo_written"):
    """The undo of the fault is on disk; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """action: how it will be undone. what: what will be put back."""

        action: str
        what: str

    detail: Detail


class FaultInjected(BaseEvent, frozen=True, tag="fault.injected"):
    """The fault is about to be done: whatever it causes comes later; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """fault: its kind. role: of the component that it breaks. node: victim or bystander. Empty where none."""

        fault: str
        role: str
        node: str

    detail: Detail


class FaultAccount(BaseEvent, frozen=True, tag="fault.account"):
    """The fault was done, by the account of whatever did it; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """actor: that account. signer: key id of the issuer that the fault put in, of such a fault only."""

        actor: str
        signer: str = ""

    detail: Detail


class FaultReceipt(BaseEvent, frozen=True, tag="fault.receipt"):
    """An observer other than the actor looked whether the fault is in force; subject: the fault."""

    class Detail(Detail, frozen=True, kw_only=True):
        """landed: what it saw, null when it could not look. momentary: the fault is an instant and need not last."""

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
    """The fault was seen to be undone; subject: the fault."""


class ProgramStarted(BaseEvent, frozen=True, tag="boot"):
    """A program of the lab started; subject: its pod. During a run it means that its container was restarted."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs."""

        pod: str
        node: str

    detail: Detail


class ServerRejoined(BaseEvent, frozen=True, tag="late"):
    """A program that started again during the run serves again, and makes no calls; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs."""

        pod: str
        node: str

    detail: Detail


class CallerReady(BaseEvent, frozen=True, tag="caller.ready"):
    """A caller took up the plan; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Where it runs, which service it calls, and whether on new or on reused connections."""

        pod: str
        node: str
        target: str
        connection: str

    detail: Detail


class CallerEnd(BaseEvent, frozen=True, tag="caller.end"):
    """A caller stopped; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """scheduled: calls that were due. written: those that it wrote down. skipped: those that it did not make."""

        pod: str
        node: str
        target: str
        connection: str
        scheduled: int
        written: int
        skipped: int

    detail: Detail


class ServerEnd(BaseEvent, frozen=True, tag="server.end"):
    """A server stopped; subject: its pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """served: how many requests it wrote down."""

        pod: str
        service: str
        served: int

    detail: Detail


class PodListed(BaseEvent, frozen=True, tag="pod"):
    """A pod of the lab as the API listed it when the run began; subject: its name."""

    class Detail(Detail, frozen=True, kw_only=True):
        """What policies know it by; labels: "key=value"."""

        service: str
        namespace: str
        service_account: str
        node: str
        address: str
        labels: tuple[str, ...]

    detail: Detail


class MembershipSeen(BaseEvent, frozen=True, tag="membership"):
    """A look whether a pod is in the mesh; subject: the pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """expected: whether it belongs there. meshed: whether it is there, null when it was not found out."""

        expected: bool
        meshed: bool | None

    detail: Detail


class NewPod(BaseEvent, frozen=True, tag="newpod"):
    """A pod was created during the run; at_ns: when it was asked for; subject: its name."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """What became of it. Null: it was not found out.

        answered_ns: when the API server answered. message: its words. meshed, started: whether the pod is in the mesh,
        and whether it became ready in time. node: where it came to run. placed: victim or bystander, of a pod that was
        made for that node. found: of a pod outside the mesh, whether a look at all pods finds it there. blocked, of an
        admitted pod: what Kubernetes says keeps it from starting, "" for nothing. blocked_ns: since when.
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
        """Whether a look at all pods finds it outside the mesh; None when it is not known, or was not asked."""
        return None if self.detail.found is UNSET else self.detail.found

    @property
    def blocked(self) -> str:
        """What Kubernetes says keeps it from starting; "" for nothing, and when it is not known."""
        return self.detail.blocked or ""

    @property
    def is_blockage_known(self) -> bool:
        """Whether Kubernetes could be asked what keeps it from starting."""
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
        """When the API server answered, as exactly as it is recorded."""
        return self.at_ns

    @property
    def edge(self) -> tuple[str, str]:
        """Source and target of the calls that it forbids."""
        return self.detail.source, self.detail.target


class PolicyVersion(BaseEvent, frozen=True, tag="policy"):
    """A policy object was first seen in a version, or seen to be gone; subject: "Kind namespace/name"."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """manifest: the object as one line of JSON. It and the resource version are absent of one that is gone."""

        verb: Literal["present", "changed", "gone"]
        api_version: str
        resource_version: str = ""
        manifest: str = ""

    detail: Detail


class PolicyListing(BaseEvent, frozen=True, tag="policy.look"):
    """All policy objects of a kind were asked for; subject: the kind."""

    class Detail(Detail, frozen=True, kw_only=True):
        """answered_ns: when the list came. error: why it did not, "" when it did."""

        answered_ns: Ns
        error: str

    detail: Detail


class CertificateShown(BaseEvent, frozen=True, tag="certificate"):
    """A look at the leaf certificate that a pod shows in a handshake; subject: the pod."""

    class Detail(Detail, frozen=True, kw_only=True, omit_defaults=True):
        """fingerprint: SHA-256 of the leaf, absent when none was seen. error: why nothing is known, "" when it is."""

        node: str
        error: str
        fingerprint: str = ""
        not_before_ns: Ns | None = None
        not_after_ns: Ns | None = None

    detail: Detail


class CertificateText(BaseEvent, frozen=True, tag="certificate.text"):
    """What a leaf certificate says, when it is first seen; subject: its fingerprint."""

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
        """Id of the key that signed it; "" when it is not known."""
        return self.detail.signer or ""


class ReplicaCount(BaseEvent, frozen=True, tag="condition"):
    """How many pods a workload wants and has ready, by the API; subject: "namespace/Kind/name"."""

    class Detail(Detail, frozen=True, kw_only=True):
        """Both null when the API could not be asked; error says why."""

        ready: int | None
        desired: int | None
        error: str

    detail: Detail


class NodeTaints(BaseEvent, frozen=True, tag="node"):
    """Which taints a node has, by the API; subject: the node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """taints: their keys, null when the API could not be asked; error says why."""

        taints: tuple[str, ...] | None
        error: str

    detail: Detail


class ObjectStatus(BaseEvent, frozen=True, tag="status"):
    """Which conditions an object states, by the API; subject: "version Kind namespace/name"."""

    class Detail(Detail, frozen=True, kw_only=True):
        """conditions: "type=status" and "type=reason", none of an object that does not exist, null as of NodeTaints."""

        conditions: tuple[str, ...] | None
        message: str
        error: str

    detail: Detail


class EventCount(BaseEvent, frozen=True, tag="told"):
    """How often Kubernetes reports an Event; subject: "namespace/reason". It forgets after an hour."""

    class Detail(Detail, frozen=True, kw_only=True):
        """count: null when the API could not be asked; error says why."""

        count: int | None
        error: str

    detail: Detail


class MetricSample(BaseEvent, frozen=True, tag="scrape"):
    """A metric of a pod, summed over its label sets; subject: the pod."""

    class Detail(Detail, frozen=True, kw_only=True):
        """value: null when the scrape failed, and error says why, or when the pod does not show the metric."""

        pod: str
        node: str
        metric: str
        value: float | None
        error: str

    detail: Detail


class WireReady(BaseEvent, frozen=True, tag="wire.ready"):
    """An observer of the wire listens; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """interfaces: on which it listens."""

        node: str
        interfaces: tuple[str, ...]

    detail: Detail


class WireHit(BaseEvent, frozen=True, tag="wire.hit"):
    """An observer found the canary of a call in the clear; subject: its node."""

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
    """How often an observer found the canary of an edge on one interface; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """first_ns, last_ns: when it was found first and last."""

        node: str
        interface: str
        source: str
        target: str
        count: int
        first_ns: Ns
        last_ns: Ns

    detail: Detail

    @property
    def instants(self) -> tuple[int, ...]:
        """The instants at which the record proves that a packet was readable."""
        return self.detail.first_ns, self.detail.last_ns


class WireGap(BaseEvent, frozen=True, tag="wire.gap"):
    """An observer was blind and knows it; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """reason: why it was blind."""

        node: str
        reason: str

    detail: Detail


class WireEnd(BaseEvent, frozen=True, tag="wire.end"):
    """An observer of the wire stopped; subject: its node."""

    class Detail(Detail, frozen=True, kw_only=True):
        """packets: how many it looked at. dropped: how many it lost."""

        node: str
        packets: int
        dropped: int

    detail: Detail


class DropCount(BaseEvent, frozen=True, tag="drop"):
    """Packets or calls that the mesh says it dropped on one node, of one edge, for one reason, within three seconds.

    subject: "source->target".
    """

    class Detail(Detail, frozen=True, kw_only=True):
        """reason: in the mesh's words. first_ns, last_ns: the first and the last of them."""

        node: str
        source: str
        target: str
        reason: str
        count: int
        first_ns: Ns
        last_ns: Ns

    detail: Detail

    @property
    def instants(self) -> tuple[int, int]:
        """The instants at which the record proves a drop."""
        return self.detail.first_ns, self.detail.last_ns


class DropLogRead(BaseEvent, frozen=True, tag="drops.source"):
    """The mesh's record of drops was read; subject: the node on which it stands."""

    class Detail(Detail, frozen=True, kw_only=True):
        """error: why it could not be read, "" when it was."""

        node: str
        error: str

    detail: Detail


Event = (
    Phase | StepEnd | HarnessTrouble
    | UndoWritten | FaultInjected | FaultAccount | FaultReceipt | UndoApplied | UndoVerified
    | ProgramStarted | ServerRejoined | CallerReady | CallerEnd | ServerEnd
    | PodListed | MembershipSeen | NewPod
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
