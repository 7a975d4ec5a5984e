"""The write-ahead undo log: an entry is on disk before the change that it reverts is made to the cluster.

Each pending entry is one JSON file: the prepared fault itself, or an object that a probe is about to create. A later
process decodes the tagged union and reverts the entry; it removes the file only after the revert is verified. No file
name or path is ever taken from the content of a file.
"""

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clusters.cluster import Cluster
from clusters.runtime import HarnessError, Progress, hold, silent, wait_for
from drills.run.faults import Prepared
from drills.run.timing import REAL, Timing
from drills.run.undo_entry import CreatedObject, LabCalls, UndoEntry

Entry = Prepared | CreatedObject | LabCalls
"""Every class of which the log may hold instances."""

_FOLDER = "undo"
_OWNER_ONLY = 0o700
_LOCK = "drill.lock"
_FILE_BYTES = 1 << 20  # the whole specification of a workload is some 10 KB
_TEXT_LENGTH = 1 << 16  # the longest text of such a specification is a CA bundle


@dataclass(frozen=True)
class Pending:
    """An entry and the file that holds it."""

    entry: UndoEntry
    file: Path


class UndoLog:
    """The pending entries of one cluster."""

    def __init__(self, state: Path) -> None:
        self._folder = state / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)

    def write(self, entry: UndoEntry) -> Pending:
        """Write the entry to disk durably (fsync), and return it with its file.

        Raises HarnessError for an entry that a later process would reject: then its change must not be made.
        """
        path = self._folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
        data = msgspec.json.encode(entry)
        try:
            _decode(data)
        except ValueError as error:
            raise HarnessError(f"A later process would reject the undo entry {entry.kind}: {error}.") from error
        draft = path.with_suffix(".draft")
        with draft.open("wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(path)
        self._sync()
        return Pending(entry, path)

    def remove(self, pending: Pending) -> None:
        """Remove the file of an entry whose revert was verified; harmless the second time."""
        pending.file.unlink(missing_ok=True)
        self._sync()

    def pending(self) -> tuple[Pending, ...]:
        """Return the entries in the order in which they were written; HarnessError names one that cannot be read."""
        return tuple(Pending(_read(path), path) for path in self.files())

    def readable(self) -> tuple[list[Pending], list[str]]:
        """Return the readable entries, oldest first, and an error message for each of the others."""
        found, unreadable = [], []
        for path in self.files():
            try:
                found.append(Pending(_read(path), path))
            except HarnessError as error:
                unreadable.append(str(error))
        return found, unreadable

    def files(self) -> Iterable[Path]:
        """Return the files of the log, oldest first."""
        return sorted(self._folder.glob("*.json"))

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def leftovers(state: Path) -> tuple[UndoEntry, ...]:
    """Return the entries that an earlier run left in the undo log of a cluster, given its state directory.

    Raises HarnessError that names an unreadable entry.
    """
    return tuple(pending.entry for pending in UndoLog(state).pending())


def refuse_leftovers(cluster: Cluster) -> None:
    """Raise HarnessError when an earlier run left undo entries: a drill would measure that run's fault."""
    left = leftovers(cluster.state)
    if left:
        raise HarnessError(
            f"Cluster {cluster.name} still has {len(left)} entries of an earlier run in its undo log ({left[0].subject}"
            f"{', ...' if len(left) > 1 else ''}); expected none. Run `meshdrill sweep`, then try again."
        )


def sole_use(cluster: Cluster) -> contextlib.AbstractContextManager[None]:
    """Lock the cluster for one drill or sweep; UsageError when another process holds the lock."""
    return hold(
        cluster.state / _LOCK,
        f"Cluster {cluster.name} is in use by another drill or sweep. Wait until it ends, or choose another cluster.",
    )


def sweep(cluster: Cluster, progress: Progress = silent, timing: Timing = REAL) -> tuple[str, ...]:
    """Revert every pending entry, those with `comes_first` and then the newest first, and return their subjects.

    Safe any number of times. Raises UsageError when a drill is running there, HarnessError as `undo_all` does.
    """
    with sole_use(cluster):
        return undo_all(cluster, progress, timing)


def undo_all(cluster: Cluster, progress: Progress = silent, timing: Timing = REAL) -> tuple[str, ...]:
    """Revert every pending entry, for a caller that holds the lock.

    An error of one entry does not stop the others; HarnessError names those that could not be read or verified.
    """
    log = UndoLog(cluster.state)
    done: list[str] = []
    found, failed = log.readable()
    for pending in sorted(found, key=lambda it: (it.entry.comes_first, it.file.name), reverse=True):
        subject = pending.entry.kind
        try:
            subject = pending.entry.subject
            carry_out(cluster, log, pending, timing)
        except Exception as error:  # noqa: BLE001 - an error of one entry must not stop the others
            named = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
            failed.append(f"{subject} ({pending.file.name}): {named}{error}")
        else:
            done.append(subject)
            progress(f"undone: {subject}")
    if failed:
        for line in failed:
            progress(f"undo failed: {line}")
        raise HarnessError(
            f"Cluster {cluster.name}: {len(failed)} undo entries could not be reverted and verified: "
            f"{'; '.join(failed)}. Run `meshdrill sweep` again, or delete the cluster."
        )
    return tuple(done)


def carry_out(cluster: Cluster, log: UndoLog, pending: Pending, timing: Timing = REAL) -> None:
    """Revert an entry, verify the revert, and only then remove the file; HarnessError when not verified in time."""
    apply(cluster, pending.entry, timing)
    verify(cluster, pending.entry, timing)
    log.remove(pending)


def apply(cluster: Cluster, entry: UndoEntry, timing: Timing = REAL) -> None:
    """Revert an entry, with retries until the deadline, because the fault may have taken the API away.

    Raises HarnessError at once for an entry that names a node of another cluster.
    """
    strange = sorted(set(entry.nodes) - set(cluster.nodes))
    if strange:
        raise HarnessError(
            f"The undo entry names {', '.join(strange)}, not a node of {cluster.name}; expected one of "
            f"{', '.join(cluster.nodes)}. It was not reverted. Remove the file, or delete the cluster."
        )

    def missing() -> str:
        entry.revert(cluster)
        return ""

    wait_for(f"Undo accepted: {entry.subject}", missing, within_s=timing.undo_within_s, every_s=timing.poll_every_s)


def verify(cluster: Cluster, entry: UndoEntry, timing: Timing = REAL) -> None:
    """Wait until the cluster shows that the revert took effect; HarnessError says what still differs."""
    wait_for(
        f"Undo verified: {entry.subject}",
        lambda: entry.reverted(cluster),
        within_s=timing.undo_within_s,
        every_s=max(entry.every_s, timing.poll_every_s),
    )


def _read(path: Path) -> UndoEntry:
    """Return the entry in a file; HarnessError that names the file when it is not a regular file with an entry."""
    try:
        return _decode(_bytes(path))
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"The undo entry {path} cannot be read: {error}. Delete the cluster, or repair by hand and remove the file."
        ) from error


def _bytes(path: Path) -> bytes:
    """Return at most one byte more than the limit; ValueError for a file that is not regular."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        return file.read(_FILE_BYTES + 1)


def _decode(data: bytes) -> UndoEntry:
    """Return the entry; ValueError that says why the data is not an entry."""
    if len(data) > _FILE_BYTES:
        raise ValueError(f"it is longer than {_FILE_BYTES} bytes")
    try:
        longest = max(map(len, _texts(msgspec.json.decode(data))), default=0)
        entry: UndoEntry = msgspec.json.decode(data, type=Entry)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if longest > _TEXT_LENGTH:
        raise ValueError(f"a text in it is longer than {_TEXT_LENGTH} characters")
    return entry


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
