"""Interns callers as integer ids without collisions, so that checks group millions of rows by integer, not by texts.

An id is a hash of the caller's columns; a seed under which two callers of the table collide is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

import polars as pl

from drills.judge.keys import CALLER

SEEDS = range(64)
"""Nearly always the first one works: two of a thousand callers collide in one table of 10**13."""


@dataclass(frozen=True)
class CallerIds:
    """names: id to the values of the caller's columns. number: expression that computes the id of a row."""

    names: dict[int, tuple[str, ...]]
    number: pl.Expr


def caller_ids_of(calls: pl.LazyFrame, columns: Sequence[str] = CALLER) -> CallerIds:
    """Return the ids of a table's callers. Rows that only a server saw have ids too: filtering them out costs more."""
    seen = calls.select(columns).unique().collect(engine="streaming")
    found = (_numbered(seen, _number(columns, seed)) for seed in SEEDS)
    return next(ids for ids in found if len(ids.names) == seen.height)


def _numbered(seen: pl.DataFrame, number: pl.Expr) -> CallerIds:
    numbers = seen.select(number).to_series().to_list()
    return CallerIds(dict(zip(numbers, seen.rows(), strict=True)), number)


def _number(columns: Sequence[str], seed: int) -> pl.Expr:
    return reduce(xor, (pl.col(name).hash(len(columns) * seed + place) for place, name in enumerate(columns)))
