"""Who called: every caller of a table has a number, so that millions of rows are told apart by an integer.

Texts are compared once, for the list of callers. After that a row belongs to the caller whose number its texts hash
to; that no two callers of the table share a number is made sure of, not hoped for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

import polars as pl

LANE = ("source", "target", "connection")
CALLER = (*LANE, "pod")
CALLER_OF_POD = ("pod", "target", "connection")
"""As a pod knows its callers: all of one pod call for the same service."""

LaneKey = tuple[str, str, str]
CallerKey = tuple[str, str, str, str]
CallerOfPodKey = tuple[str, str, str]

SEEDS = range(64)
"""The first nearly always serves: of a thousand callers two share a number in one table of 10**13."""


@dataclass(frozen=True)
class Roll:
    """All callers of a table by their number: the values of the columns that tell them apart, and the number."""

    names: dict[int, tuple[str, ...]]
    number: pl.Expr


def call_roll(calls: pl.LazyFrame, columns: Sequence[str] = CALLER) -> Roll:
    """Return the callers of a table. Rows that only a server saw are listed too: to leave them out costs more."""
    seen = calls.select(columns).unique().collect(engine="streaming")
    rolls = (_numbered(seen, _number(columns, seed)) for seed in SEEDS)
    return next(roll for roll in rolls if len(roll.names) == seen.height)


def _numbered(seen: pl.DataFrame, number: pl.Expr) -> Roll:
    numbers = seen.select(number).to_series().to_list()
    return Roll(dict(zip(numbers, seen.rows(), strict=True)), number)


def _number(columns: Sequence[str], seed: int) -> pl.Expr:
    return reduce(xor, (pl.col(name).hash(len(columns) * seed + place) for place, name in enumerate(columns)))
