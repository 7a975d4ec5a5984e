"""Generated blocks in a Markdown file that otherwise belongs to a person.

A block stands between two comments, which no Markdown reader shows. The first holds a hash of the generated text:

    <!-- meshdrill:begin NAME sha256=0123456789ab -->
    <!-- meshdrill:end NAME -->

The hash detects that a person edited a block; an edited block is never overwritten.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_BEGIN = re.compile(r"<!-- meshdrill:begin (\S+) sha256=([0-9a-f]{12}) -->")
_END = re.compile(r"<!-- meshdrill:end (\S+) -->")
_LIKE_A_MARKER = re.compile(r"<!--\s*meshdrill:")


class BlockError(Exception):
    """The markers of a file are broken, or a block between them was edited; the message names the line."""


@dataclass(frozen=True)
class Block:
    """Generated Markdown, and the heading below which it is inserted if the file does not contain it."""

    heading: str
    content: str


@dataclass(frozen=True)
class _Found:
    name: str
    first: int  # index of the line of the begin marker
    last: int  # of the end marker


def wrap(name: str, content: str, newline: str = "\n") -> str:
    """Return the content between its markers, without a final newline."""
    body = content.strip("\n").replace("\n", newline)
    return newline.join(
        (f"<!-- meshdrill:begin {name} sha256={_hash(body)} -->", body, f"<!-- meshdrill:end {name} -->")
    )


def update(text: str, blocks: Mapping[str, Block]) -> str:
    """Return the text with each block replaced. Every byte outside of the markers stays.

    A missing block is inserted below its heading; if the heading is missing too, both are appended.
    Raises BlockError if markers are broken or a block was edited.
    """
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if "\r\n" in text else "\n"
    found = {it.name: it for it in _blocks(lines)}
    if unknown := found.keys() - blocks.keys():
        raise BlockError(f"Nothing generates the block {', '.join(sorted(unknown))}: remove its two marker lines.")
    for name, it in sorted(found.items(), key=lambda item: -item[1].first):
        ending = lines[it.last][len(lines[it.last].rstrip("\r\n")) :]
        lines[it.first : it.last + 1] = [wrap(name, blocks[name].content, newline) + ending]
    for name in reversed([name for name in blocks if name not in found]):
        _insert(lines, blocks[name].heading, wrap(name, blocks[name].content, newline), newline)
    return "".join(lines)


def _insert(lines: list[str], heading: str, wrapped: str, newline: str) -> None:
    """Insert a block below its heading, which is appended if the text lacks it."""
    at = next((number for number, line in enumerate(lines) if line.rstrip() == heading), None)
    if at is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += newline
        lines += [newline, f"{heading}{newline}"]
        at = len(lines) - 1
    lines.insert(at + 1, f"{newline}{wrapped}{newline}")


def _blocks(lines: list[str]) -> Iterator[_Found]:
    """Yield the blocks in the order of the text. Raises BlockError for the first broken or edited one."""
    seen: set[str] = set()
    opened: tuple[str, str, int] | None = None
    for number, line in enumerate(lines):
        begin, end = _BEGIN.fullmatch(line.strip()), _END.fullmatch(line.strip())
        if begin and opened is None and begin[1] not in seen:
            opened = (begin[1], begin[2], number)
        elif end and opened is not None and end[1] == opened[0]:
            name, digest, first = opened
            if _hash("".join(lines[first + 1 : number])) != digest:
                raise BlockError(
                    f"Lines {first + 2} to {number}: the generated block {name} was edited, and an update would "
                    "lose the edit. Move them below its end marker, then delete the block with both its markers."
                )
            seen.add(name)
            opened = None
            yield _Found(name, first, number)
        elif _LIKE_A_MARKER.search(line):
            raise BlockError(f"Line {number + 1}: unexpected marker {line.strip()!r}: restore it, or delete its block.")
    if opened is not None:
        raise BlockError(f"Line {opened[2] + 1}: the block {opened[0]} has no end marker: restore it.")


def _hash(body: str) -> str:
    """Return the hash of a block's lines, independent of their line endings."""
    return hashlib.sha256("\n".join(body.splitlines()).encode()).hexdigest()[:12]
