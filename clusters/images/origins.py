"""Remember where each image in the engine first came from: one file in the cache, by image id."""

import re
from pathlib import Path
from typing import Literal

import msgspec

from clusters.runtime import state_dir

Kind = Literal["registry", "archive", "build", "unknown"]

_MAX_RECORDS = 1000


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one image first came into the engine.

    kind: `unknown` for an image that was there before and that no record names. name: of the registry, the archive file
    or the recipe. digest: by which the registry knows the image. sha256: of the archive file. recipe_key: of an image
    that meshdrill built, here or elsewhere, as its label says. inputs: of a build, each with its version or hash.
    """

    kind: Kind
    name: str = ""
    digest: str = ""
    sha256: str = ""
    recipe_key: str = ""
    inputs: dict[str, str] = {}

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"{self.kind} {self.name}".rstrip()


UNKNOWN = Origin("unknown")


def remember(image_id: str, origin: Origin) -> None:
    """Store an image's origin unless it has one; drop the oldest records beyond 1000."""
    known = _all()
    if image_id in known:
        return
    kept = dict([*known.items(), (image_id, origin)][-_MAX_RECORDS:])
    partial = _file().with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(kept))
    partial.rename(_file())


def recall(image_id: str) -> Origin | None:
    """Return an image's origin, or None when it is unknown."""
    return _all().get(image_id)


class _Sentence(msgspec.Struct, frozen=True):
    """A record of meshdrill 0.1: the origin in words, e.g. `archive a.tar`."""

    origin: str
    digest: str | None = None


def _all() -> dict[str, Origin]:
    try:
        stored = msgspec.json.decode(_file().read_bytes(), type=dict[str, dict[str, object]])
        return {image_id: _read(record) for image_id, record in stored.items()}
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _read(record: dict[str, object]) -> Origin:
    if "kind" in record:
        return msgspec.convert(record, Origin)
    old = msgspec.convert(record, _Sentence)
    if built := re.fullmatch(r"built here by recipe (\S+) \((\w+)\)", old.origin):
        return Origin("build", built[1], recipe_key=built[2])
    kind, _, rest = old.origin.partition(" ")
    if kind == "archive":
        return Origin("archive", rest)
    return Origin("registry", rest.partition("/")[0], digest=old.digest or "") if kind == "registry" else UNKNOWN


def _file() -> Path:
    return state_dir() / "image-origins.json"
