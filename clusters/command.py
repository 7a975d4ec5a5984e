"""Running programs: an argument list, a deadline, and an error that a person can act on."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusters.errors import HarnessError

_TAIL_LINES = 15


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
    Raises HarnessError, with the end of the program's own words, when it is absent, fails or passes its deadline.
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
    """Return the last lines of a program's output: the end is where the reason stands."""
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
