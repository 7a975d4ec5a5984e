"""How a drill says which calls it wants."""

from dataclasses import dataclass

TIMEOUT_MS = 2000  # of one call, unless the drill asks for less

Connections = tuple[str, ...]


@dataclass(frozen=True)
class Calls:
    """An open loop on one edge, in every pod of the source: one call each `every_ms` on each kind of connection."""

    source: str
    target: str
    every_ms: float
    connections: Connections = ("new", "reused")
    timeout_ms: int = TIMEOUT_MS


def calls(
    source: str,
    target: str,
    *,
    every_ms: float,
    connections: Connections = ("new", "reused"),
    timeout_ms: int = TIMEOUT_MS,
) -> Calls:
    """Let every pod of the source call the target at a fixed rate, on connections of its own: new, reused or both.

    A caller has 64 calls in flight at most: where calls are dropped in silence, timeout_ms must be below 64 * every_ms.
    """
    return Calls(source, target, every_ms, connections, timeout_ms)
