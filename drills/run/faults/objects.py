"""`apply_objects` and `apply_then_delete`: store objects of a mesh's API, whether or not the mesh enforces them.

The objects are in manifests/<mesh>/policy/declared/<name>.yaml. An object that the cluster does not have is created;
one that it has is patched. The revert deletes created objects and restores patched fields.

What a mesh creates for an object, with an owner reference to it (workloads, their pods, Services), is deleted with it:
the revert is verified when none of that is left.

The receipt is a second read of the API: it shows that the objects are stored. Whether anything enforces them is what
the drill's claims on the calls show.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from clusters.cluster import Cluster
from clusters.kube import Json, describe
from clusters.lab import load
from clusters.model import Mesh
from clusters.runtime import HarnessError, UsageError
from drills.run.faults.base import BaseFault, PreparedFault, Receipt
from drills.run.timing import Timing
from drills.run.undo_entry import ObjectRef, Patch

_OBSERVER = "the API server, read again: stored, enforced or not"
_FOLDER = "declared"
_OWNED = (("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("v1", "Service"), ("v1", "Pod"))  # owners first
_OWNERS = frozenset({"Deployment", "ReplicaSet"})

_Key = tuple[str, str, str]  # kind, namespace, name


class ApplyObjects(BaseFault, tag="apply-objects", frozen=True, kw_only=True):
    """Store the mesh's objects of one name."""

    name: str

    @property
    def variant(self) -> str:
        """The name of the objects."""
        return self.name

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "AppliedObjects":
        """Read the manifests, and the objects that the cluster already has."""
        wanted, created, back = _read(cluster, mesh, self.name)
        return AppliedObjects(run_id=run_id, wanted=wanted, created=created, back=back)


class AppliedObjects(PreparedFault, tag="apply-objects", kw_only=True):
    """Objects applied through the API; observed by reading them again."""

    wanted: tuple[dict[str, Any], ...]  # manifests in file order
    created: tuple[ObjectRef, ...]  # those that the cluster did not have
    back: tuple[Patch, ...]  # patches that revert the changes of the others

    @property
    def subject(self) -> str:
        """Each object is as before the fault."""
        return f"{', '.join(map(describe, self.wanted))} as before"

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Apply the objects in file order."""
        for wanted in self.wanted:
            self.apply(cluster, wanted)
        return f"applied: {', '.join(map(describe, self.wanted))}"

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: each object exists, with every applied field."""
        # With a turn, too, it reads everything: that costs the nodes nothing.
        return self.seen(cluster, self.wanted)

    def revert(self, cluster: Cluster) -> None:
        """Restore fields and delete objects; each may be reverted already."""
        for patch in self.back:
            patch.apply(cluster)
        for ref in reversed(self.created):
            ref.delete(cluster, grace_s=0)

    def reverted(self, cluster: Cluster) -> str:
        """Return which objects still exist, and which are not as before."""
        changed = [it.target.title for it in self.back if not _covers(it.target.find(cluster), it.changes)]
        return "; ".join([*remains(cluster, self.created), *(f"{title} is not as before" for title in changed)])

    def apply(self, cluster: Cluster, wanted: Json) -> None:
        """Store one of the objects."""
        if ObjectRef.of(wanted) in self.created:
            cluster.kube.apply(wanted).demand(f"Applying {describe(wanted)}")
        else:
            cluster.kube.patch(wanted)

    @staticmethod
    def seen(cluster: Cluster, applied: Iterable[Json]) -> Receipt:
        """Return the receipt for some of the objects."""
        seen = [(wanted, ObjectRef.of(wanted).find(cluster)) for wanted in applied]
        landed = all(found is not None and _covers(found, wanted) for wanted, found in seen)
        return Receipt(landed, _OBSERVER, "; ".join(_words(wanted, found) for wanted, found in seen))


class ApplyThenDelete(BaseFault, tag="apply-then-delete", frozen=True, kw_only=True):
    """Store the first of the objects, then the others, then delete the first."""

    name: str
    stands_s: float  # how long the first exists alone, and then with the others

    @property
    def variant(self) -> str:
        """The name of the objects."""
        return self.name

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "AppliedThenDeleted":
        """Read the manifests; UsageError when the first object exists already."""
        wanted, created, back = _read(cluster, mesh, self.name)
        if ObjectRef.of(wanted[0]) not in created:
            raise UsageError(f"{describe(wanted[0])} exists already: a drill may delete only what it created.")
        return AppliedThenDeleted(run_id=run_id, wanted=wanted, created=created, back=back, stands_s=self.stands_s)


