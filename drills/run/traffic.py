"""The load that most drills put on the lab."""

from drills.run.calls import Calls, calls
from drills.run.edges import DENIED, FRESH, OPEN, ROUTES, SENTINEL, Edge

_KNOWN_MS, _FRESH_MS, _DENIED_MS, _OPEN_MS = 70, 100, 300, 300


def traffic(*left_out: Edge, slower: float = 1.0) -> list[Calls]:
    """Load every edge but those left out, about 500 calls a second in all, divided by `slower`.

    Every pod calls each of its targets at least every 70 ms on new and on reused connections: fine enough to see a gap
    of that length, and coarse enough for two cores.
    """
    plain = [edge for edge in (*ROUTES, SENTINEL) if edge not in FRESH]
    rates = {
        **dict.fromkeys(plain, _KNOWN_MS),
        **dict.fromkeys(FRESH, _FRESH_MS),
        **dict.fromkeys(DENIED, _DENIED_MS),
        OPEN: _OPEN_MS,
    }
    return [calls(*edge, every_ms=every_ms * slower) for edge, every_ms in rates.items() if edge not in left_out]
