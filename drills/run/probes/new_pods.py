"""The probe of new pods: creates and removes pods, and records whether each is admitted, in the mesh, and started.

The pods run the lab's own program: they make and serve calls by the plan of the run, which are recorded as any other.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec
from msgspec import UNSET

from clusters.kube import Admission, Json, is_ready
from clusters.lab import LAB, NEW_POD, NEW_POD_FILE, NEW_SERVICE_FILE, is_member, load, members
from clusters.model import Enrolment
from clusters.runtime import HarnessError, wait_until
from drills.judge.events import NewPod
from drills.judge.records import NS_PER_S
from drills.run.context import Context
from drills.run.experiment import NewPods
from drills.run.inventory import Inventory
from drills.run.phase import StoppedError
from drills.run.probes.base import Probe
from drills.run.undo_entry import CreatedObject, ObjectRef

# Warnings from before a pod's program runs. Later ones (Unhealthy, BackOff) are about a program that did run.
_BEFORE_START = frozenset({"FailedScheduling", "FailedMount", "FailedCreatePodSandBox", "NetworkNotReady"})


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class _Pod(msgspec.Struct):
    spec: _Spec


@dataclass(frozen=True)
class _Seen:
    """What became of an admitted pod; None where it is unknown."""

    is_meshed: bool | None = None
    is_started: bool | None = None
    node: str = ""
    blocked: str | None = ""  # the last warning of Kubernetes; None when the API did not answer
    blocked_ns: int | None = None  # when that warning first came


class NewPodsProbe(Probe):
    """Creates pods at an interval and records for each: refused or admitted, in the mesh or not, started or not."""

    name = "new-pods"

    def __init__(self, context: Context, spec: NewPods, pods: Inventory) -> None:
        super().__init__(context, every_s=spec.every_s)
        self._spec = spec
        self._pods = pods
        self._count = 0

    def attempt(self, phase: str) -> bool:
        """Create one pod per place and remove it; good when each is in the mesh, started, and a call succeeded."""
        places = self._spec.on or ("",)
        first = self._count + 1
        self._count += len(places)
        with ThreadPoolExecutor(len(places)) as pool:
            return all([*pool.map(partial(self._one, phase), range(first, first + len(places)), places)])

    def _one(self, phase: str, number: int, placed: str) -> bool:
        name = f"{NEW_POD}-{self._context.run_id[:6]}-{number}"
        (manifest,) = load(NEW_POD_FILE, {"NAME": name, "LAB_IMAGE": self._pods.image})
        fronts = load(NEW_SERVICE_FILE, {}) if self._spec.own_service else []
        if placed:
            # Bound without the scheduler: the probe tests the node, not what keeps pods away from it.
            manifest["spec"]["nodeName"] = self._pods.placed[placed]
        refs = [ObjectRef.of(created) for created in (manifest, *fronts)]
        entries = [CreatedObject(run_id=self._context.run_id, created=ref) for ref in refs]
        pending_entries = [self._context.undo_log.write(entry) for entry in entries]
        try:
            for front in fronts:
                self._context.cluster.kube.apply(front)  # if refused, the pod gets no calls, which checks see
            return self._create(name, manifest, placed)
        finally:
            for pending in pending_entries:
                self._clean_up(pending, phase)

    def _create(self, name: str, manifest: Json, placed: str) -> bool:
        sent_ns = time.time_ns()
        answer = self._context.cluster.kube.create_pod(manifest)
        answered_ns = time.time_ns()  # after a webhook timeout the answer comes late
        admitted = answer.outcome == "accepted"
        seen = self._watch(name, answer) if admitted else _Seen()
        if admitted and (seen.is_started is not False or self._spec.own_service):
            self._context.phase.pause(self._spec.serves_s)
        result = NewPod.Detail(
            outcome="admitted" if answer.outcome == "accepted" else answer.outcome,
            answered_ns=answered_ns,
            message=answer.message,
            meshed=seen.is_meshed,
            started=seen.is_started,
            node=seen.node,
            placed=placed,
            found=self._is_found(name) if seen.is_meshed is False else UNSET,
            blocked=seen.blocked if admitted else UNSET,
            blocked_ns=seen.blocked_ns if admitted else UNSET,
        )
        self._context.recorder.note(NewPod(sent_ns, name, result))
        is_good = bool(seen.is_started) and bool(seen.is_meshed)
        return is_good and self._context.tail.has_succeeded(name)

    def _watch(self, name: str, answer: Admission) -> _Seen:
        cluster, mesh = self._context.cluster, self._context.mesh
        at_admission = mesh.membership.enrolment is Enrolment.ADMISSION
        is_meshed = is_member(cluster, mesh, answer.object) if at_admission else None
        try:
            pod = wait_until(
                lambda: self._ready_pod(name),
                lambda pod: pod is not None,
                what=f"Pod {name} ready",
                within_s=self._spec.within_s,
                every_s=self._context.timing.poll_every_s,
            )
        except StoppedError:
            return _Seen(is_meshed)
        except HarnessError:
            blocked, blocked_ns = self._warning(name)
            return _Seen(is_meshed, is_started=False, blocked=blocked, blocked_ns=blocked_ns)
        is_meshed = is_meshed if at_admission or pod is None else self._proven(pod)
        return _Seen(is_meshed, is_started=True, node=msgspec.convert(pod, _Pod).spec.node_name)

    def _is_found(self, name: str) -> bool | None:
        """Return whether a list of the lab's pods shows this one outside the mesh; None if the API does not answer."""
        try:
            return members(self._context.cluster, self._context.mesh, LAB).get(name) is False
        except HarnessError:
            return None

    def _proven(self, pod: Json) -> bool | None:
        """Return whether a started pod is in the mesh; None when the proof did not appear in time."""
        try:
            return wait_until(
                lambda: is_member(self._context.cluster, self._context.mesh, pod),
                lambda found: found is not None,
                what="The proof of a new pod's membership",
                within_s=self._spec.within_s,
                every_s=self._context.timing.poll_every_s,
            )
        except HarnessError:
            return None

    def _ready_pod(self, name: str) -> Json | None:
        """Return the pod once it is ready; None before, and while the API does not answer."""
        self._context.phase.pause(0)
        try:
            pod = self._context.cluster.kube.get("v1", "Pod", name, LAB)
        except HarnessError:
            return None
        return pod if pod is not None and is_ready(pod) else None

    def _warning(self, name: str) -> tuple[str | None, int | None]:
        """Return the warning that keeps the pod from starting, and since when; "" for none, None for unknown."""
        try:
            pod = self._context.cluster.kube.get("v1", "Pod", name, LAB)
            events = self._context.cluster.kube.find("v1", "Event", LAB)
        except HarnessError:
            return None, None
        if pod is not None and not msgspec.convert(pod, _Pod).spec.node_name:
            return "NotScheduled: the scheduler chose no node for it", None
        about = [event for event in events if event["involvedObject"].get("name") == name]
        warnings = [event for event in about if event.get("reason") in _BEFORE_START]
        if not warnings:
            return "", None
        last = warnings[-1]
        return f"{last.get('reason')}: {last.get('message')}", _instant_ns(last)


def _instant_ns(event: Json) -> int | None:
    """Return when an Event first came: the old and the new API have that time in different fields."""
    text = event.get("firstTimestamp") or event.get("eventTime")
    return round(datetime.fromisoformat(text).timestamp() * NS_PER_S) if text else None
