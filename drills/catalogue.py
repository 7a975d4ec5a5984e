"""Which drills there are: read from the drills' own files, without importing them or anything heavy."""

import ast
import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clusters import meshes
from clusters.model import Capability, Mesh, Role
from clusters.runtime import UsageError

DRILLS_DIR = Path(__file__).resolve().parent
_PREFIX = "test_"


@dataclass(frozen=True)
class Entry:
    """One drill, as its file declares it."""

    name: str  # control-plane-outage
    file: Path
    function: str  # test_control_plane_outage
    hypothesis: str  # its docstring
    needs: tuple[Role | Capability, ...]  # what a mesh must have to be asked
    has_own_install: bool = False  # no cluster that stands already will do

    @property
    def node_id(self) -> str:
        """Return how pytest names it."""
        return f"{self.file}::{self.function}"

    @property
    def roles(self) -> tuple[str, ...]:
        """Return the parts that a mesh must have."""
        return tuple(need.value for need in self.needs if isinstance(need, Role))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Return what a mesh must be able to do."""
        return tuple(need.value for need in self.needs if isinstance(need, Capability))


def entries(directory: Path = DRILLS_DIR) -> tuple[Entry, ...]:
    """Return every drill of the files `test_*.py` in the directory, in the order of file and line."""
    files = sorted(directory.glob(f"{_PREFIX}*.py"))
    return tuple(entry for file in files for entry in _entries_of(file, file.stat().st_mtime_ns))


def find(name: str) -> Entry:
    """Return the drill called name; UsageError offers the nearest names when there is none."""
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        raise UsageError(f"There is no drill {name!r}. {_nearest(name, tuple(known))}")
    return known[name]


def find_mesh(name: str) -> Mesh:
    """Return the facts of the mesh called name.

    UsageError offers the nearest names when there is none, or says why a plug-in gives none.
    """
    if name not in (*meshes.names(), *meshes.broken()):
        raise UsageError(f"There is no mesh {name!r}. {_nearest(name, meshes.names())}")
    return meshes.load(name)


def drill_name(function: str) -> str:
    """Return the name of the drill that the test function asks: test_control_plane_outage -> control-plane-outage."""
    return function.removeprefix(_PREFIX).replace("_", "-")


@cache
def _entries_of(file: Path, _changed_ns: int) -> tuple[Entry, ...]:
    """Read a file once, as long as nobody changes it: a night asks for the entry of a drill again and again."""
    return tuple(_read(file))


def _read(file: Path) -> Iterator[Entry]:
    for node in ast.parse(file.read_text(encoding="utf-8"), str(file)).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith(_PREFIX):
            yield Entry(
                name=drill_name(node.name),
                file=file,
                function=node.name,
                hypothesis=inspect.cleandoc(ast.get_docstring(node) or ""),
                needs=tuple(_needs_of(node)),
                has_own_install=any(_decorators(node, "install")),
            )


def _needs_of(node: ast.FunctionDef) -> Iterator[Role | Capability]:
    """Yield Role.X and Capability.Y of a decorator `@requires(Role.X, Capability.Y)`."""
    for call in _decorators(node, "requires"):
        for argument in call.args:
            yield _need(argument)


def _decorators(node: ast.FunctionDef, name: str) -> Iterator[ast.Call]:
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name:
            yield call


def _need(argument: ast.expr) -> Role | Capability:
    text = ast.unparse(argument)
    family, _, member = text.partition(".")
    if family == Role.__name__ and member in Role.__members__:
        return Role[member]
    if family == Capability.__name__ and member in Capability.__members__:
        return Capability[member]
    raise UsageError(f"A drill requires {text!r}; expected Role.NAME or Capability.NAME as clusters/model.py has them.")


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known) or 'none'}."
