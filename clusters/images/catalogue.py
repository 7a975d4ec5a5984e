"""The catalogue: every image and chart by name, as versions.toml lists them."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from clusters import meshes
from clusters.runtime import UsageError

_FILE = "versions.toml"


class Image(msgspec.Struct, frozen=True):
    """One image: its official reference, and the recipe to build it without a registry (None: not possible)."""

    name: str
    official: str
    built: str | None = None
    recipe: str | None = None


class Chart(msgspec.Struct, frozen=True):
    """One Helm chart: the project's chart repository, and the Go module with it (`module:RECIPE:MODULE:PATH`)."""

    name: str
    repository: str
    chart: str
    version: str
    module: str | None = None


class Crd(msgspec.Struct, frozen=True):
    """One CRD that no chart contains: the project's file, and the same file in a Go module."""

    name: str
    url: str
    sha256: str
    module: str  # module:RECIPE:MODULE:PATH

    @property
    def file(self) -> str:
        """The file's name, the same in every source."""
        return self.url.rpartition("/")[2]


class _ImageRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    official: str
    built: str | None = None
    recipe: str | None = None


class _ChartRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    repository: str
    chart: str
    version: str
    module: str | None = None


class _CrdRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    sha256: str
    module: str


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of versions.toml."""

    tools: dict[str, str]
    images: dict[str, _ImageRow]
    meshes: dict[str, tuple[str, ...]]
    charts: dict[str, _ChartRow]
    crds: dict[str, _CrdRow]


class _PluggedIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions.toml of a plugged-in mesh."""

    images: dict[str, _ImageRow] = msgspec.field(default_factory=dict)
    meshes: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    charts: dict[str, _ChartRow] = msgspec.field(default_factory=dict)
    crds: dict[str, _CrdRow] = msgspec.field(default_factory=dict)


@cache
def versions() -> Versions:
    """Return versions.toml with the rows of each plugged-in mesh added; such a row cannot replace one of ours.

    Raises UsageError when a plug-in's versions.toml, in the folder of its manifests, cannot be read.
    """
    text = files("clusters").joinpath(_FILE).read_text(encoding="utf-8")
    tables: dict[str, dict[str, object]] = tomllib.loads(text)
    for mesh in meshes.plugged_in():
        path = mesh.manifests / _FILE
        try:
            more = msgspec.toml.decode(path.read_bytes(), type=_PluggedIn) if path.exists() else _PluggedIn()
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(f"{path} of mesh {mesh.name} cannot be read: {error}.") from error
        for table, rows in msgspec.to_builtins(more).items():
            tables[table] = {**rows, **tables[table]}
    return msgspec.convert(tables, Versions)


def image(name: str) -> Image:
    """Return one image. Raises UsageError with the known names."""
    row = versions().images.get(name)
    if row is None:
        raise UsageError(f"Image {name!r} is not in the catalogue; it has {', '.join(sorted(versions().images))}.")
    return Image(name, row.official, row.built, row.recipe)


def images_for(mesh_name: str) -> tuple[Image, ...]:
    """Return a mesh's images, without `node` and `lab`. Raises UsageError."""
    names = versions().meshes.get(mesh_name)
    if names is None:
        raise UsageError(f"Mesh {mesh_name!r} has no images listed; known: {', '.join(sorted(versions().meshes))}.")
    return tuple(image(name) for name in names)


def all_images() -> tuple[Image, ...]:
    """Return every image of the catalogue."""
    return tuple(image(name) for name in versions().images)


def chart(name: str) -> Chart:
    """Return one chart. Raises UsageError with the known names."""
    row = versions().charts.get(name)
    if row is None:
        raise UsageError(f"Chart {name!r} is not in the catalogue; it has {', '.join(sorted(versions().charts))}.")
    return Chart(name, row.repository, row.chart, row.version, row.module)


def crd(name: str) -> Crd:
    """Return one CRD. Raises UsageError with the known names."""
    row = versions().crds.get(name)
    if row is None:
        raise UsageError(f"CRD {name!r} is not in the catalogue; it has {', '.join(sorted(versions().crds))}.")
    return Crd(name, row.url, row.sha256, row.module)
