"""Runs programs of this package in forked processes, which have the imports already: that saves a second each."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["drills.selftest.doubles.killed_run"])

_LIMIT_S = 120


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it said."""

    code: int | None
    out: str
    err: str


def run_pytest(words: Sequence[str], *, within: Path, notes: Path) -> Ended:
    """Run pytest as from a command line in that folder; notes: a folder for what it says."""
    out, err = notes / "out.txt", notes / "err.txt"
    process = FORKS.Process(target=_pytest, args=(list(words), within, out, err))
    process.start()
    process.join(_LIMIT_S)
    process.kill()
    return Ended(process.exitcode, out.read_text(), err.read_text())


def _pytest(words: list[str], within: Path, out: Path, err: Path) -> None:
    os.chdir(within)
    for file, number in ((out, 1), (err, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    sys.exit(pytest.main(words))
