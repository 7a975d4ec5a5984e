"""The widest gap between instants in a window, found slice by slice."""

from dataclasses import dataclass

import msgspec
import polars as pl

from drills.judge.records import Window


def steps(values: pl.Series) -> pl.Series:
    """Return each value minus the one before it, so one value fewer; empty for an empty series.

    Called for every caller of every window; Series.diff plans a query and takes twenty times as long.
    """
    return values.slice(1) - values.head(max(values.len() - 1, 0))


@dataclass(frozen=True)
class Stretch:
    """The widest gap: its length and the instant at which it begins, both in ns."""

    length_ns: int
    start_ns: int


class Spread(msgspec.Struct, frozen=True):
    """The first and last of some instants, and the widest step between two neighbours."""

    first_ns: int | None
    last_ns: int | None
    widest_ns: int | None
    widest_at_ns: int | None

    @classmethod
    def of(cls, instants: pl.Series) -> "Spread":
        """Return the spread of instants in any order."""
        ordered = (instants.drop_nulls() if instants.has_nulls() else instants).sort()
        if ordered.is_empty():
            return cls(None, None, None, None)
        step = steps(ordered)
        widest = step.arg_max()
        if widest is None:
            return cls(ordered[0], ordered[0], None, None)
        return cls(ordered[0], ordered[-1], step[widest], ordered[widest])

    def followed_by(self, then: "Spread") -> "Spread":
        """Return the spread of both; every instant of `then` is later.

        Ends of calls may overlap where two slices meet: that makes the widest step wider than it is, never narrower.
        """
        if self.last_ns is None or then.first_ns is None:
            return then if self.last_ns is None else self
        last_ns = max(self.last_ns, then.last_ns or self.last_ns)
        between = Spread(self.first_ns, last_ns, then.first_ns - self.last_ns, self.last_ns)
        widest = max((self, between, then), key=lambda spread: spread.widest_ns or 0)
        return msgspec.structs.replace(between, widest_ns=widest.widest_ns, widest_at_ns=widest.widest_at_ns)

    def stretch(self, window: Window) -> Stretch:
        """Return the widest gap in a window, including those before the first and after the last instant."""
        if self.first_ns is None or self.last_ns is None:
            return Stretch(window.end_ns - window.start_ns, window.start_ns)
        options = (
            Stretch(self.first_ns - window.start_ns, window.start_ns),
            Stretch(self.widest_ns or 0, self.widest_at_ns or self.first_ns),
            Stretch(window.end_ns - self.last_ns, self.last_ns),
        )
        return max(options, key=lambda stretch: stretch.length_ns)
