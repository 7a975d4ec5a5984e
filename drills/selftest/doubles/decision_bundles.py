"""A decision record as a test reads it: its sections, and the rows of its tables."""

import re
from pathlib import Path

from drills.cli import app as cli
from drills.cli import exits


def write(reports: Path, out: Path, *words: str) -> str:
    """Write the record through the command line and return its text."""
    out.parent.mkdir(exist_ok=True)
    assert cli.status(["adr", "--out", str(out), *words, str(reports)]) == exits.PASSED
    return out.read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return a section without its sub-sections' neighbours."""
    level = heading.split(maxsplit=1)[0]
    return re.split(rf"^{level} ", text.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def answers_to(question: str, part: str) -> dict[str, str]:
    """Return the row of a question in a section's first table, by the head of each column."""
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    return dict(zip(rows[0], next(row for row in rows if row[0] == question), strict=True))


def meshes_in(text: str) -> list[str]:
    """Return the meshes of the table of evidence, in its order."""
    head = next(line for line in text.splitlines() if line.startswith("| required |"))
    return head.removesuffix(" |").split(" | ")[1:]
