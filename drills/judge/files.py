"""Reads files of a bundle, which may be untrusted, and writes files for people. No other module does either."""

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec

from drills.judge.inert import printable

T = TypeVar("T")

TEXT_BYTES: Final = 64_000_000
"""Limit for a JSON file or a page: sixty times the largest of an ordinary run."""
TABLE_BYTES: Final = 2_000_000_000
"""Limit for a table of calls: some hundred million calls."""
_CHUNK_BYTES: Final = 1 << 20
_DRAFT_BYTES: Final = 8
_KINDS: Final = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


class FileError(Exception):
    """A file of a bundle cannot be used; the message names it, what was found, and what to do (exit code 2)."""

    exit_code = 2


class NoFileError(FileError):
    """No file has that name."""


def is_there(path: Path) -> bool:
    """Return whether the name exists, including a dangling link."""
    return os.path.lexists(path)


def read(path: Path, *, limit_bytes: int = TEXT_BYTES) -> bytes:
    """Return the content of a regular file. Raises FileError for a link, a special file, and one beyond the limit."""
    with _opened(path, limit_bytes) as source:
        content = source.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise _too_large(path, limit_bytes)
    return content


def decode(path: Path, kind: type[T], *, limit_bytes: int = TEXT_BYTES) -> T:
    """Return the content of a JSON file as that type. Raises FileError as `read` and `parse` do."""
    return parse(path, read(path, limit_bytes=limit_bytes), msgspec.json.Decoder(kind).decode)


def parse(path: Path, content: bytes, decoder: Callable[[bytes], T], *, part: str = "") -> T:
    """Return the decoded content of the path; part: which part of the file it is, for the message.

    Raises FileError for content that is not JSON, not UTF-8, not of the expected type, or nested too deeply.
    """
    try:
        return decoder(content)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors, as is UnicodeDecodeError
        raise FileError(
            f"{_shown(path)} cannot be read ({part}{printable(str(error))}): it was truncated, edited or written by "
            "another version; use an intact copy of the bundle."
        ) from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a regular file of at most TABLE_BYTES; FileError as `read`."""
    found, left_bytes = hashlib.sha256(), TABLE_BYTES
    with _opened(path, TABLE_BYTES) as source:
        while chunk := source.read(_CHUNK_BYTES):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise _too_large(path, TABLE_BYTES)
            found.update(chunk)
    return found.hexdigest()


def demand_regular(path: Path, *, limit_bytes: int) -> None:
    """Raise FileError unless the path is a regular file within the limit. For readers that open the name themselves."""
    with _opened(path, limit_bytes):
        pass


def demand_plain(bundle: Path) -> None:
    """Raise FileError if the bundle holds anything but folders and regular files, or a name that is not UTF-8.

    Nothing may be written into such a bundle: a link in it may lead to a file outside it.
    """
    for path in (bundle, *sorted(bundle.rglob("*"))):
        if _shown(path) != str(path):
            raise FileError(f"{_shown(path)} has a name that is not UTF-8: use an intact copy of the bundle.")
        if path != bundle and not stat.S_ISDIR(mode := path.lstat().st_mode):
            _demand_regular(path, mode)


def write(path: Path, content: bytes) -> None:
    """Write a file for people atomically, and never through a link. Raises FileError."""
    write_all(path.parent, {path.name: content})


def write_all(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files by name as `write` does; if one of the names cannot be replaced, none is written."""
    for name in contents:
        with suppress(OSError):  # writing checks the folder
            _demand_regular(folder / name, (folder / name).lstat().st_mode)
    for name, content in contents.items():
        _replace(folder / name, content)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{secrets.token_hex(_DRAFT_BYTES)}.draft")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)  # minus the umask
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(content)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(
            f"{_shown(path)} cannot be written ({error.strerror}): use a folder that exists and can be written to."
        ) from error


@contextmanager
def _opened(path: Path, limit_bytes: int) -> Iterator[BinaryIO]:
    """Open a regular file. Its type is checked before opening, as opening a device can have effects, and after."""
    try:
        _demand_regular(path, path.lstat().st_mode)
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as source:
            found = os.fstat(handle)
            _demand_regular(path, found.st_mode)
            if found.st_size > limit_bytes:
                raise _too_large(path, limit_bytes)
            yield source
    except FileNotFoundError as error:
        raise NoFileError(
            f"{_shown(path)} does not exist, expected a regular file: use an intact copy of the bundle."
        ) from error
    except OSError as error:
        raise FileError(
            f"{_shown(path)} cannot be read ({error.strerror}), expected a regular file: use an intact copy."
        ) from error


def _demand_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "a device")
        raise FileError(f"{_shown(path)} is {kind}, expected a regular file: use an intact copy of the bundle.")


def _too_large(path: Path, limit_bytes: int) -> FileError:
    return FileError(f"{_shown(path)} is larger than {limit_bytes} bytes, the limit for such a file.")


def _shown(path: Path) -> str:
    """Return the path as text that can be printed."""
    return printable(str(path))
