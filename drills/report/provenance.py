"""Where the parts of a run came from: its images, its charts and the harness, as run.json records them and in words."""

from pathlib import Path
from typing import Final, Literal

import msgspec

NOTE_FILE: Final = "PROVENANCE.md"
"""A note beside the bundles, written by hand: what the record of the first edition lacks, and what that limits."""

_FIRST_EDITION: Final = ("0.1.", "from a checkout")
_HOME: Final = "meshdrill.local/"  # no such host: only a build of ours has such a name
_BAKED: Final = f"{_HOME}node:"  # the node image with the images of one mesh inside


class OriginRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an image first came into the engine.

    kind: `unknown` for an image that was there before. name: of the registry, the archive file or the recipe. digest:
    by which the registry knows the image. sha256: of the archive file. recipe_key: of an image that meshdrill built,
    here or elsewhere. inputs: of a build, each with its version or hash.
    """

    kind: Literal["registry", "archive", "build", "unknown"]
    name: str = ""
    digest: str = ""
    sha256: str = ""
    recipe_key: str = ""
    inputs: dict[str, str] = {}


class ImageRecord(msgspec.Struct, frozen=True):
    """One container image of the run and where it came from.

    image_id: the digest of its config. digest: as a registry knows it; None for an image from elsewhere. origin: in
    words, of the first edition only. came_from: None in runs of the first edition. is_official: whether it came, by
    digest, from the registry that publishes it.
    """

    name: str
    ref: str
    source: str  # engine | archive | registry | build
    image_id: str
    digest: str | None = None
    origin: str | None = None
    came_from: OriginRecord | None = None
    is_official: bool = False

    @property
    def is_baked(self) -> bool:
        """Whether it is the node image with the images of one mesh inside; these are listed themselves."""
        return self.ref.startswith(_BAKED)

    @property
    def version(self) -> str:
        """Return its tag."""
        return self.ref.partition("@")[0].rpartition("/")[2].partition(":")[2]

    @property
    def standing(self) -> str:
        """Return in words whether it is the official image; a build of ours says so, and so does an unknown origin."""
        origin = _origin(self)
        if self.is_official:
            return f"official, {self.digest}"
        if origin.kind == "build":
            return "built here, not official"
        if origin.kind == "archive" and origin.recipe_key:
            return "built by meshdrill elsewhere, from an archive, not official"
        words = {
            "archive": "from an archive",
            "registry": f"from the registry {origin.name}",
            "unknown": "was in the engine before, origin unknown",
        }
        return f"{words[origin.kind]}, not shown to be official"

    @property
    def words(self) -> str:
        """Return name, version and standing, as every page names an image."""
        return f"{self.name} {self.version}, {self.standing}"

    @property
    def details(self) -> str:
        """Return what identifies its origin; "" when nothing does."""
        origin = _origin(self)
        parts = (
            origin.name,
            f"sha256 {origin.sha256}" if origin.sha256 else "",
            f"recipe key {origin.recipe_key}" if origin.recipe_key else "",
            f"{len(origin.inputs)} inputs, listed in run.json" if origin.inputs else "",
        )
        return ", ".join(part for part in parts if part)


class ChartRecord(msgspec.Struct, frozen=True):
    """One Helm chart of the run.

    sha256: of its archive, or of the files of its directory. values_sha256: of the values that it got, without the
    certificates and keys of an issuer.
    """

    name: str
    version: str
    source: str
    sha256: str
    values_sha256: str


class HarnessRecord(msgspec.Struct, frozen=True):
    """The commit of meshdrill itself. is_dirty: whether tracked files differed from it; None: not known."""

    commit: str
    is_dirty: bool | None = None

    def __str__(self) -> str:
        """Return the commit, and whether files differed from it."""
        return f"{self.commit}{' with changes that are not committed' if self.is_dirty else ''}"


def edition_of(meshdrill_version: str) -> str:
    """Return "first edition" for a run that meshdrill 0.1 recorded, whose provenance has gaps; "" for any other."""
    return "first edition" if meshdrill_version.startswith(_FIRST_EDITION) else ""


def note_of(bundle: Path) -> Path | None:
    """Return the note beside a bundle `<reports>/<drill>/<mesh>/<utc>`, if there is one."""
    note = bundle.resolve().parents[2] / NOTE_FILE
    return note if note.is_file() else None


def _origin(image: ImageRecord) -> OriginRecord:
    """Return the origin as recorded; of the first edition, what its words say."""
    if image.came_from is not None:
        return image.came_from
    if image.ref.startswith(_HOME):
        return OriginRecord("build", image.origin or "")
    said = image.origin or ""
    for kind in ("archive", "registry"):
        if said.startswith(f"{kind} "):
            return OriginRecord(kind, said.removeprefix(f"{kind} "))
    return OriginRecord("unknown")
