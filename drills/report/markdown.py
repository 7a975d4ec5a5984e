"""Markdown: tables, links and templates. What is not `Markdown` yet is recorded text, and is escaped.

The escape adds nothing where a character cannot act, so that harmless text reads the same in the source, too.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final
from urllib.parse import quote

import jinja2

from drills.judge.inert import one_line
from drills.report.formats import LINKED, duration, ms, number

# An underscore between letters or digits never begins emphasis.
_ACTIVE = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
# A hosting service tells a user who is named in a comment; a space of no width after the sign keeps it from that.
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_BEGINS_BLOCK = re.compile(r"^(?=>|[-+](?:\s|$)|#{1,6}(?:\s|$)|[-=]+\s*$|(?:-\s*){3,}$)|(?<=^)\d{1,9}(?=[.)](?:\s|$))")
_IN_ADDRESS: Final = "/:?#@!$&'*+,;=%[]"


class Markdown(str):
    """Markdown made by this program. Recorded text inside it went through `cell`, `text`, `code` or `link`."""

    __slots__ = ()


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table; a cell that is not `Markdown` becomes one by `cell`."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def cell(value: object) -> Markdown:
    """Return a value as inert text for use inside a line: it ends no cell, opens no tag or link, and calls no user.

    A viewer may make a link of a bare address, which then leads where it says.
    """
    if isinstance(value, Markdown):
        return value
    shown = _ACTIVE.sub(r"\\\g<0>", one_line(number(value)))
    return Markdown(_MENTION.sub("@&#8203;", _ENTITY.sub("&amp;", shown).replace("<", "&lt;")))


def text(value: object) -> Markdown:
    """Return a value as inert text that also begins no heading, list or quotation at the start of a line."""
    return value if isinstance(value, Markdown) else Markdown(_BEGINS_BLOCK.sub(r"\g<0>\\", cell(value)))


def code(value: object) -> Markdown:
    """Return a value as a code span, which ends only where the value does. Not for a cell of a table."""
    shown = one_line(str(value))
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if len(fence) > 1 else ""
    return Markdown(f"{fence}{pad}{shown}{pad}{fence}" if shown else "")


def code_line(value: object) -> Markdown:
    """Return a value as the one line of an indented block of code, in which nothing is active."""
    return Markdown(f"    {one_line(str(value))}")


def link(words: object, address: str) -> Markdown:
    """Return a link; for an address that is not http(s), the words and the address as text."""
    if not address.startswith(LINKED):
        return Markdown(f"{cell(words)} ({cell(address)})")
    return Markdown(f"[{cell(words)}]({quote(address, safe=_IN_ADDRESS)})")


def link_to_file(words: object, path: str) -> Markdown:
    """Return a link to a file, by its path relative to the page."""
    return Markdown(f"[{cell(words)}]({quote(path)})")


@cache  # compiling takes longer than rendering
def template(name: str) -> jinja2.Template:
    """Return the template of that file name under templates/. It escapes every value that is not `Markdown`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("drills.report", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - that would escape for HTML; `finalize` escapes for Markdown
        finalize=text,
    )
    environment.filters |= {"cell": cell, "code": code, "code_line": code_line, "joined": _joined, "link": _link}
    environment.filters |= {"number": cell, "ms": ms, "duration": duration, "in_column": _in_column}
    environment.filters["quoted"] = _quoted
    return environment.get_template(name)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(cell, cells))} |"


def _joined(values: list[object], separator: str = "; ") -> Markdown:
    return Markdown(separator.join(it for it in map(cell, values) if it))


def _link(address: str, words: object) -> Markdown:
    return link(words, address)


def _in_column(value: float) -> Markdown:
    return Markdown(f"{value:7.2f}")


def _quoted(value: str) -> Markdown:
    return Markdown("\n".join(f"> {text(line)}".rstrip() for line in value.splitlines()))
