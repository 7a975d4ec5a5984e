"""A directory of `docker save` archives: what an air-gapped site carries in, and where images are looked for there."""

import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from clusters.runtime import HarnessError, Progress, Steps, run, state_dir

_SAVE_TIMEOUT_S = 600.0


class _Manifest(msgspec.Struct, frozen=True):
    RepoTags: tuple[str, ...] | None = None


class _Indexed(msgspec.Struct, frozen=True):
    """What one archive holds; valid while the file's size and time are the same."""

    size_bytes: int
    modified_ns: int
    refs: tuple[str, ...]


_Index = dict[str, _Indexed]


def save(refs: Iterable[str], directory: Path, progress: Progress) -> tuple[Path, ...]:
    """Write one archive per image of the engine into `directory`, named after its reference.

    An archive appears under its name only when it is whole. Raises HarnessError when an image is absent.
    """
    directory.mkdir(parents=True, exist_ok=True)
    steps = Steps(progress)
    written = []
    for ref in refs:
        target = directory / file_name(ref)
        partial = target.with_suffix(".partial")
        with steps.step(f"save {ref}"):
            run(["docker", "save", "--output", partial, ref], timeout_s=_SAVE_TIMEOUT_S)
            partial.rename(target)
        written.append(target)
    return tuple(written)


def load(path: Path) -> None:
    """Load one archive into the engine. Raises HarnessError when the engine refuses it."""
    run(["docker", "load", "--quiet", "--input", path], timeout_s=_SAVE_TIMEOUT_S)


def find(ref: str, directory: Path) -> Path | None:
    """Return the archive that holds an image, by what the archives themselves say, or None.

    Raises HarnessError for an archive that cannot be read: a copy that was cut short must not look like an absent one.
    """
    index = _indexed(directory)
    wanted = familiar(ref)
    return next((directory / name for name, held in sorted(index.items()) if wanted in held.refs), None)


def file_name(ref: str) -> str:
    """Return the file name of an image's archive."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", ref) + ".tar"


def familiar(ref: str) -> str:
    """Return a reference as the engine writes it into an archive: Docker's own registry is left out."""
    return ref.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")


def _indexed(directory: Path) -> _Index:
    if not directory.is_dir():
        return {}
    cache = state_dir() / f"archives-{re.sub(r'[^A-Za-z0-9]+', '_', str(directory.resolve()))}.json"
    known = _read_index(cache)
    fresh: _Index = {}
    for path in sorted(directory.glob("*.tar")):
        facts = path.stat()
        held = known.get(path.name)
        if held is None or (held.size_bytes, held.modified_ns) != (facts.st_size, facts.st_mtime_ns):
            held = _Indexed(facts.st_size, facts.st_mtime_ns, _refs_in(path))
        fresh[path.name] = held
    if fresh != known:
        cache.write_bytes(msgspec.json.encode(fresh))
    return fresh


def _read_index(cache: Path) -> _Index:
    try:
        return msgspec.json.decode(cache.read_bytes(), type=_Index)
    except (FileNotFoundError, msgspec.DecodeError):
        return {}  # never written, or by a killed run: reading the archives again costs seconds


def _refs_in(path: Path) -> tuple[str, ...]:
    try:
        with tarfile.open(path, "r:") as archive:
            # Every header is read: the manifest comes last, and a file that was cut short ends here.
            member = archive.extractfile("manifest.json")
            manifests = msgspec.json.decode(member.read() if member else b"[]", type=tuple[_Manifest, ...])
    except KeyError as absent:
        raise HarnessError(
            f"{path} has no manifest.json; expected a whole archive of `docker save`. Copy it again, or remove it."
        ) from absent
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError) as broken:
        raise HarnessError(
            f"{path} cannot be read as an archive of `docker save` ({broken}); it may have been cut short. "
            "Copy it again, or remove it."
        ) from broken
    return tuple(familiar(ref) for manifest in manifests for ref in manifest.RepoTags or ())
