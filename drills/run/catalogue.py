"""The drills: those of this package, and those in files named on the command line."""

import difflib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from clusters import meshes
from clusters.model import Mesh
from clusters.runtime import UsageError
from drills.run.declare import Declared, declared, unmet

DRILLS_DIR = Path(__file__).resolve().parents[1]
_PATTERN = "test_*.py"
_SEPARATOR = "::"


@cache
def entries() -> tuple[Declared, ...]:
    """Return every drill of this package, by file and line."""
    return tuple(_of_files(sorted(DRILLS_DIR.glob(_PATTERN))))


def entries_of(places: Iterable[Path]) -> tuple[Declared, ...]:
    """Return every drill of files and folders outside this package; UsageError for a file that cannot be loaded."""
    return tuple(_of_files(file for place in places for file in _files(place)))


def find(name: str) -> Declared:
    """Return the drill called name, or the one of FILE.py::test_x; UsageError suggests similar names."""
    if _SEPARATOR in name:
        return _find_in_file(name)
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        raise UsageError(f"There is no drill {name!r}. {_nearest(name, tuple(known))}")
    return known[name]


def find_mesh(name: str) -> Mesh:
    """Return the facts of the mesh called name.

    UsageError suggests similar names for an unknown one, or says why a plug-in cannot be loaded.
    """
    if name not in (*meshes.names(), *meshes.broken()):
        raise UsageError(f"There is no mesh {name!r}. {_nearest(name, meshes.names())}")
    return meshes.load(name)


def skipped() -> dict[tuple[str, str], str]:
    """Return (drill, mesh) -> why that drill is skipped on that mesh, for all drills and meshes."""
    pairs = ((entry, meshes.load(name)) for entry in entries() for name in meshes.names())
    found = {(entry.name, mesh.name): unmet(entry.requires, mesh) for entry, mesh in pairs}
    return {pair: reason for pair, reason in found.items() if reason}


def controls() -> tuple[str, ...]:
    """Return the names of the meshes that are controls."""
    return tuple(name for name in meshes.names() if meshes.load(name).is_control)


def _find_in_file(name: str) -> Declared:
    place, _, function = name.partition(_SEPARATOR)
    known = {entry.function: entry for entry in entries_of([Path(place)])}
    if function not in known:
        raise UsageError(f"{place} has no drill {function!r}. {_nearest(function, tuple(known))}")
    return known[function]


def _files(place: Path) -> Iterator[Path]:
    if not place.exists():
        raise UsageError(f"There is no {place}; expected a file {_PATTERN}, or a folder of such files.")
    yield from sorted(place.rglob(_PATTERN)) if place.is_dir() else [place]


def _of_files(files: Iterable[Path]) -> Iterator[Declared]:
    for file in files:
        found = (declared(it) for it in vars(_module(file.resolve())).values())
        yield from (it for it in found if it is not None and it.file.resolve() == file.resolve())


def _module(file: Path) -> ModuleType:
    """Return the module of a file: a drill of this package by its name, any other under a name that no package has."""
    if file.parent == DRILLS_DIR:
        return importlib.import_module(f"drills.{file.stem}")
    name = f"meshdrill_outside_{file.stem}_{abs(hash(file)):x}"
    if name not in sys.modules:
        sys.modules[name] = _load(name, file)
    return sys.modules[name]


def _load(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} is no Python file; expected a file {_PATTERN} with a function under @drill(...).")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{file} cannot be loaded: {type(error).__name__}: {error}.") from error
    return module


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known) or 'none'}."
