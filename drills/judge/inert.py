"""Text that others recorded, made safe to show as text: no character of it moves a cursor or begins a new line."""

from collections.abc import Iterable


def printable(text: str, *, keep: str = "") -> str:
    """Return the text with an escape for each character that does not print. keep: characters that stay.

    A line break does not print, so text of one field cannot pose as the next line.
    """
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() or it in keep else it.encode("unicode_escape").decode() for it in text)


def one_line(text: str) -> str:
    """Return the text with one space for each run of white space, and what else does not print as escapes."""
    return printable(" ".join(text.split()))


def lines(some: Iterable[str]) -> str:
    """Return the lines as one text; each stays one line whatever was recorded in it."""
    return "\n".join(map(printable, some))
