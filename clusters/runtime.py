"""Shared basics: errors with exit codes, directories, locks, waits, progress, programs."""

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_path
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"

CACHE_VARIABLE = "MESHDRILL_CACHE"
POLL_S = 0.5
"""The interval between two looks of a wait, unless the wait names another."""
_TAIL_LINES = 15

Seen = TypeVar("Seen")
Progress = Callable[[str], None]
"""Receives one line of text per step. May be called from several threads at once."""


class MeshdrillError(Exception):
    """The base of our errors. The message states subject, observed, expected and next step."""

    exit_code = 3


class HarnessError(MeshdrillError):
    """The harness failed (exit code 3)."""


class TimeUpError(HarnessError):
    """Something did not happen within its bound."""


class InconclusiveError(MeshdrillError):
    """The harness worked, but the run has no conclusive outcome (exit code 2)."""

    exit_code = 2


class CannotRunHereError(InconclusiveError):
    """This machine lacks something that the mesh needs, so the mesh was not tested (exit code 2)."""


class MissingImagesError(CannotRunHereError):
    """No source has an image."""


class UsageError(MeshdrillError):
    """The caller asked for something that does not exist or is impossible (exit code 64)."""

    exit_code = 64


def cache_dir() -> Path:
    """Return the cache directory, created if absent: $MESHDRILL_CACHE, else the user's cache for `meshdrill`."""
    named = os.environ.get(CACHE_VARIABLE)
    return _made(Path(named).expanduser().resolve() if named else user_cache_path("meshdrill"))


def tools_dir() -> Path:
    """Return the directory of kind, kubectl and helm; it has one directory per tool and version."""
    return _made(cache_dir() / "tools")


def build_dir() -> Path:
    """Return the directory of the image builder's artefacts and work in progress."""
    return _made(cache_dir() / "build")


def archive_dir() -> Path:
    """Return the default directory of `docker save` archives."""
    return _made(cache_dir() / "images")


def state_dir() -> Path:
    """Return the directory of facts about this machine: logs, origins of images."""
    return _made(cache_dir() / "state")


def _made(path: Path) -> Path:
    """Return the directory, created if absent. UsageError where it cannot be made or written to."""
    next_step = f"Set {CACHE_VARIABLE} to a directory that can be written to."
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The cache {path} cannot be made ({error.strerror}). {next_step}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"The cache {path} cannot be written to. {next_step}")
    return path


@contextmanager
def hold(lock: Path, taken: str) -> Iterator[None]:
    """Hold the lock inside the context; UsageError with the message `taken` when another process holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise UsageError(taken) from busy
        yield


def wait_until(
    look: Callable[[], Seen],
    done: Callable[[Seen], bool],
    *,
    what: str,
    within_s: float,
    every_s: float = POLL_S,
    next_step: str = "",
    pause: Callable[[float], None] = time.sleep,
) -> Seen:
    """Call `look` every every_s until `done` accepts its result, and return that result.

    pause: sleeps between two looks; an error that it raises ends the wait.
    Raises TimeUpError after within_s, with `what`, the last result and the next step; errors of `look` pass through.
    """
    waiting = Retrying(
        sleep=pause,
        stop=stop_after_delay(within_s),
        wait=wait_fixed(every_s),
        retry=retry_if_result(lambda seen: not done(seen)),
    )
    try:
        return waiting(look)
    except RetryError as error:
        seen = error.last_attempt.result()
        raise TimeUpError(f"{what}: not within {within_s:g} s. Last seen: {seen!r}. {next_step}".rstrip()) from error


def wait_for(what: str, missing: Callable[[], str], *, within_s: float, every_s: float = POLL_S) -> None:
    """Call `missing` every every_s until it returns "", in a cluster that may be broken on purpose.

    missing: returns in words what is missing; the message of a HarnessError counts as such words.
    Raises TimeUpError after within_s, with `what` and what was still missing.
    """

    def look() -> str:
        try:
            return missing()
        except HarnessError as error:
            return str(error)

    wait_until(look, lambda words: not words, what=what, within_s=within_s, every_s=every_s)


def silent(_line: str) -> None:
    """Discard a line of progress."""


class Steps:
    """Wraps a `Progress` and reports how long each step took."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """Emit one line; lines of several threads do not interleave."""
        with self._lock:
            self._progress(line)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Emit `name ... started` and, at the end, `name ... 12 s` or `name ... failed after 12 s`."""
        started_s = time.monotonic()
        self.say(f"{name} ... started")
        try:
            yield
        except BaseException:
            self.say(f"{name} ... failed after {time.monotonic() - started_s:.0f} s")
            raise
        self.say(f"{name} ... {time.monotonic() - started_s:.0f} s")


def run(
    arguments: Sequence[str | Path],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    log: Path | None = None,
) -> str:
    """Run a program and return its standard output.

    `environment` adds to the caller's. With `log`, both outputs are appended to that file and "" is returned.
    Raises HarnessError, with the end of the program's output, when it is absent, fails or passes its deadline.
    """
    words = [str(word) for word in arguments]
    env = {**os.environ, **environment} if environment else None
    try:
        if log is not None:
            return _run_logged(words, timeout_s, cwd, env, log)
        done = subprocess.run(words, cwd=cwd, env=env, input=stdin, timeout=timeout_s, capture_output=True, check=False)
    except FileNotFoundError as absent:
        raise HarnessError(
            f"{words[0]} cannot be run: {absent.strerror}. Install it, or see `meshdrill doctor`."
        ) from absent
    except subprocess.TimeoutExpired as late:
        raise HarnessError(f"`{_shown(words)}` did not end within {timeout_s:.0f} s and was stopped.") from late
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
        raise HarnessError(f"`{_shown(words)}` ended with {done.returncode}: {tail(said)}")
    return done.stdout.decode(errors="replace")


def answers(arguments: Sequence[str | Path], *, timeout_s: float) -> str | None:
    """Return the standard output of a program, or None when it is absent, fails or is too slow."""
    try:
        return run(arguments, timeout_s=timeout_s)
    except HarnessError:
        return None


def tail(text: str, lines: int = _TAIL_LINES) -> str:
    """Return the last lines of a program's output, where the reason of a failure is."""
    return "\n".join(text.splitlines()[-lines:])


def _run_logged(words: list[str], timeout_s: float, cwd: Path | None, env: dict[str, str] | None, log: Path) -> str:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        begin = sink.tell()
        done = subprocess.run(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    if done.returncode != 0:
        with log.open("rb") as source:
            source.seek(begin)
            said = source.read().decode(errors="replace")
        raise HarnessError(f"`{_shown(words)}` ended with {done.returncode} (log: {log}): {tail(said)}")
    return ""


def _shown(words: list[str]) -> str:
    line = " ".join(words)
    limit = 300
    return line if len(line) <= limit else f"{line[:limit]} ..."
