"""The one way to print, and the one way to write the file of `--out`. What is printed is inert on a terminal."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import typer

from clusters.runtime import HarnessError, UsageError
from drills.judge import files
from drills.judge.inert import printable

_KEPT = "\n\t"


def show(text: object, *, end: str = "\n") -> None:
    """Print the result of a command to stdout.

    Prints nothing more once the reader has closed the pipe: the command still ends with its own code. HarnessError when
    stdout cannot be written for another reason.
    """
    try:
        typer.echo(printable(str(text), keep=_KEPT) + end, nl=False)
    except BrokenPipeError:
        _discard_rest(sys.stdout)
    except OSError as error:
        _discard_rest(sys.stdout)
        raise HarnessError(f"The result cannot be printed to stdout: {error.strerror}.") from error


def say(line: object) -> None:
    """Print a line of progress or an error to stderr; stdout is for the command's result. One that fails is lost."""
    with suppress(OSError):
        typer.echo(printable(str(line), keep=_KEPT), err=True)


def write_out(out: Path, text: str) -> None:
    """Write the file that the user named, atomically. UsageError for one that cannot be written."""
    try:
        files.write(out, text.encode())
    except files.FileError as error:
        raise UsageError(f"--out cannot be used. {error}") from error


def _discard_rest(stream: TextIO) -> None:
    """Lead a stream to nowhere, because Python would report what is left in its buffer when it ends."""
    with suppress(OSError):  # a stream of a test has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
