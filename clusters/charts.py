"""Get Helm charts, and CRDs that no chart contains, from a directory, their project's address, or a Go module."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urljoin

import msgspec
import requests
import yaml

from clusters.images import golang
from clusters.images.catalogue import Chart, Crd
from clusters.images.catalogue import chart as chart_named
from clusters.images.catalogue import crd as crd_named
from clusters.runtime import HarnessError, Progress, Steps, cache_dir

_TIMEOUT_S = 30.0
_MAX_BYTES = 64 * 1024 * 1024


class _Entry(msgspec.Struct, frozen=True):
    """One version of one chart in an index.yaml."""

    version: str
    urls: tuple[str, ...]
    digest: str | None = None


class _Index(msgspec.Struct, frozen=True):
    entries: dict[str, tuple[_Entry, ...]]


def chart(name: str, *, chart_dir: Path | None, repository: str | None, progress: Progress) -> Path:
    """Return a chart of the catalogue as a directory or .tgz for helm.

    It comes from chart_dir if given, else from repository (a URL) if given, else from its Go module. Raises
    HarnessError when that one source lacks the chart; no other source is tried.
    """
    wanted = chart_named(name)
    if chart_dir is not None:
        return _from_directory(wanted, chart_dir)
    if repository is not None:
        return _from_repository(wanted, repository, progress)
    if wanted.module is None:
        raise HarnessError(
            f"Chart {wanted.chart} {wanted.version} is in no Go module, and no other source was named. "
            f"Take it from {wanted.repository} with --chart-repository, or from a directory with --chart-dir."
        )
    _, recipe, module, inside = wanted.module.split(":")
    return golang.module_path(recipe, module, inside)


def sha256(source: Path) -> str:
    """Return the SHA-256 of a chart: of its archive, or of a directory's files, each after its name and length."""
    if source.is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        data = path.read_bytes()
        whole.update(f"{path.relative_to(source).as_posix()}\0{len(data)}\0".encode())
        whole.update(data)
    return whole.hexdigest()


def is_in(name: str, directory: Path) -> bool:
    """Return whether a directory has a chart of the catalogue."""
    return any(candidate.exists() for candidate in _candidates(chart_named(name), directory))


def save(names: Iterable[str], directory: Path, progress: Progress) -> tuple[Path, ...]:
    """Copy charts into an archive directory, for a site that reaches neither a chart repository nor a Go proxy.

    A chart without a Go module comes from its project's repository. HarnessError as `chart`.
    """
    saved = []
    for name in names:
        wanted = chart_named(name)
        published = wanted.repository if wanted.module is None else None
        source = chart(name, chart_dir=None, repository=published, progress=progress)
        directory.mkdir(parents=True, exist_ok=True)
        place = directory / (wanted.chart if source.is_dir() else f"{wanted.chart}-{wanted.version}.tgz")
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source, place)
        saved.append(place)
    return tuple(saved)


def crd_manifest(name: str, *, directories: Iterable[Path], published: bool) -> bytes:
    """Return one CRD as YAML, from the first directory that has its file, else from its source.

    published: the source is the project's address, else the Go module with the same file. Raises HarnessError when the
    file cannot be read or does not match the hash in the catalogue.
    """
    wanted = crd_named(name)
    found = next((path for path in (folder / wanted.file for folder in directories) if path.exists()), None)
    if found is None and published:
        return _checked(wanted, read_url(wanted.url), wanted.url)
    if found is None:
        _, recipe, module, inside = wanted.module.split(":")
        found = golang.module_path(recipe, module, inside)
    return _checked(wanted, found.read_bytes(), str(found))


def save_crds(names: Iterable[str], directory: Path, progress: Progress) -> tuple[Path, ...]:
    """Copy CRDs from their Go modules into an archive directory. HarnessError as `crd_manifest`."""
    saved = []
    for name in names:
        with Steps(progress).step(f"CRD {name}"):
            text = crd_manifest(name, directories=(directory,), published=False)
        directory.mkdir(parents=True, exist_ok=True)
        saved.append(directory / crd_named(name).file)
        saved[-1].write_bytes(text)
    return tuple(saved)


def _from_directory(wanted: Chart, chart_dir: Path) -> Path:
    candidates = _candidates(wanted, chart_dir)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise HarnessError(
        f"Chart {wanted.chart} is not in {chart_dir}; expected {' or '.join(path.name for path in candidates)}. "
        f"`helm pull {wanted.chart} --repo {wanted.repository} --version {wanted.version}` makes the latter."
    )


def _candidates(wanted: Chart, directory: Path) -> tuple[Path, Path]:
    return directory / wanted.chart, directory / f"{wanted.chart}-{wanted.version}.tgz"


def _from_repository(wanted: Chart, repository: str, progress: Progress) -> Path:
    base = repository.rstrip("/") + "/"
    with Steps(progress).step(f"chart {wanted.chart} {wanted.version} from {repository}"):
        entry = _entry(wanted, base, read_url(urljoin(base, "index.yaml")))
        if entry.digest is None:
            raise HarnessError(f"{base}index.yaml has no digest for {wanted.chart} {wanted.version}; it is not used.")
        digest = entry.digest.removeprefix("sha256:")
        place = cache_dir() / "charts" / f"{wanted.chart}-{wanted.version}-{digest[:12]}.tgz"
        if not place.exists():
            _keep(read_url(urljoin(base, entry.urls[0])), digest, place)
    return place


def _entry(wanted: Chart, base: str, text: bytes) -> _Entry:
    try:
        index = msgspec.convert(yaml.load(text, Loader=yaml.CSafeLoader), _Index)
    except (yaml.YAMLError, msgspec.ValidationError) as wrong:
        raise HarnessError(f"{base}index.yaml is not a chart repository's index: {wrong}.") from wrong
    offered = index.entries.get(wanted.chart, ())
    for entry in offered:
        if entry.version.removeprefix("v") == wanted.version and entry.urls:
            return entry
    newest = ", ".join(entry.version for entry in offered[:5]) or "none"
    raise HarnessError(
        f"{base} offers no {wanted.chart} {wanted.version} (its first versions: {newest}). "
        "Name a repository that has it, or a directory of charts."
    )


def _keep(data: bytes, digest: str, place: Path) -> None:
    actual = hashlib.sha256(data).hexdigest()
    if actual != digest:
        raise HarnessError(
            f"{place.name}: the file has sha256 {actual}, the repository's index says {digest}; it is not used. "
            "Try again; if it fails again, ask the repository's owner."
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".partial")
    partial.write_bytes(data)
    partial.rename(place)


def read_url(url: str) -> bytes:
    """Return the body of a URL, at most 64 MiB; HarnessError when it cannot be read."""
    try:
        with requests.get(url, timeout=_TIMEOUT_S, stream=True) as answer:
            answer.raise_for_status()
            data = answer.raw.read(_MAX_BYTES + 1, decode_content=True)
    except requests.RequestException as refused:
        raise HarnessError(f"{url} could not be read: {refused}. Check the address and the network.") from refused
    if len(data) > _MAX_BYTES:
        raise HarnessError(f"{url} is larger than {_MAX_BYTES // 1024**2} MiB; expected a smaller file.")
    return bytes(data)


def _checked(wanted: Crd, text: bytes, where: str) -> bytes:
    actual = hashlib.sha256(text).hexdigest()
    if actual != wanted.sha256:
        raise HarnessError(
            f"{where} has sha256 {actual}, CRD {wanted.name} of the catalogue {wanted.sha256}; it is not used. "
            f"Put the file {wanted.file} of {wanted.url} into the archive directory's charts, or remove that one."
        )
    return text
