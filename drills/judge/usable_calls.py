"""Which rows of a table of calls a caller or a server can have written; a query of any other row could fail."""

from functools import reduce
from operator import and_
from typing import Final

import polars as pl

from drills.judge.records import LAST_NS

_CALLER: Final = ("seq", "pod", "node", "connection", "started_ns", "ended_ns", "outcome", "error")
_INSTANTS: Final = ("scheduled_ns", "started_ns", "ended_ns", "served_ns")


def _is_known(*names: str) -> pl.Expr:
    return reduce(and_, (pl.col(name).is_not_null() for name in names))


def _is_bounded(name: str) -> pl.Expr:
    return pl.col(name).is_between(0, LAST_NS).fill_null(value=True)


IS_USABLE: Final = (
    _is_known("id", "source", "target")
    & pl.when(_is_known("scheduled_ns"))
    .then(_is_known(*_CALLER))
    .otherwise(_is_known("served_ns") & pl.col("pod").is_null())
    & (_is_known("served_ns") == _is_known("served_pod"))
    & reduce(and_, map(_is_bounded, ("seq", *_INSTANTS)))
)
"""Whether a row names its call, every key of each witness that saw the call, and instants from 1970 to 2116."""
