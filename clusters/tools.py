"""Find kind, kubectl and helm: on the PATH if the version fits, else in the cache, the archives, or built with Go."""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from types import MappingProxyType

import msgspec

from clusters.images import build
from clusters.images.artefacts import Artefacts
from clusters.images.catalogue import versions
from clusters.runtime import HarnessError, Progress, Steps, answers, archive_dir, tools_dir

Version = tuple[int, int, int]

_ASK_TIMEOUT_S = 10.0


class Tools(msgspec.Struct, frozen=True):
    """Programs with compatible versions; `versions` is name -> version, for run.json."""

    kind: Path
    kubectl: Path
    helm: Path
    versions: dict[str, str]


class _Tool(msgspec.Struct, frozen=True):
    """One tool: the arguments that print its version, whether a version fits the pinned one, and its build source."""

    ask: tuple[str, ...]
    fits: Callable[[Version, Version], bool]
    source: str


_TOOLS = MappingProxyType(
    {
        # Another minor of kind makes nodes in another way.
        "kind": _Tool(("version",), lambda found, pinned: found[:2] == pinned[:2], "go:kind:kind"),
        # Kubernetes supports a kubectl within one minor of the API server.
        "kubectl": _Tool(
            ("version", "--client"),
            lambda found, pinned: found[0] == pinned[0] and abs(found[1] - pinned[1]) <= 1,
            "go:kubernetes:kubectl",
        ),
        "helm": _Tool(("version", "--short"), lambda found, pinned: found[0] == pinned[0], "go:helm:helm"),
    }
)


def ensure_tools(
    progress: Progress, *, kind: Path | None = None, kubectl: Path | None = None, archives: Path | None = None
) -> Tools:
    """Return all three tools; compile those that are not found, which takes minutes once.

    kind, kubectl: the user's choice, used without a version check. archives: the directory that `save` filled; None is
    the one in the cache. Raises HarnessError when a tool prints no version.
    """
    given = {"kind": kind, "kubectl": kubectl}
    places = (tools_dir(), (archives or archive_dir()) / "tools")
    found = {name: given.get(name) or _on_path(name) or _kept(name, places) for name in _TOOLS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        found |= _build(missing, progress)
    paths = {name: path for name, path in found.items() if path is not None}
    return Tools(
        kind=paths["kind"],
        kubectl=paths["kubectl"],
        helm=paths["helm"],
        versions={name: _version_text(name, path) for name, path in paths.items()},
    )


def save(tools: Tools, directory: Path) -> tuple[Path, ...]:
    """Copy the tools into an archive directory, for a site without access to package registries."""
    chosen = {"kind": tools.kind, "kubectl": tools.kubectl, "helm": tools.helm}
    return tuple(_put(path, directory / "tools" / _pinned(name)) for name, path in chosen.items())


def parse_version(text: str) -> Version | None:
    """Return the first `vX.Y.Z` in a tool's output, or None."""
    match = re.search(r"\bv(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def fits(name: str, said: str) -> bool:
    """Return whether the version in a tool's output fits the pinned one."""
    found, pinned = parse_version(said), parse_version(f"v{versions().tools[name]}")
    return found is not None and pinned is not None and _TOOLS[name].fits(found, pinned)


def _on_path(name: str) -> Path | None:
    place = shutil.which(name)
    said = answers([place, *_TOOLS[name].ask], timeout_s=_ASK_TIMEOUT_S) if place else None
    return Path(place) if place and said and fits(name, said) else None


def _kept(name: str, places: Iterable[Path]) -> Path | None:
    candidates = (place / _pinned(name) for place in places)
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def _pinned(name: str) -> Path:
    """Return the path of a tool's pinned version, relative to a directory of tools."""
    return Path(f"{name}-{versions().tools[name]}") / name


def _build(names: list[str], progress: Progress) -> dict[str, Path]:
    sources = {name: _TOOLS[name].source for name in names}
    build.build((), progress, programs=tuple(sources.values()))
    artefacts = Artefacts(Steps(progress))
    return {name: _put(artefacts.path(source), tools_dir() / _pinned(name)) for name, source in sources.items()}


def _put(program: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".partial")
    shutil.copy2(program, partial)
    partial.rename(place)
    return place


def _version_text(name: str, path: Path) -> str:
    said = answers([path, *_TOOLS[name].ask], timeout_s=_ASK_TIMEOUT_S)
    version = parse_version(said or "")
    if version is None:
        raise HarnessError(f"{path} prints no version (it printed {said!r}); expected vX.Y.Z. Remove it and run again.")
    return ".".join(str(number) for number in version)
