"""Objects declared that the mesh may or may not put into force: what somebody meant is stored, and that is all.

The objects stand in manifests/policy/<mesh>/declared/<name>.yaml. One that the cluster does not have is made; of one
that it has, the fields given there are changed. The undo on disk removes what was made and puts back what was changed.

The receipt is a second read of the API: it shows that the objects were declared and stay so. It says nothing of who
enforces them: that is what a drill asks of the calls.
"""

from collections.abc import Iterator, Mapping

from clusters.errors import HarnessError, UsageError
from clusters.install import MANIFESTS
from clusters.kube import Json, describe
from clusters.lab import load
from clusters.mesh import Mesh
from clusters.place import Place
from drills.run.faults.injury import Injury, Receipt
from drills.run.undo_entry import Undo

_OBSERVER = "the API server, read again: declared and stored, enforced or not"
_FOLDER = "declared"


class Declared(Injury):
    """Objects applied through the API; seen by reading them again."""

    def __init__(self, place: Place, mesh: Mesh, name: str) -> None:
        self._place = place
        path = MANIFESTS / "policy" / mesh.policy / _FOLDER / f"{name}.yaml"
        if not path.is_file():
            raise UsageError(f"{mesh.title} has nothing to declare by the name {name}: there is no {path.name}.")
        self._wanted = load(path, {})
        known = {describe(wanted): _find(place, wanted) for wanted in self._wanted}
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
            if wanted in self._changed:
                self._place.kube.patch(wanted)
            else:
                self._place.kube.apply(wanted).demand(f"Declaring {describe(wanted)}")
        return f"declared: {', '.join(map(describe, self._wanted))}"

    def observe(self) -> Receipt:
        """Landed: each object is there, with every field that was declared."""
        seen = [(wanted, _find(self._place, wanted)) for wanted in self._wanted]
        landed = all(found is not None and _covers(found, wanted) for wanted, found in seen)
        return Receipt(landed, _OBSERVER, "; ".join(_words(wanted, found) for wanted, found in seen))

    def glance(self, turn: int) -> Receipt | None:
        """Look again: it is a read of each object, and costs the nodes nothing."""
        del turn
        return self.observe()


def retract(place: Place, undo: Undo) -> None:
    """Put fields back and remove objects, each of which may be as before already."""
    for patch in undo.patches:
        place.kube.patch(patch)
    for manifest in reversed(undo.manifests):
        place.kube.delete(manifest, grace_s=0).demand(f"Deleting {describe(manifest)}")


def unretracted(place: Place, undo: Undo) -> str:
    """Say what is still declared, "" when nothing is."""
    return "; ".join(_left(place, undo))


def _left(place: Place, undo: Undo) -> Iterator[str]:
    for manifest in undo.manifests:
        if _find(place, manifest) is not None:
            yield f"{describe(manifest)} still exists"
    for patch in undo.patches:
        if not _covers(_find(place, patch), patch):
            yield f"{describe(patch)} is not what it was"


def _find(place: Place, manifest: Mapping[str, object]) -> Json | None:
    metadata = manifest["metadata"]
    if not isinstance(metadata, Mapping):
        raise HarnessError(f"{describe(manifest)}: its metadata is no mapping. Correct the manifest.")
    return place.kube.get(
        str(manifest["apiVersion"]), str(manifest["kind"]), str(metadata["name"]), metadata.get("namespace")
    )


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
