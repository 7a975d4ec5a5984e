"""The meshes. Each file defines one MESH; a file whose name starts with _ is shared by several.

VARIANTS, if defined, are the same product installed differently; drills treat each as a mesh with its own name.
An installed package adds meshes by entry points of the group `meshdrill.meshes`, e.g.
`kuma = "kuma_drills.mesh:MESH"`. The Mesh names the folder of its manifests, promises, known issues and a
versions.toml with its images, charts and CRDs.
"""

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from clusters.model import Mesh
from clusters.promises import with_documents
from clusters.runtime import HarnessError, UsageError

GROUP = "meshdrill.meshes"


def names() -> tuple[str, ...]:
    """Return the names of all meshes and variants, those of plug-ins that load included."""
    return tuple(sorted((*_built_in(), *(mesh.name for mesh in plugged_in()))))


def products() -> tuple[str, ...]:
    """Return the names of all meshes without variants, those of plug-ins that load included."""
    return tuple(sorted((*(file.MESH.name for file in _files()), *(mesh.name for mesh in plugged_in()))))


def plugged_in() -> tuple[Mesh, ...]:
    """Return the meshes of plug-ins that load."""
    return tuple(found for found in _plug_ins().values() if isinstance(found, Mesh))


def broken() -> dict[str, str]:
    """Return name -> reason for each plug-in that does not load."""
    return {name: found for name, found in _plug_ins().items() if isinstance(found, str)}


def load(name: str) -> Mesh:
    """Return a mesh by name. Raises UsageError when there is none, or its plug-in does not load."""
    known = {**_built_in(), **{mesh.name: mesh for mesh in plugged_in()}}
    if name in known:
        return known[name]
    if name in broken():
        raise UsageError(broken()[name])
    raise UsageError(f"There is no mesh {name!r}. Known meshes: {', '.join(sorted(known))}.")


@cache
def _built_in() -> dict[str, Mesh]:
    found = (mesh for file in _files() for mesh in (file.MESH, *getattr(file, "VARIANTS", ())))
    return {mesh.name: with_documents(mesh) for mesh in found}


def _files() -> list[ModuleType]:
    found = (file.name for file in pkgutil.iter_modules(__path__) if not file.name.startswith("_"))
    return [importlib.import_module(f"{__name__}.{name}") for name in found]


@cache
def _plug_ins() -> dict[str, Mesh | str]:
    """Return entry point -> its mesh, or the reason why it does not load."""
    return {point.name: _loaded(point) for point in entry_points(group=GROUP)}


def _loaded(point: EntryPoint) -> Mesh | str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    where = f"Mesh {point.name!r} of {package} ({point.value})"
    if point.name in _built_in():
        return f"{where} has the name of a mesh of meshdrill. Ask its author for another name."
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, the other meshes must work
        return f"{where} does not load: {type(error).__name__}: {error}. Install another version of it, or remove it."
    if not isinstance(found, Mesh):
        return f"{where} is {type(found).__name__}; expected a Mesh of clusters.model. Ask its author."
    if found.name != point.name:
        return f"{where} calls itself {found.name!r}; expected the name of its entry point. Ask its author."
    try:
        return with_documents(found)
    except HarnessError as error:
        return f"{where} has no usable promises: {error} Ask its author."
