"""Finds bundles below a folder. A folder that another person made may have any name, so some names are refused."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from drills.judge.bundle_files import VERDICT_FILE
from drills.judge.files import FileError
from drills.judge.inert import printable

_OF_RUNS = re.compile(r"[\w.-]+")


def runs_in(reports: Path) -> tuple[Path, ...]:
    """Return the bundles `<drill>/<mesh>/<utc>/` that have a verdict, sorted.

    Raises FileError for a folder that no run makes: the name of one becomes a link in a page.
    """
    return tuple(_checked(reports, reports.glob(f"*/*/*/{VERDICT_FILE}"), lambda name: bool(_OF_RUNS.fullmatch(name))))


def below(folder: Path, file: str = VERDICT_FILE) -> tuple[Path, ...]:
    """Return every folder at or below this one that has a file of that name, sorted.

    Raises FileError for a name that does not print: it could pose as other text on a terminal.
    """
    return tuple(_checked(folder, folder.rglob(file), str.isprintable))


def _checked(folder: Path, found: Iterable[Path], is_good: Callable[[str], bool]) -> Iterator[Path]:
    for path in sorted(it.parent for it in found):
        for name in path.relative_to(folder).parts:
            if not is_good(name):
                raise FileError(
                    f"{printable(str(path))}: expected folders named with letters, digits, '.', '_' and '-'. Rename it."
                )
        yield path