class AppliedThenDeleted(AppliedObjects, tag="apply-then-delete", kw_only=True):
    """Objects that refer to a deleted one; observed by reading all of them.

    Controllers need some seconds to act on the first object. It exists alone at first, so that no other object ever
    refers to one that does not exist yet.
    """

    stands_s: float

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Apply the first object, later the others, and later delete the first."""
        first, *others = self.wanted
        self.apply(cluster, first)
        time.sleep(self.stands_s)
        for wanted in others:
            self.apply(cluster, wanted)
        time.sleep(self.stands_s)
        ObjectRef.of(first).delete(cluster)
        return (
            f"applied: {describe(first)}; {self.stands_s:g} s later {', '.join(map(describe, others))}; "
            f"{self.stands_s:g} s later {describe(first)} deleted"
        )

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: the first object and all that it owned are gone, and the others are stored as applied."""
        first, *others = self.wanted
        rest = self.seen(cluster, others)
        left = "; ".join(remains(cluster, (ObjectRef.of(first),)))
        gone = left or f"{describe(first)} does not exist"
        return Receipt(rest.landed and not left, _OBSERVER, f"{gone}; {rest.evidence}")


def apply_objects(name: str, *, hold_s: float = 30.0) -> ApplyObjects:
    """Store the mesh's objects of this name (manifests/<mesh>/policy/declared/), and keep them until the undo."""
    return ApplyObjects(name=name, hold_s=hold_s)


def apply_then_delete(name: str, *, stands_s: float, hold_s: float = 30.0) -> ApplyThenDelete:
    """Store the first of those objects, after stands_s the others, and after stands_s more delete the first.

    The hold begins then: references to the first object are dangling.
    """
    return ApplyThenDelete(name=name, stands_s=stands_s, hold_s=hold_s)


def remains(cluster: Cluster, refs: Iterable[ObjectRef]) -> Iterator[str]:
    """Yield which of the objects exist, and which existing objects are owned by one of them or by a deleted owner.

    Kubernetes deletes the objects of a deleted owner one generation after the other: an object without its owner, such
    as a pod without its ReplicaSet, is about to be deleted.
    """
    gone_or_going: set[_Key] = set()
    for ref in refs:
        gone_or_going.add((ref.kind, ref.namespace, ref.name))
        if ref.find(cluster) is not None:
            yield f"{ref.title} still exists"
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


def _read(cluster: Cluster, mesh: Mesh, name: str) -> tuple[tuple[Json, ...], tuple[ObjectRef, ...], tuple[Patch, ...]]:
    """Return the objects of a name, those that the cluster lacks, and the patches that revert changes."""
    path = mesh.manifests / "policy" / _FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(f"{mesh.title} has no objects by the name {name}: there is no {path.name}.")
    wanted = tuple(load(path, {}))
    if not all(isinstance(it.get("metadata"), Mapping) for it in wanted):
        raise HarnessError(f"{path.name}: an object's metadata is no mapping. Correct the manifest.")
    known = [(it, ObjectRef.of(it).find(cluster)) for it in wanted]
    created = tuple(ObjectRef.of(it) for it, found in known if found is None)
    # The same address, and the old value of each field.
    back = tuple(Patch(ObjectRef.of(it), _inverse(Patch.of(it).changes, found)) for it, found in known if found)
    return wanted, created, back


def _inverse(change: Mapping[str, object], found: Mapping[str, object]) -> Json:
    """Return the merge patch that reverts a change: old values, and None for fields that did not exist."""

    def before(key: str, value: object) -> object:
        known = found.get(key)
        return _inverse(value, known) if isinstance(value, Mapping) and isinstance(known, Mapping) else known

    return {key: before(key, value) for key, value in change.items()}


def _covers(found: object, wanted: object) -> bool:
    """Return whether `found` has all that is wanted (None: absent); other fields may have the server's defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_covers(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_covers, found, wanted))
    return found == wanted


def _words(wanted: Mapping[str, object], found: Mapping[str, object] | None) -> str:
    if found is None:
        return f"{describe(wanted)} does not exist"
    return f"{describe(wanted)} is stored {'as applied' if _covers(found, wanted) else 'with other fields'}"
