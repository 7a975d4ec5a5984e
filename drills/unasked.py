"""Which drills cannot be asked of which mesh, and why: what an index says in place of a verdict."""

from clusters import meshes
from drills.catalogue import entries
from drills.run.needs import unmet


def reasons() -> dict[tuple[str, str], str]:
    """Return the reason for each (drill, mesh) that cannot be, of all drills and meshes there are."""
    pairs = ((entry, meshes.load(name)) for entry in entries() for name in meshes.names())
    found = {(entry.name, mesh.name): unmet(entry.needs, mesh) for entry, mesh in pairs}
    return {pair: reason for pair, reason in found.items() if reason}
