"""Objects declared that the mesh may or may not put into force: what somebody meant is stored, and that is all.

The objects stand in manifests/<mesh>/policy/declared/<name>.yaml. One that the cluster does not have is made; of one
that it has, the fields given there are changed. The undo on disk removes what was made and puts back what was changed.

What a mesh makes of an object, and Kubernetes keeps as that object's own (workloads, their pods, Services), goes with
it: an undo is over when none of that is left.

The receipt is a second read of the API: it shows that the objects were declared and stay so. It says nothing of who
enforces them: that is what a drill asks of the calls.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from clusters.cluster import Cluster
from clusters.kube import Json, describe
from clusters.lab import load
from clusters.model import Mesh
from clusters.runtime import HarnessError, UsageError
from drills.run.faults.injury import Injury, Receipt
from drills.run.undo_entry import Undo

_OBSERVER = "the API server, read again: declared and stored, enforced or not"
_FOLDER = "declared"
_OWNED = (("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("v1", "Service"), ("v1", "Pod"))  # owners first
_OWNERS = frozenset({"Deployment", "ReplicaSet"})

_Key = tuple[str, str, str]  # kind, namespace, name


class Declared(Injury):
    """Objects applied through the API; seen by reading them again."""

    def __init__(self, cluster: Cluster, mesh: Mesh, name: str) -> None:
        self._cluster = cluster
        path = mesh.manifests / "policy" / _FOLDER / f"{name}.yaml"
        if not path.is_file():
            raise UsageError(f"{mesh.title} has nothing to declare by the name {name}: there is no {path.name}.")
        self._wanted = tuple(load(path, {}))
        known = {describe(wanted): _find(cluster, wanted) for wanted in self._wanted}
        self._fresh = tuple(wanted for wanted in self._wanted if known[describe(wanted)] is None)
        self._changed = tuple(wanted for wanted in self._wanted if known[describe(wanted)] is not None)
        self._back = tuple(_inverse(wanted, known[describe(wanted)] or {}) for wanted in self._changed)

    def undo(self, run_id: str) -> Undo:
        """Remove what was made, and put back what was changed."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="retract",
            subject=f"{', '.join(map(describe, self._wanted))} as before",
            manifests=self._fresh,
            patches=self._back,
        )

    def inject(self) -> str:
        """Apply the objects in the order of the file."""
        for wanted in self._wanted:
            self._declare(wanted)
        return f"declared: {', '.join(map(describe, self._wanted))}"

    def observe(self) -> Receipt:
        """Landed: each object is there, with every field that was declared."""
        return self._see(self._wanted)

    def glance(self, turn: int) -> Receipt | None:
        """Look again: it is a read of each object, and costs the nodes nothing."""
        del turn
        return self.observe()

    def _declare(self, wanted: Json) -> None:
        if wanted in self._changed:
            self._cluster.kube.patch(wanted)
        else:
            self._cluster.kube.apply(wanted).demand(f"Declaring {describe(wanted)}")

    def _see(self, declared: tuple[Json, ...]) -> Receipt:
        seen = [(wanted, _find(self._cluster, wanted)) for wanted in declared]
        landed = all(found is not None and _covers(found, wanted) for wanted, found in seen)
        return Receipt(landed, _OBSERVER, "; ".join(_words(wanted, found) for wanted, found in seen))


class Withdrawn(Declared):
    """The first of the objects stands alone, then with the others, then it is deleted; seen by reading all again.

    Whoever acts on such an object needs some seconds for it. It stands alone first, so that no other object ever
    refers to what is not there yet.
    """

    def __init__(self, cluster: Cluster, mesh: Mesh, name: str, stands_s: float) -> None:
        super().__init__(cluster, mesh, name)
        self._stands_s = stands_s
        self._first, self._others = self._wanted[0], self._wanted[1:]
        if self._first not in self._fresh:
            raise UsageError(f"{describe(self._first)} is there already: what is withdrawn must be the drill's own.")

    def inject(self) -> str:
        """Apply the objects, each in its time, and delete the first."""
        self._declare(self._first)
        time.sleep(self._stands_s)
        for wanted in self._others:
            self._declare(wanted)
        time.sleep(self._stands_s)
        self._cluster.kube.delete(self._first).demand(f"Deleting {describe(self._first)}")
        return (
            f"declared: {describe(self._first)}; {self._stands_s:g} s later {', '.join(map(describe, self._others))}; "
            f"{self._stands_s:g} s later {describe(self._first)} deleted"
        )

    def observe(self) -> Receipt:
        """Landed: the first object and all that was made of it is gone, and each of the others stands as declared."""
        rest = self._see(self._others)
        left = "; ".join(_remains(self._cluster, (self._first,)))
        gone = left or f"{describe(self._first)} is not there"
        return Receipt(rest.landed and not left, _OBSERVER, f"{gone}; {rest.evidence}")


