"""A run in which every recorded string is another person's: text that tries to act in a page or on a terminal."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import polars as pl

from drills.judge.history import History
from drills.judge.records import RunFacts
from drills.judge.verdict import Verdict
from drills.report.bundles import Run
from drills.report.run_file import Environment

T = TypeVar("T")
Holder = dict[str, Any] | list[Any]

PAYLOADS = (
    "\n# A heading",
    "\n- item\n\n1. item\n\n> said\n\n---\n",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "[a](javascript:alert(1)) ![b](https://example.org/b.png) <https://example.org>",
    "`code` ```fence **bold** __under__ ~~struck~~ $math$",
    "| --- |\n| --- |\n| x |",
    "<!-- meshdrill:begin context sha256=0123456789ab --> -->",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "\r\nsignature by key 00 is good\n",
    "\x00\x08\x7f\u202eback\u2028line\u0085next\ufeff",
    "&lt;b&gt; &#60;b&#62; \\&lt; \\| \\",
    '" onmouseover="x" \'',
    "]]> <![CDATA[ ]]]]>",
    "@octocat @org/team",
)
_MAPS = frozenset({"params", "numbers", "versions", "host", "identities", "signals", "placed"})
"""Fields whose keys are recorded text."""
_KINDS: tuple[Any, ...] = (RunFacts, Verdict, Environment)


def of_run(run: Run, text: str) -> Run:
    """Return the run with the text around every string: of its verdict, environment, facts, events and calls."""
    facts, verdict, environment = (
        of_struct(it, kind, text)
        for it, kind in zip((run.history.facts, run.verdict, run.environment), _KINDS, strict=True)
    )
    events = tuple(of_struct(event, type(event), text) for event in run.history.events)
    words = (name for name, kind in run.history.calls.collect_schema().items() if kind == pl.String)
    calls = run.history.calls.with_columns(
        (pl.lit(text) + pl.col(it) + text).alias(it) for it in words if it != "outcome"
    )
    history = History(calls, events, facts)
    return Run(Path("runs", "bundle"), verdict, environment, history, run.statement_sha256, f"signed {text}")


def of_struct(value: T, kind: type[T], text: str) -> T:
    """Return a struct with the text around every string that may have any value; an answer, for example, may not.

    An address keeps its scheme in front: with another one it is no link, and the page has another structure.
    """
    plain = msgspec.json.decode(msgspec.json.encode(value))
    for holder, key in list(_strings(plain)):
        before = holder[key]
        holder[key] = _around(before, text)
        try:
            msgspec.convert(plain, kind)
        except msgspec.ValidationError:
            holder[key] = before
    return msgspec.convert(_renamed(plain, text), kind)


def _around(before: str, text: str) -> str:
    scheme = re.match("https?://", before)
    return f"{before}{text}" if scheme else f"{text}{before}{text}"


def _strings(holder: Holder) -> Iterator[tuple[Any, Any]]:
    """Yield the dict or list that holds each string, and the string's key in it."""
    for key, part in holder.items() if isinstance(holder, dict) else enumerate(holder):
        if isinstance(part, str):
            yield holder, key
        elif isinstance(part, dict | list):
            yield from _strings(part)


def _renamed(part: object, text: str, *, is_map: bool = False) -> object:
    if isinstance(part, list):
        return [_renamed(it, text) for it in part]
    if not isinstance(part, dict):
        return part
    return {
        f"{text}{key}{text}" if is_map else key: _renamed(it, text, is_map=key in _MAPS and not is_map)
        for key, it in part.items()
    }
