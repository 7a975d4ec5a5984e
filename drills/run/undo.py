"""The write-ahead undo log: what must be reversed is on disk before it is done to the cluster.

One JSON file per pending undo. An entry is data that a later process can carry out knowing nothing of the run that
wrote it; it is removed only after the undo was verified. Carrying one out twice is harmless.
"""

import contextlib
import os
from pathlib import Path

import msgspec

from clusters.cluster import Cluster
from clusters.runtime import HarnessError, Progress, hold, silent
from drills.run import mending
from drills.run.undo_entry import Undo
from drills.run.waiting import wait_for

__all__ = [
    "Undo",
    "UndoLog",
    "apply",
    "carry_out",
    "leftovers",
    "refuse_leftovers",
    "sole_use",
    "sweep",
    "undo_all",
    "verify",
]

_FOLDER = "undo"
_LOCK = "drill.lock"
_VERIFY_S = 120.0


class UndoLog:
    """The pending undos of one cluster."""

    def __init__(self, state: Path) -> None:
        self._folder = state / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)

    def write(self, undo: Undo) -> None:
        """Put the entry on disk, so that it outlives this process and this machine's power."""
        path = self._path(undo)
        draft = path.with_suffix(".draft")
        with draft.open("wb") as sink:
            sink.write(msgspec.json.encode(undo))
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(path)
        self._sync()

    def remove(self, undo: Undo) -> None:
        """Forget an entry whose undo was verified; forgetting twice is fine."""
        self._path(undo).unlink(missing_ok=True)
        self._sync()

    def pending(self) -> tuple[Undo, ...]:
        """Return the entries in the order in which they were written; HarnessError names an unreadable one."""
        return tuple(_read(path) for path in sorted(self._folder.glob("*.json"), key=_age))

    def _path(self, undo: Undo) -> Path:
        return self._folder / f"{undo.run_id}-{undo.id}.json"

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def leftovers(state: Path) -> tuple[Undo, ...]:
    """Return what an earlier run left to be undone in the cluster whose state directory this is."""
    return UndoLog(state).pending()


def refuse_leftovers(cluster: Cluster) -> None:
    """Raise HarnessError when an earlier run left something to undo: a drill there would measure that run's injury."""
    left = leftovers(cluster.state)
    if left:
        raise HarnessError(
            f"Cluster {cluster.name} still carries {len(left)} injuries of an earlier run ({left[0].subject}"
            f"{', ...' if len(left) > 1 else ''}); expected none. Run `meshdrill sweep`, then try again."
        )


def sole_use(cluster: Cluster) -> contextlib.AbstractContextManager[None]:
    """Hold the cluster for one drill or sweep; UsageError when a living process holds it already."""
    return hold(
        cluster.state / _LOCK,
        f"Cluster {cluster.name} is in use by another drill or sweep. Wait for its end, or choose another.",
    )


def sweep(cluster: Cluster, progress: Progress = silent, *, within_s: float = _VERIFY_S) -> tuple[str, ...]:
    """Carry out every pending undo, newest first but for what all others need, and return their subjects.

    Safe any number of times. Raises UsageError when a drill is running there, HarnessError as `undo_all` does.
    """
    with sole_use(cluster):
        return undo_all(cluster, progress, within_s=within_s)


def undo_all(cluster: Cluster, progress: Progress = silent, *, within_s: float = _VERIFY_S) -> tuple[str, ...]:
    """Carry out every pending undo for someone who has the cluster to himself.

    Every entry is tried; HarnessError names those that could not be verified.
    """
    log = UndoLog(cluster.state)
    done, failed = [], []
    newest_first = reversed(log.pending())
    for undo in sorted(newest_first, key=lambda undo: undo.action not in mending.FIRST):
        try:
            carry_out(cluster, log, undo, within_s=within_s)
        except HarnessError as error:
            failed.append(f"{undo.subject}: {error}")
            progress(f"undo failed: {failed[-1]}")
        else:
            done.append(undo.subject)
            progress(f"undone: {undo.subject}")
    if failed:
        raise HarnessError(
            f"Cluster {cluster.name}: {len(failed)} undos could not be verified: {'; '.join(failed)}. "
            "Run `meshdrill sweep` again, or delete the cluster."
        )
    return tuple(done)


def carry_out(cluster: Cluster, log: UndoLog, undo: Undo, *, within_s: float = _VERIFY_S) -> None:
    """Undo, verify, and only then forget the entry; HarnessError when it could not be verified in time."""
    apply(cluster, undo, within_s=within_s)
    verify(cluster, undo, within_s=within_s)
    log.remove(undo)


def apply(cluster: Cluster, undo: Undo, *, within_s: float = _VERIFY_S) -> None:
    """Carry out an undo, trying until the deadline because the API may be the thing that was broken."""

    def missing() -> str:
        mending.act(cluster, undo)
        return ""

    wait_for(f"Undo accepted: {undo.subject}", missing, within_s=within_s)


def verify(cluster: Cluster, undo: Undo, *, within_s: float = _VERIFY_S) -> None:
    """Wait until the cluster shows that the undo took effect; HarnessError says what it showed instead."""
    every_s = mending.SELDOM_S.get(undo.action, 0.0)
    wait_for(
        f"Undo verified: {undo.subject}", lambda: mending.missing(cluster, undo), within_s=within_s, every_s=every_s
    )


def _read(path: Path) -> Undo:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Undo)
    except (msgspec.DecodeError, OSError) as error:
        raise HarnessError(
            f"The undo entry {path} cannot be read: {error}. Delete the cluster, or repair by hand and remove the file."
        ) from error


def _age(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
