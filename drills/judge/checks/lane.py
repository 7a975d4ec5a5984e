"""What a check is told of one lane in a window."""

from dataclasses import dataclass

from drills.judge.checks.spread import Stretch
from drills.judge.measure import Edge, Number, Truth
from drills.judge.newcomers import subject_of
from drills.judge.records import NS_PER_MS, NS_PER_S, REUSED, Window

AgedKey = tuple[str, str, str, bool]
"""A lane, and whether it is the one of new pods."""


@dataclass(frozen=True)
class Lane:
    """What the calls of one lane did in a window.

    ok_as_named: successes that really travelled on the kind of connection that the lane is named after.
    reconnected: calls of a reused lane that had to open a connection. bound: schedule slots that could not be used.
    gap: widest stretch in which a caller made no call. outage: widest stretch in which a caller had no success.
    first_bad_ns: schedule of the first call that did not succeed.
    since_ns: schedule of the first call that a new pod made, also before the window; None on a lane of old pods.
    """

    source: str
    target: str
    connection: str
    is_new: bool
    calls: int
    ok: int
    failed: int
    unknown: int
    bound: int
    served: int
    ok_as_named: int
    reconnected: int
    gap: Stretch
    outage: Stretch
    first_bad_ns: int | None
    errors: tuple[tuple[str, int], ...]
    since_ns: int | None

    @property
    def key(self) -> AgedKey:
        """What tells the lane from others."""
        return self.source, self.target, self.connection, self.is_new

    @property
    def subject(self) -> str:
        """How a row names it, beside its kind of connection."""
        return subject_of(self.source, self.target, is_new=self.is_new)

    @property
    def if_few(self) -> Truth:
        """What too few calls say of an occurrence: it did not happen, but new pods come as they come."""
        return Truth.UNKNOWN if self.is_new else Truth.FALSE

    @property
    def edge(self) -> Edge:
        """Source and target."""
        return self.source, self.target

    @property
    def made(self) -> int:
        """Calls that were really made."""
        return self.calls - self.bound

    def watched(self, window: Window) -> Window:
        """Return the part of a window in which there was somebody to call."""
        return watched_of(window, self.since_ns)

    def calls_per_s(self, window: Window) -> float:
        """Return how often it was called while there was somebody to call."""
        return round(self.made / self.watched(window).length_s, 3)

    def numbers(self, window: Window) -> dict[str, Number]:
        """Return the numbers that every finding shows of this lane."""
        counts: dict[str, Number] = {
            "calls": self.calls,
            "ok": self.ok,
            "failed": self.failed,
            "cannot_know": self.unknown,
            "in_flight_bound": self.bound,
            "served": self.served,
            "success_rate": round(self.ok / self.calls, 6) if self.calls else None,
            "calls_per_s": self.calls_per_s(window),
            "largest_gap_ms": round(self.gap.length_ns / NS_PER_MS, 3),
            "longest_outage_ms": round(self.outage.length_ns / NS_PER_MS, 3),
            "longest_outage_at_s": round((self.outage.start_ns - window.start_ns) / NS_PER_S, 3),
        }
        if self.connection == REUSED:
            counts |= {"ok_on_reused": self.ok_as_named, "reconnected": self.reconnected}
        if self.since_ns is not None:
            counts |= {"first_call_at_s": round((self.since_ns - window.start_ns) / NS_PER_S, 3)}
        return counts | {f"error {name}": count for name, count in self.errors}


def watched_of(window: Window, since_ns: int | None) -> Window:
    """Return the part of a window that begins with an instant; None began before."""
    return window if since_ns is None else window.since(max(window.start_ns, since_ns))
