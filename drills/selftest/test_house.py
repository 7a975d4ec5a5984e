"""House rules that no linter knows."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_MODULE_LINES = 600  # about 500 is the aim; one concept a module comes first
MAX_DRILL_LINES = 40
CODE = ("clusters", "drills", "manifests", "conftest.py")
# Where a mesh may be named: its own file, its manifests, tests. (versions.toml and the docs are no Python.)
HOMES = ("clusters/meshes/", "manifests/", "drills/selftest/")
MESH_WORDS = ("istio", "linkerd", "cilium", "envoy", "ztunnel")


def modules() -> list[Path]:
    """Return every Python file of ours."""
    found = [file for name in CODE for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))]
    return sorted(file for file in found if ".venv" not in file.parts)


def drill_files() -> list[Path]:
    """Return the files of the drills."""
    return sorted((ROOT / "drills").glob("test_*.py"))


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file."""
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parsed(file: Path) -> ast.Module:
    """Return the file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


def name(file: Path) -> str:
    """Return the file's path within the project."""
    return file.relative_to(ROOT).as_posix()


def test_modules_are_short() -> None:
    """No module is longer than 600 lines."""
    lengths = {name(file): len(file.read_text(encoding="utf-8").splitlines()) for file in modules()}
    assert not {file: lines for file, lines in lengths.items() if lines > MAX_MODULE_LINES}


def test_drills_are_short() -> None:
    """No function of a drill's file is longer than 40 lines."""
    found = [(name(file), it) for file in drill_files() for it in functions(file)]
    lengths = {(file, it.name): (it.end_lineno or 0) - it.lineno + 1 for file, it in found}
    assert {file for file, _ in lengths} == {name(file) for file in drill_files()}
    assert len(lengths) == len(found), "two functions of one name in a file: the first is never run"
    assert not {drill: lines for drill, lines in lengths.items() if lines > MAX_DRILL_LINES}


def test_drills_import_only_the_kit() -> None:
    """A drill imports drills.kit and nothing else."""
    imported = {module for file in drill_files() for node in ast.walk(parsed(file)) for module in modules_of(node)}
    assert imported == {"drills.kit"}


def test_facts_of_a_mesh_are_pure() -> None:
    """What judge and clusters share imports nothing but msgspec beside the standard library."""
    tree = parsed(ROOT / "clusters" / "model.py")
    packages = {module.partition(".")[0] for node in ast.walk(tree) for module in modules_of(node)}
    assert packages - sys.stdlib_module_names == {"msgspec"}


def test_drills_never_sleep() -> None:
    """A drill calls no sleep and no kubectl."""
    texts = {name(file): file.read_text(encoding="utf-8") for file in drill_files()}
    assert not [file for file, text in texts.items() if "sleep" in text or "kubectl" in text]


def test_meshes_are_named_only_at_home() -> None:
    """No code outside a mesh's own file, its manifests and the tests names a mesh."""
    strangers = [file for file in modules() if not name(file).startswith(HOMES)]
    lines = ((file, *it) for file in strangers for it in enumerate(file.read_text(encoding="utf-8").splitlines(), 1))
    named = [f"{name(file)}:{number}" for file, number, line in lines if any(it in line.lower() for it in MESH_WORDS)]
    assert not named


def test_every_test_states_its_claim() -> None:
    """Every test and every drill has a docstring: the claim that it tests."""
    tests = [(name(file), it) for file in (ROOT / "drills").rglob("test_*.py") for it in functions(file)]
    assert not [f"{file}::{it.name}" for file, it in tests if it.name.startswith("test_") and not ast.get_docstring(it)]


def test_readme_maps_every_folder() -> None:
    """README.md names every top-level folder that holds code."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"{folder}/" in text for folder in ("clusters", "manifests", "drills", "reports"))


def modules_of(node: ast.AST) -> tuple[str, ...]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return tuple(alias.name for alias in node.names)
    return (node.module or "",) if isinstance(node, ast.ImportFrom) else ()
