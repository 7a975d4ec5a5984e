"""The tables of report.html, which show side by side what report.md lists."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from drills.judge.measure import Number, Row, Truth
from drills.report.formats import in_order
from drills.report.traffic import EdgeRow, TransitionRow


class NumberTable(msgspec.Struct, frozen=True):
    """The rows of a finding. columns: numbers that differ between rows; shared: numbers equal in all rows."""

    shared: dict[str, Number]
    columns: tuple[str, ...]
    rows: tuple["NumberRow", ...]


class NumberRow(msgspec.Struct, frozen=True):
    """One subject. values: in the order of the table's columns."""

    subject: str
    connection: str
    truth: Truth
    values: tuple[Number, ...]
    reason: str


class EdgeWindows(msgspec.Struct, frozen=True):
    """One edge and kind of connection in every window."""

    edge: str
    connection: str
    windows: tuple[EdgeRow | None, ...]


class Transition(msgspec.Struct, frozen=True):
    """One instant: the edges that changed at it, and those that did not."""

    instant: str
    moved: tuple[TransitionRow, ...]
    steady: tuple[TransitionRow, ...]


def number_table(rows: Iterable[Row]) -> NumberTable:
    """Return the rows as a table, without numbers that no row has."""
    kept = tuple(rows)
    names = {name for row in kept for name, value in row.numbers.items() if value is not None and value != ""}
    values = {name: tuple(row.numbers.get(name) for row in kept) for name in in_order(names)}
    shared = {name: some[0] for name, some in values.items() if len(set(some)) == 1 and len(kept) > 1}
    columns = tuple(name for name in values if name not in shared)
    return NumberTable(
        shared,
        columns,
        tuple(
            NumberRow(row.subject, row.connection, row.truth, tuple(values[it][number] for it in columns), row.reason)
            for number, row in enumerate(kept)
        ),
    )


def edge_windows(rows: Sequence[EdgeRow]) -> tuple[tuple[str, ...], tuple[EdgeWindows, ...]]:
    """Return the names of the windows, and each edge's rows by window."""
    names = tuple(dict.fromkeys(row.window for row in rows))
    by_edge = sorted(rows, key=_edge)
    return names, tuple(
        EdgeWindows(f"{source}->{target}", connection, tuple({it.window: it for it in some}.get(it) for it in names))
        for (source, target, connection), grouped in groupby(by_edge, key=_edge)
        for some in (tuple(grouped),)
    )


def by_instant(rows: Sequence[TransitionRow]) -> tuple[Transition, ...]:
    """Return the rows of each instant, in the order of the instants."""
    return tuple(
        Transition(instant, tuple(it for it in some if not it.is_steady), tuple(it for it in some if it.is_steady))
        for instant, grouped in groupby(rows, key=lambda it: it.instant)
        for some in (tuple(grouped),)
    )


def _edge(row: EdgeRow) -> tuple[str, str, str]:
    return row.source, row.target, row.connection
