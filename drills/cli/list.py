"""`meshdrill list`: every drill, and the meshes that it can run on here."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from clusters import host, meshes
from clusters.model import Mesh
from drills.run.catalogue import entries, entries_of
from drills.run.declare import Declared, unmet


class Listed(msgspec.Struct, frozen=True):
    """One drill of the list. meshes: for each mesh why the drill cannot run on it here, "" when it can."""

    drill: str
    hypothesis: str
    roles: tuple[str, ...]
    capabilities: tuple[str, ...]
    meshes: dict[str, str]


def listed(places: Iterable[Path] = ()) -> tuple[Listed, ...]:
    """Return every drill of the package and of these files and folders."""
    return tuple(_listed(entry) for entry in (*entries(), *entries_of(places)))


def as_json(drills: Iterable[Listed]) -> str:
    """Return the list as JSON, one object per drill."""
    return msgspec.json.format(msgspec.json.encode(tuple(drills))).decode()


def as_text(drills: Iterable[Listed]) -> str:
    """Return the list for a person."""
    return "\n\n".join(_paragraph(it) for it in drills)


def _listed(entry: Declared) -> Listed:
    return Listed(
        drill=entry.name,
        hypothesis=entry.hypothesis,
        roles=entry.roles,
        capabilities=entry.capabilities,
        meshes={name: _reason(entry, meshes.load(name)) for name in meshes.names()},
    )


def _reason(entry: Declared, mesh: Mesh) -> str:
    """Return why the drill cannot run on the mesh, at all or on this machine; "" when it can."""
    if reason := unmet(entry.requires, mesh):
        return reason
    lack = host.missing_kernel_features(mesh.install.kernel_features)
    return f"{mesh.title} cannot run here: {lack}" if lack else ""


def _paragraph(drill: Listed) -> str:
    can = [name for name, reason in drill.meshes.items() if not reason]
    lines = [drill.drill, *(f"    {line}" if line else "" for line in drill.hypothesis.splitlines())]
    lines.append(f"  requires  {', '.join((*drill.roles, *drill.capabilities)) or 'nothing'}")
    lines.append(f"  meshes    {', '.join(can) or 'none yet'}")
    lines += [f"  skipped   {reason}" for reason in drill.meshes.values() if reason]
    return "\n".join(lines)
