"""How a drill says which calls it wants."""

from dataclasses import dataclass

TIMEOUT_MS = 2000  # of one call, whatever its edge

Connections = tuple[str, ...]


@dataclass(frozen=True)
class Calls:
    """An open loop on one edge, in every pod of the source: one call each `every_ms` on each kind of connection."""

    source: str
    target: str
    every_ms: float
    connections: Connections = ("new", "reused")


def calls(source: str, target: str, *, every_ms: float, connections: Connections = ("new", "reused")) -> Calls:
    """Let every pod of the source call the target at a fixed rate, on connections of its own: new, reused or both."""
    return Calls(source, target, every_ms, connections)
