"""Records every version of the mesh's policy objects through a run, for later audits."""

import threading
import time
from collections.abc import Iterable, Mapping

import msgspec

from clusters.kube import Json, Kube, describe
from clusters.lab import LAB
from clusters.model import Mesh, PolicyKind
from clusters.runtime import HarnessError
from drills.judge.events import PolicyListing, PolicyVersion
from drills.run.background import Background
from drills.run.recorder import Recorder
from drills.run.timing import Timing

_OBJECTS = 500  # limit per kind: a lab has some ten
_LEFT_OUT = ("managedFields",)  # the owners of fields: as long as all the rest, and irrelevant to an audit


class PolicyLog:
    """The last known version of each object; a change becomes an event PolicyVersion. Safe for several threads.

    While a list request runs, a probe may change an object: what the log noted of an object since the request was sent
    is newer than the list.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._versions: dict[tuple[str, str], str] = {}  # (API version, subject) -> resource version
        self._noted_ns: dict[tuple[str, str], int] = {}

    def saw(self, found: Mapping[str, object]) -> None:
        """Note an object that the API server just returned."""
        with self._lock:
            self._present(found, time.time_ns())

    def lost(self, manifest: Mapping[str, object]) -> None:
        """Note that the API server just removed an object."""
        with self._lock:
            self._gone((str(manifest["apiVersion"]), describe(manifest)), time.time_ns())

    def looked(self, asked: PolicyKind, objects: Iterable[Mapping[str, object]], asked_ns: int) -> None:
        """Note the complete list of a kind; a known object that is not in it is gone."""
        found = {(asked.api_version, describe(it)): it for it in objects}
        with self._lock:
            at_ns = time.time_ns()
            missing = {key for key in self._versions if _is_of(key, asked)} - found.keys()
            for key, it in found.items():
                if self._noted_ns.get(key, 0) < asked_ns:
                    self._present(it, at_ns)
            for key in missing:
                if self._noted_ns.get(key, 0) < asked_ns:
                    self._gone(key, at_ns)
            self._listed(asked, asked_ns, PolicyListing.Detail(answered_ns=at_ns, error=""))

    def failed(self, asked: PolicyKind, error: str, asked_ns: int) -> None:
        """Note that a list request failed, or returned too many objects."""
        self._listed(asked, asked_ns, PolicyListing.Detail(answered_ns=time.time_ns(), error=error))

    def _listed(self, asked: PolicyKind, asked_ns: int, listing: PolicyListing.Detail) -> None:
        self._recorder.note(PolicyListing(asked_ns, asked.kind, listing))

    def _present(self, found: Mapping[str, object], at_ns: int) -> None:
        key, version = (str(found["apiVersion"]), describe(found)), _metadata(found).get("resourceVersion", "")
        self._noted_ns[key] = at_ns
        before = self._versions.get(key)
        if before == version:
            return
        self._versions[key] = str(version)
        seen = PolicyVersion.Detail(
            verb="present" if before is None else "changed",
            api_version=key[0],
            resource_version=str(version),
            manifest=_canonical(found),
        )
        self._recorder.note(PolicyVersion(at_ns, key[1], seen))

    def _gone(self, key: tuple[str, str], at_ns: int) -> None:
        self._noted_ns[key] = at_ns
        if self._versions.pop(key, None) is not None:
            self._recorder.note(PolicyVersion(at_ns, key[1], PolicyVersion.Detail(verb="gone", api_version=key[0])))


class PolicyWatch(Background):
    """Lists every kind at the start, at an interval, and at the end."""

    def __init__(self, kube: Kube, log: PolicyLog, mesh: Mesh, timing: Timing) -> None:
        super().__init__("policies", ends_within_s=timing.watch_ends_within_s)
        self._every_s = timing.policies_every_s
        self._kube = kube
        self._log = log
        self._kinds = mesh.policy.kinds
        self._namespaces = frozenset({LAB, mesh.policy.root, ""})  # "" for cluster-scoped objects

    def start(self) -> None:
        """Start the thread, if the mesh has policy objects."""
        if self._kinds:
            super().start()

    def _run(self) -> None:
        self._look_at_all()
        while not self._ended.is_set():
            for kind in self._kinds:
                # One kind at a time: all of them at once would take processor time from the callers.
                if not self._ended.wait(self._every_s / len(self._kinds)):
                    self._look(kind)
        self._look_at_all()

    def _look_at_all(self) -> None:
        """List every kind; after the first request that fails, skip the others."""
        is_answered = True
        for kind in self._kinds:
            is_answered = is_answered and self._look(kind)

    def _look(self, asked: PolicyKind) -> bool:
        asked_ns = time.time_ns()
        try:
            found = self._kube.find(asked.api_version, asked.kind)
        except HarnessError as error:
            self._log.failed(asked, str(error), asked_ns)
            return False
        ours = [_named(it, asked) for it in found if _metadata(it).get("namespace", "") in self._namespaces]
        if len(ours) > _OBJECTS:
            self._log.failed(asked, f"there are {len(ours)} of them; at most {_OBJECTS} are recorded", asked_ns)
        else:
            self._log.looked(asked, ours, asked_ns)
        return True


def _named(found: Json, asked: PolicyKind) -> Json:
    """Add API version and kind to an object of a list: the API server states them only for the list."""
    return {**found, "apiVersion": asked.api_version, "kind": asked.kind}


def _is_of(key: tuple[str, str], asked: PolicyKind) -> bool:
    return key[0] == asked.api_version and key[1].startswith(f"{asked.kind} ")


def _metadata(found: Mapping[str, object]) -> Mapping[str, object]:
    metadata = found.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _canonical(found: Mapping[str, object]) -> str:
    """Return the object as one line of JSON with sorted keys, without its status and managed fields."""
    metadata = {name: value for name, value in _metadata(found).items() if name not in _LEFT_OUT}
    kept = {name: value for name, value in found.items() if name != "status"} | {"metadata": metadata}
    return msgspec.json.encode(kept, order="sorted").decode()
