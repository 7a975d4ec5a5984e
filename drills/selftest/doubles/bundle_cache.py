"""Write each bundle of a story once in a test session; a later request gets a copy of it."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from drills.selftest.doubles.story import Story

_kept: dict[bytes, Path] = {}
_folders: list[tempfile.TemporaryDirectory[str]] = []
"""Where they are kept, until the interpreter ends."""


def key_of(story: Story, *more: object) -> bytes:
    """Return a key that is unique for a story and for everything else that the bundle is made of."""
    return msgspec.json.encode((story.rows, story.all_events(), story.facts(), *more))


def once(key: bytes, place: Path, write: Callable[[Path], None]) -> Path:
    """Write a bundle to a place, or copy the one that was written for the same key."""
    if key not in _kept:
        write(place)
        _folders.append(tempfile.TemporaryDirectory(prefix="meshdrill-selftest-"))
        _kept[key] = Path(shutil.copytree(place, Path(_folders[-1].name, "bundle")))
        return place
    return Path(shutil.copytree(_kept[key], place, dirs_exist_ok=True))
