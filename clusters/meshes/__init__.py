"""The meshes, one file each. A new mesh is a new file here that defines MESH; a file _NAME is what several share.

VARIANTS beside it, if there are any, are the same product installed otherwise, for drills as a mesh of its own name.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from clusters.errors import UsageError
from clusters.mesh import Mesh


def names() -> tuple[str, ...]:
    """Return the name of every mesh and variant that has a file here."""
    return tuple(sorted(_known()))


def products() -> tuple[str, ...]:
    """Return the name of every mesh that has a file here, without its variants."""
    return tuple(sorted(file.MESH.name for file in _files()))


def load(name: str) -> Mesh:
    """Return the facts of the mesh called name; UsageError names the known ones when there is none."""
    known = _known()
    if name not in known:
        raise UsageError(f"There is no mesh {name!r}. Known meshes: {', '.join(sorted(known))}.")
    return known[name]


@cache
def _known() -> dict[str, Mesh]:
    return {mesh.name: mesh for file in _files() for mesh in (file.MESH, *getattr(file, "VARIANTS", ()))}


def _files() -> list[ModuleType]:
    found = (file.name for file in pkgutil.iter_modules(__path__) if not file.name.startswith("_"))
    return [importlib.import_module(f"{__name__}.{name}") for name in found]
