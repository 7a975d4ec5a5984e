"""Go: find a recent toolchain, and with it build programs and get files of pinned modules."""

import platform
import re
import shutil
from functools import cache
from pathlib import Path

import msgspec

from clusters.images import recipe
from clusters.runtime import HarnessError, build_dir, run

MIN_GO = (1, 26)
# Fetched as a module by a host with an older Go; the checksum database verifies it like any module.
TOOLCHAIN_MODULE = "golang.org/toolchain@v0.0.1-go1.26.8.linux-{architecture}"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_DOWNLOAD_TIMEOUT_S = 900.0
_COMPILE_TIMEOUT_S = 2400.0


class _Downloaded(msgspec.Struct, frozen=True):
    Dir: str


@cache
def go_program() -> Path:
    """Return a go command of at least MIN_GO: the one on PATH, else a toolchain fetched through it.

    Raises HarnessError when no Go is on the PATH at all, or the toolchain cannot be fetched.
    """
    found = shutil.which("go")
    if found is None:
        raise HarnessError(
            f"Building images needs Go {MIN_GO[0]}.{MIN_GO[1]} or any older Go that can fetch it; no `go` is on the "
            "PATH. Run again with --bootstrap (Debian or Ubuntu, as root), or install Go."
        )
    if _version(Path(found)) >= MIN_GO:
        return Path(found)
    return _fetched_toolchain(Path(found))


def download(name: str, log: Path) -> None:
    """Fetch every module of a recipe's go.mod, verified against its go.sum."""
    run([go_program(), "mod", "download"], timeout_s=_DOWNLOAD_TIMEOUT_S, cwd=recipe.recipes_dir() / name, log=log)


def module_path(name: str, module: str, inside: str) -> Path:
    """Return a file or directory in the module cache, of a module at the version in the recipe's go.mod."""
    said = run(
        [go_program(), "mod", "download", "-json", module],
        timeout_s=_DOWNLOAD_TIMEOUT_S,
        cwd=recipe.recipes_dir() / name,
    )
    return _module_dir(said) / inside


def compile_programs(name: str, programs: tuple[str, ...], target: Path, log: Path) -> None:
    """Compile programs of one recipe with equal build tags into `target`, statically and with -trimpath."""
    described = recipe.load(name).go
    if described is None:
        raise HarnessError(f"Recipe {name} has no [go] table. This is a defect of meshdrill.")
    chosen = [described.programs[program] for program in programs]
    stamped = [f"-X '{variable}={value}'" for variable, value in sorted(described.variables.items())]
    linked = (
        ["-linkmode=external", "-extldflags=-static"] if described.cgo else []
    )  # without cgo, Go links statically by default
    run(
        [
            go_program(),
            "build",
            "-o",
            f"{target}/",
            f"-ldflags={' '.join(['-s', '-w', *linked, *stamped])}",
            f"-tags={','.join(chosen[0].tags)}",
            *(program.package for program in chosen),
        ],
        timeout_s=_COMPILE_TIMEOUT_S,
        cwd=recipe.recipes_dir() / name,
        environment={"CGO_ENABLED": "1" if described.cgo else "0", "GOFLAGS": "-trimpath", "GOWORK": "off"},
        log=log,
    )
    for program, source in zip(programs, chosen, strict=True):
        (target / executable_name(source.package)).rename(target / program)


def executable_name(package: str) -> str:
    """Return the file name that `go build` gives a package: its last element that is not a major version."""
    elements = package.split("/")
    return elements[-2] if re.fullmatch(r"v[0-9]+", elements[-1]) else elements[-1]


def _version(go: Path) -> tuple[int, int]:
    # GOTOOLCHAIN=local: the version of this program, not of one that it would fetch for a go.mod.
    said = run([go, "version"], timeout_s=30, environment={"GOTOOLCHAIN": "local"}, cwd=Path("/"))
    match = re.search(r"go(\d+)\.(\d+)", said)
    if match is None:
        raise HarnessError(f"`{go} version` said {said.strip()!r}; expected `go version goX.Y`. Install Go anew.")
    return int(match[1]), int(match[2])


def _module_dir(said: str) -> Path:
    """Return the directory of a module from the output of `go mod download -json`."""
    return Path(msgspec.json.decode(said.encode(), type=_Downloaded).Dir)


def _fetched_toolchain(old: Path) -> Path:
    """Fetch the toolchain as a module; Go fetches one itself only from 1.21, and Debian 12 has 1.19."""
    said = run(
        [old, "mod", "download", "-json", TOOLCHAIN_MODULE.format(architecture=_ARCHITECTURES[platform.machine()])],
        timeout_s=_DOWNLOAD_TIMEOUT_S,
        cwd=build_dir(),
        environment={"GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw"},
    )
    root = _module_dir(said)
    for program in [*(root / "bin").iterdir(), *(root / "pkg" / "tool").rglob("*")]:
        if program.is_file():
            program.chmod(0o755)  # a module's zip has no executable bits
    return root / "bin" / "go"
