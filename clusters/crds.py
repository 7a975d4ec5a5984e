"""Definitions of kinds of objects that a mesh reads and no chart of its own brings."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import yaml

from clusters.charts import read_url
from clusters.errors import HarnessError
from clusters.images import golang
from clusters.images.catalogue import Crd
from clusters.images.catalogue import crd as crd_named
from clusters.kube import Json
from clusters.place import Place
from clusters.progress import Progress, Steps
from clusters.waiting import wait_until

_ESTABLISHED_S = 30.0
_API = "apiextensions.k8s.io/v1"


def define(place: Place, names: Iterable[str], *, directories: Iterable[Path], published: bool, steps: Steps) -> None:
    """Apply the definitions of the catalogue by these names, and wait until the API server serves their kinds.

    HarnessError as `definition`, when one is not accepted, or when it is not served in time.
    """
    looked = tuple(directories)
    for name in names:
        with steps.step(f"CRD {name}"):
            text = definition(name, directories=looked, published=published)
            wanted: Json = yaml.load(text, Loader=yaml.CSafeLoader)
            place.kube.apply_all([wanted])
            _wait_served(place, str(wanted["metadata"]["name"]))


def definition(name: str, *, directories: Iterable[Path], published: bool) -> bytes:
    """Return one definition: from the first directory that has its file, else from where its project publishes it.

    published: whether that is the project's own address; else it is the Go module that carries the same file. Raises
    HarnessError when it cannot be had, or is not the file whose hash the catalogue has.
    """
    wanted = crd_named(name)
    found = next((path for path in (folder / wanted.file for folder in directories) if path.exists()), None)
    if found is None and published:
        return _checked(wanted, read_url(wanted.url), wanted.url)
    if found is None:
        _, recipe, module, inside = wanted.module.split(":")
        found = golang.module_path(recipe, module, inside)
    return _checked(wanted, found.read_bytes(), str(found))


def save(names: Iterable[str], directory: Path, progress: Progress) -> tuple[Path, ...]:
    """Copy definitions into an archive directory, beside the charts, out of the Go module. HarnessError as above."""
    saved = []
    for name in names:
        with Steps(progress).step(f"CRD {name}"):
            text = definition(name, directories=(directory,), published=False)
        directory.mkdir(parents=True, exist_ok=True)
        saved.append(directory / crd_named(name).file)
        saved[-1].write_bytes(text)
    return tuple(saved)


def _checked(wanted: Crd, text: bytes, where: str) -> bytes:
    actual = hashlib.sha256(text).hexdigest()
    if actual != wanted.sha256:
        raise HarnessError(
            f"{where} has sha256 {actual}, CRD {wanted.name} of the catalogue {wanted.sha256}; it is not used. "
            f"Put the file {wanted.file} of {wanted.url} into the archive directory's charts, or take that one away."
        )
    return text


def _wait_served(place: Place, name: str) -> None:
    wait_until(
        lambda: _conditions(place, name),
        lambda seen: "Established=True" in seen,
        what=f"CRD {name} served",
        within_s=_ESTABLISHED_S,
    )


def _conditions(place: Place, name: str) -> list[str]:
    found = place.kube.get(_API, "CustomResourceDefinition", name) or {}
    stated = found.get("status", {}).get("conditions") or []
    return [f"{it['type']}={it['status']}" for it in stated]
