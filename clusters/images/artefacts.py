"""Artefacts of the builder: each is made once and cached under a key of its inputs."""

import shutil
import sys
import tempfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters.images import debian, golang, recipe
from clusters.runtime import HarnessError, Steps, build_dir, run

_GCC_TIMEOUT_S = 60.0
_PIP_TIMEOUT_S = 900.0


class Artefacts:
    """Makes artefacts that are missing and returns their paths. Thread-safe."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def path(self, source: str) -> Path:
        """Return the file or directory that a context entry names (see `Recipe`), made if missing."""
        kind, _, rest = source.partition(":")
        owner, _, detail = rest.partition(":")
        match kind:
            case "go":
                return self.programs(owner, (detail,))[detail]
            case "c":
                return self._c_program(owner, detail)
            case "debian":
                return self._debian_root(owner)
            case "wheel":
                return self._wheels(owner) / detail
            case "module":
                module, _, inside = detail.partition(":")
                return golang.module_path(owner, module, inside)
        raise HarnessError(f"Source {source} is of an unknown kind. This is a defect of meshdrill.")

    def programs(self, owner: str, wanted: tuple[str, ...]) -> dict[str, Path]:
        """Return Go programs of one recipe; missing ones are compiled together, so that all cores stay busy."""
        places = {name: _place("go", owner, f"go:{owner}:{name}") / name for name in wanted}
        with self._lock(build_dir() / "go" / owner):
            described = recipe.load(owner).go
            groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
            for name, place in places.items():
                if not place.exists() and described is not None:
                    groups[described.programs[name].tags].append(name)
            for names in groups.values():
                with self._steps.step(f"compile {owner}: {' '.join(names)}"), _work() as work:
                    golang.compile_programs(owner, tuple(names), work, log_of(f"go-{owner}"))
                    for name in names:
                        _put(work / name, places[name])
        return places

    def _c_program(self, owner: str, name: str) -> Path:
        source = f"c:{owner}:{name}"
        place = _place("c", owner, source) / name
        described = recipe.load(owner).c
        with self._lock(place):
            if not place.exists() and described is not None:
                program = described.programs[name]
                with self._steps.step(f"compile {owner}: {name}"), _work() as work:
                    run(
                        ["gcc", *program.flags, "-static", "-o", work / name, self.path(program.source)],
                        timeout_s=_GCC_TIMEOUT_S,
                    )
                    _put(work / name, place)
        return place

    def _debian_root(self, owner: str) -> Path:
        place = _place("debian", owner, f"debian:{owner}") / "root.tar"
        described = recipe.load(owner).debian
        with self._lock(place):
            if not place.exists() and described is not None:
                with self._steps.step(f"debootstrap {owner}"), _work() as work:
                    debian.make_root(described, work / "root.tar", work, log_of(f"debian-{owner}"))
                    _put(work / "root.tar", place)
        return place

    def _wheels(self, owner: str) -> Path:
        place = _place("wheel", owner, f"wheel:{owner}:") / "unpacked"
        described = recipe.load(owner).wheel
        with self._lock(place):
            if not place.exists() and described is not None:
                with self._steps.step(f"download wheels of {owner}"), _work() as work:
                    _unpack_wheels(recipe.recipes_dir() / owner / described.requirements, work)
                    _put(work / "unpacked", place)
        return place

    @contextmanager
    def _lock(self, place: Path) -> Iterator[None]:
        with self._guard:
            lock = self._locks[place]
        with lock:
            yield


def log_of(name: str) -> Path:
    """Return the log file of one step of the builder."""
    return build_dir() / "logs" / f"{name}.log"


def _place(kind: str, owner: str, source: str) -> Path:
    return build_dir() / kind / f"{owner}-{recipe.source_key(source)}"


def clear_work() -> None:
    """Remove the unfinished work of a killed builder. The caller must hold the builder's lock."""
    _remove(_work_dir())


def _work_dir() -> Path:
    return build_dir() / "work"


def _remove(path: Path) -> None:
    debian.unmount_below(path)  # a killed debootstrap leaves /proc mounted in its root
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _work() -> Iterator[Path]:
    """Yield a work directory on the cache's file system, so that results are renamed, not copied."""
    _work_dir().mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=_work_dir()))
    try:
        yield path
    finally:
        _remove(path)


def _put(made: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    made.rename(place)


def _unpack_wheels(requirements: Path, work: Path) -> None:
    downloads = work / "downloads"
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            f"--dest={downloads}",
            f"--requirement={requirements}",
        ],
        timeout_s=_PIP_TIMEOUT_S,
    )
    for wheel in downloads.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(work / "unpacked")
            for entry in archive.infolist():  # extractall drops the executable bits
                if mode := entry.external_attr >> 16 & 0o777:
                    (work / "unpacked" / entry.filename).chmod(mode)
