"""Polls what Kubernetes reports of workloads, nodes and objects, and its Events, at an interval.

An on-call team could alert on each of them.
"""

import time
from collections.abc import Sequence

from clusters.kube import Json, Kube, wanted_and_ready
from clusters.model import Component, Role, SignalKind, SignalSpec
from clusters.runtime import HarnessError
from drills.judge.events import EventCount, NodeTaints, ObjectStatus, ReplicaCount
from drills.run.background import Background
from drills.run.recorder import Recorder
from drills.run.timing import Timing

EVERY = "*"
"""In place of a workload's name: all workloads of the kind in the namespace."""

_MESSAGE_LIMIT = 2000  # characters of a message


class Conditions(Background):
    """Polls what the signals name: workloads, objects, taints of the nodes, counts of Events."""

    def __init__(self, kube: Kube, recorder: Recorder, signals: Sequence[SignalSpec], timing: Timing) -> None:
        super().__init__("conditions", ends_within_s=timing.watch_ends_within_s)
        self._every_s = timing.conditions_every_s
        self._kube = kube
        self._recorder = recorder
        self._workloads = tuple(
            {
                signal.subject: _workload(signal.subject) for signal in signals if signal.kind is SignalKind.CONDITION
            }.items()
        )
        self._reasons: dict[str, list[str]] = {}  # namespace -> reasons of Events
        for signal in signals:
            if signal.kind is SignalKind.EVENT:
                namespace, _, reason = signal.subject.partition("/")
                self._reasons.setdefault(namespace, []).append(reason)
        stated = (signal.subject for signal in signals if signal.kind is SignalKind.STATUS)
        self._objects = tuple(dict.fromkeys(subject.rpartition(" ")[0] for subject in stated))
        self._nodes: tuple[str, ...] = ()  # those last seen
        self._asks_nodes = any(signal.kind is SignalKind.NODE_TAINT for signal in signals)

    def start(self) -> None:
        """Start the thread, if a signal needs it."""
        if self._workloads or self._objects or self._asks_nodes or self._reasons:
            super().start()

    def _run(self) -> None:
        while not self._ended.is_set():
            due_s = time.monotonic() + self._every_s
            for subject, workload in self._workloads:
                self._ask(subject, workload)
            for subject in self._objects:
                self._ask_status(subject)
            if self._asks_nodes:
                self._ask_nodes()
            for namespace, reasons in self._reasons.items():
                self._ask_events(namespace, reasons)
            # Paced: a round begins at each interval, however long its queries take.
            self._ended.wait(max(0.0, due_s - time.monotonic()))

    def _ask(self, subject: str, workload: Component) -> None:
        at_ns = time.time_ns()
        try:
            desired, ready = self._count_all(workload) if workload.name == EVERY else self._count(workload)
        except HarnessError as error:
            seen = ReplicaCount.Detail(ready=None, desired=None, error=str(error))
        else:
            seen = ReplicaCount.Detail(ready=ready, desired=desired, error="")
        self._recorder.note(ReplicaCount(at_ns, subject, seen))

    def _count(self, workload: Component) -> tuple[int, int]:
        found = self._kube.get("apps/v1", workload.kind, workload.name, workload.namespace)
        # A workload that is gone wants no pods and has none.
        return wanted_and_ready(found) if found else (0, 0)

    def _count_all(self, workload: Component) -> tuple[int, int]:
        """Return how many pods all workloads of the kind want, and how many of them are ready."""
        found = self._kube.find("apps/v1", workload.kind, workload.namespace)
        if not found:
            raise HarnessError(f"There is no {workload.kind} in {workload.namespace}.")
        # An object in a list does not have its kind.
        counts = [wanted_and_ready({**item, "kind": workload.kind}) for item in found]
        return sum(desired for desired, _ in counts), sum(ready for _, ready in counts)

    def _ask_events(self, namespace: str, reasons: Sequence[str]) -> None:
        """Record the count of each reason. It may fall, because Kubernetes deletes Events after an hour."""
        at_ns = time.time_ns()
        try:
            found = self._kube.find("v1", "Event", namespace)
        except HarnessError as error:
            unknown = EventCount.Detail(count=None, error=str(error))
            for reason in reasons:
                self._recorder.note(EventCount(at_ns, f"{namespace}/{reason}", unknown))
            return
        for reason in reasons:
            count = sum(_times(event) for event in found if event.get("reason") == reason)
            counted = EventCount.Detail(count=count, error="")
            self._recorder.note(EventCount(at_ns, f"{namespace}/{reason}", counted))

    def _ask_status(self, subject: str) -> None:
        """Record status and reason of each condition of an object; an object that does not exist has no conditions.

        The messages are recorded too: they are what an on-call team would read.
        """
        at_ns = time.time_ns()
        api_version, kind, named = subject.split(" ")
        namespace, _, name = named.rpartition("/")
        try:
            found = self._kube.get(api_version, kind, name, namespace or None)
        except HarnessError as error:
            unknown = ObjectStatus.Detail(conditions=None, message="", error=str(error))
            self._recorder.note(ObjectStatus(at_ns, subject, unknown))
            return
        stated = ((found or {}).get("status") or {}).get("conditions") or []
        words = tuple(f"{it['type']}={it[what]}" for it in stated for what in ("status", "reason") if it.get(what))
        said = "; ".join(it["message"] for it in stated if it.get("message"))
        seen = ObjectStatus.Detail(conditions=words, message=said[:_MESSAGE_LIMIT], error="")
        self._recorder.note(ObjectStatus(at_ns, subject, seen))

    def _ask_nodes(self) -> None:
        at_ns = time.time_ns()
        try:
            nodes = self._kube.find("v1", "Node")
        except HarnessError as error:
            unknown = NodeTaints.Detail(taints=None, error=str(error))
            for name in self._nodes:
                self._recorder.note(NodeTaints(at_ns, name, unknown))
            return
        self._nodes = tuple(node["metadata"]["name"] for node in nodes)
        for node in nodes:
            taints = tuple(taint["key"] for taint in node["spec"].get("taints", ()))
            seen = NodeTaints.Detail(taints=taints, error="")
            self._recorder.note(NodeTaints(at_ns, node["metadata"]["name"], seen))


def _workload(subject: str) -> Component:
    """Return the component for "namespace/kind/name", as `replicas` needs it; its role is not used."""
    namespace, kind, name = subject.split("/")
    return Component(Role.CONTROL_PLANE, kind, namespace, name, selector="", process="")


def _times(event: Json) -> int:
    """Return the count of an Event: the old and the new API have it in different fields."""
    series = event.get("series") or {}
    return int(event.get("count") or series.get("count") or 1)
