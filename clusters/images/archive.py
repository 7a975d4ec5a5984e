"""A directory of `docker save` archives, the image source of an air-gapped site."""

import hashlib
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
    """The images in one archive; valid while the file's size and modification time are unchanged."""

    size_bytes: int
    modified_ns: int
    refs: tuple[str, ...]


_Index = dict[str, _Indexed]


def save(refs: Iterable[str], directory: Path, progress: Progress) -> tuple[Path, ...]:
    """Write one archive per image of the engine into `directory`, named after its reference.

    Each archive is renamed into place once complete. Raises HarnessError when an image is absent.
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
    """Return the archive that contains an image, by the archives' own manifests, or None.

    Raises HarnessError for an unreadable archive, so that a truncated copy is not mistaken for an absent image.
    """
    index = _indexed(directory)
    wanted = familiar(ref)
    return next((directory / name for name, held in sorted(index.items()) if wanted in held.refs), None)


def sha256(path: Path) -> str:
    """Return the SHA-256 of an archive file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(ref: str) -> str:
    """Return the file name of an image's archive."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", ref) + ".tar"


def familiar(ref: str) -> str:
    """Return a reference as the engine writes it into an archive: without Docker Hub's registry name."""
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
        return {}  # absent or truncated: reading the archives again takes seconds


def _refs_in(path: Path) -> tuple[str, ...]:
    try:
        with tarfile.open(path, "r:") as archive:
            # Reads every header: the manifest comes last, so a truncated file fails here.
            member = archive.extractfile("manifest.json")
            manifests = msgspec.json.decode(member.read() if member else b"[]", type=tuple[_Manifest, ...])
    except KeyError as absent:
        raise HarnessError(
            f"{path} has no manifest.json; expected a complete archive of `docker save`. Copy it again, or remove it."
        ) from absent
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError) as broken:
        raise HarnessError(
            f"{path} cannot be read as an archive of `docker save` ({broken}); it may be truncated. "
            "Copy it again, or remove it."
        ) from broken
    return tuple(familiar(ref) for manifest in manifests for ref in manifest.RepoTags or ())
