"""The load that most drills put on the lab."""

from drills.run.calls import Calls, calls
from drills.run.edges import DENIED, FRESH, OPEN, ROUTES, SENTINEL, Edge

_KNOWN_MS, _FRESH_MS, _DENIED_MS, _OPEN_MS = 140, 200, 500, 500
_LONGEST_MS = 1500


def traffic(*left_out: Edge, pace: float = 1.0) -> list[Calls]:
    """Load every edge but those left out, about 250 calls a second in all.

    Both pods of a service call each of their targets every 140 ms on new and on reused connections: fine enough to see
    a gap of that length on one node, or of half of it on a route. Twice the rate kept two cores 95 % busy beside a
    proxy in every pod, and every second such run was starved.

    pace: so many times as long between two calls, for a drill of many minutes, whose evidence would be too large to
    keep; never longer than the 1.5 s in which every check still sees a caller at work (max_gap_s), and the gate has its
    20 samples of each edge in 33 s.
    """
    plain = [edge for edge in (*ROUTES, SENTINEL) if edge not in FRESH]
    rates = {
        **dict.fromkeys(plain, _KNOWN_MS),
        **dict.fromkeys(FRESH, _FRESH_MS),
        **dict.fromkeys(DENIED, _DENIED_MS),
        OPEN: _OPEN_MS,
    }
    paced = {edge: min(every_ms * pace, _LONGEST_MS) for edge, every_ms in rates.items()}
    return [calls(*edge, every_ms=every_ms) for edge, every_ms in paced.items() if edge not in left_out]
