"""Remember where each image in the engine first came from: one file in the cache, by image id."""

from pathlib import Path

import msgspec

from clusters.runtime import state_dir

_MAX_RECORDS = 1000


class Record(msgspec.Struct, frozen=True):
    """How one image came into the engine, e.g. `registry docker.io/library/python:3`."""

    origin: str
    digest: str | None = None


def remember(image_id: str, record: Record) -> None:
    """Store an image's origin unless it has one; drop the oldest records beyond 1000."""
    known = _all()
    if image_id in known:
        return
    kept = dict([*known.items(), (image_id, record)][-_MAX_RECORDS:])
    partial = _file().with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(kept))
    partial.rename(_file())


def recall(image_id: str) -> Record | None:
    """Return an image's origin, or None when it is unknown."""
    return _all().get(image_id)


def _all() -> dict[str, Record]:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Record])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _file() -> Path:
    return state_dir() / "image-origins.json"