def retract(cluster: Cluster, undo: Undo) -> None:
    """Put fields back and remove objects, each of which may be as before already."""
    for patch in undo.patches:
        cluster.kube.patch(patch)
    for manifest in reversed(undo.manifests):
        cluster.kube.delete(manifest, grace_s=0).demand(f"Deleting {describe(manifest)}")


def unretracted(cluster: Cluster, undo: Undo) -> str:
    """Say what is still declared, "" when nothing is."""
    return "; ".join(_left(cluster, undo))


def _left(cluster: Cluster, undo: Undo) -> Iterator[str]:
    yield from _remains(cluster, undo.manifests)
    for patch in undo.patches:
        if not _covers(_find(cluster, patch), patch):
            yield f"{describe(patch)} is not what it was"


def _remains(cluster: Cluster, manifests: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Say which of the objects exist, and what else does that belongs to one of them, or to something gone.

    Kubernetes removes what belongs to a removed object one generation after the other: what outlives its own owner, a
    pod that of its ReplicaSet, is on its way.
    """
    gone_or_going: set[_Key] = set()
    for manifest in manifests:
        metadata = _metadata(manifest)
        gone_or_going.add((str(manifest["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])))
        if _find(cluster, manifest) is not None:
            yield f"{describe(manifest)} still exists"
    listed: set[_Key] = set()
    spaces = sorted({namespace for _, namespace, _ in gone_or_going if namespace})
    for (api_version, kind), namespace in product(_OWNED, spaces):
        for found in cluster.kube.find(api_version, kind, namespace):
            key = (kind, namespace, str(found["metadata"]["name"]))
            listed.add(key)
            owners = {(it["kind"], namespace, it["name"]) for it in found["metadata"].get("ownerReferences") or ()}
            orphaned = any(owner[0] in _OWNERS and owner not in listed for owner in owners)
            if orphaned or owners & gone_or_going:
                gone_or_going.add(key)
                yield f"{kind} {namespace}/{key[2]} still exists"


def _find(cluster: Cluster, manifest: Mapping[str, object]) -> Json | None:
    metadata = _metadata(manifest)
    return cluster.kube.get(
        str(manifest["apiVersion"]), str(manifest["kind"]), str(metadata["name"]), metadata.get("namespace")
    )


def _metadata(manifest: Mapping[str, object]) -> Json:
    metadata = manifest["metadata"]
    if not isinstance(metadata, Mapping):
        raise HarnessError(f"{describe(manifest)}: its metadata is no mapping. Correct the manifest.")
    return dict(metadata)


def _inverse(change: Mapping[str, object], found: Mapping[str, object]) -> Json:
    """Return the merge patch that takes a change back: what was there, and None for what was not."""

    def before(key: str, value: object) -> object:
        known = found.get(key)
        return _inverse(value, known) if isinstance(value, Mapping) and isinstance(known, Mapping) else known

    return {key: before(key, value) for key, value in change.items()}


def _covers(found: object, wanted: object) -> bool:
    """Tell whether all that is wanted is found, None being what is not there; the server adds defaults to the rest."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_covers(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_covers, found, wanted))
    return found == wanted


def _words(wanted: Mapping[str, object], found: Mapping[str, object] | None) -> str:
    if found is None:
        return f"{describe(wanted)} is not there"
    return f"{describe(wanted)} is stored {'as declared' if _covers(found, wanted) else 'otherwise'}"
