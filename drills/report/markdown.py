"""Markdown: the one writer of tables, and the environment of the templates."""

from collections.abc import Iterable, Sequence
from functools import cache

import jinja2

from drills.report.formats import duration, ms, number


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; `cell` makes a cell of any text."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def cell(value: object) -> str:
    """Return a value as one line that neither ends a cell nor opens a tag."""
    return " ".join(number(value).split()).replace("|", "\\|").replace("<", "&lt;")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


@cache  # compiling takes longer than rendering
def template(name: str) -> jinja2.Template:
    """Return the template of that file name beside this module."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("drills.report", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown; `cell` escapes what a table cannot carry
    )
    environment.filters |= {"cell": cell, "number": number, "ms": ms, "duration": duration, "joined": _joined}
    environment.filters["hypothesis_quote"] = _quote
    return environment.get_template(name)


def _joined(values: list[object]) -> str:
    return "; ".join(text for text in map(cell, values) if text)


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
