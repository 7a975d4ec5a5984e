"""The meshes, one file each. A new mesh is a new file here that defines MESH."""

import importlib
import pkgutil

from clusters.errors import UsageError
from clusters.mesh import Mesh


def names() -> tuple[str, ...]:
    """Return the name of every mesh that has a file here."""
    return tuple(sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(__path__)))


def load(name: str) -> Mesh:
    """Return the facts of the mesh called name; UsageError names the known ones when there is none."""
    if name not in names():
        raise UsageError(f"There is no mesh {name!r}. Known meshes: {', '.join(names())}.")
    mesh: Mesh = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").MESH
    return mesh
