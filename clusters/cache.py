"""The one directory in which everything that can be made again is kept between runs."""

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "MESHDRILL_CACHE"


def cache_dir() -> Path:
    """Return the cache directory, made if absent: $MESHDRILL_CACHE, else the user's own for `meshdrill`."""
    named = os.environ.get(CACHE_VARIABLE)
    return _made(Path(named).expanduser().resolve() if named else user_cache_path("meshdrill"))


def tools_dir() -> Path:
    """Return where kind, kubectl and helm are kept, one directory per tool and version."""
    return _made(cache_dir() / "tools")


def build_dir() -> Path:
    """Return where the image builder keeps its finished artefacts and its work in progress."""
    return _made(cache_dir() / "build")


def archive_dir() -> Path:
    """Return the default directory of `docker save` archives."""
    return _made(cache_dir() / "images")


def state_dir() -> Path:
    """Return where facts about this machine are kept: logs, records of where an image came from."""
    return _made(cache_dir() / "state")


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
