"""What the mesh itself says it refused: its record on each node, read once the calls are over.

Read afterwards and past the API, so that it costs the callers nothing and needs neither the mesh nor the API server.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from clusters.errors import HarnessError
from clusters.mesh import Drop, DropLog
from clusters.place import Place
from drills.judge.history import Event

_ASK_S = 10.0
_READ_S = 60.0
_NS_PER_S = 1_000_000_000


class DropReader:
    """Reads the records of one run from where they stood when it began; reads nothing of a mesh that keeps none."""

    def __init__(self, place: Place, log: DropLog | None) -> None:
        self._place = place
        self._log = log
        self._marks: dict[str, int] = {}

    def mark(self) -> None:
        """Remember how long each node's record is now; a node that has none yet begins at nothing."""
        if self._log is not None:
            self._marks = {node: _size(self._place, node, self._log.path) for node in self._place.nodes}

    def read(self, begin_ns: int, end_ns: int) -> tuple[Event, ...]:
        """Return events `drop`, one per node, edge, reason and second, and `drops.source`, one per node."""
        return tuple(event for node in self._marks for event in self._of_node(node, begin_ns, end_ns))

    def _of_node(self, node: str, begin_ns: int, end_ns: int) -> Iterator[Event]:
        log = self._log
        if log is None:
            return
        try:
            text = _read(self._place, node, log, self._marks[node])
            drops = [drop for drop in map(log.parse, text.splitlines()) if drop and begin_ns <= drop.at_ns < end_ns]
        except (HarnessError, ValueError, KeyError) as error:
            yield Event(end_ns, "drops.source", node, {"node": node, "error": f"{type(error).__name__}: {error}"})
            return
        yield Event(end_ns, "drops.source", node, {"node": node, "error": ""})
        yield from _by_second(node, drops)


def _by_second(node: str, drops: Iterable[Drop]) -> Iterator[Event]:
    seconds: defaultdict[tuple[int, str, str, str], list[int]] = defaultdict(list)
    for drop in drops:
        seconds[drop.at_ns // _NS_PER_S, drop.source, drop.target, drop.reason].append(drop.at_ns)
    for (_, source, target, reason), at_ns in sorted(seconds.items()):
        first_ns, last_ns = min(at_ns), max(at_ns)
        edge = {"node": node, "source": source, "target": target, "reason": reason}
        times = {"count": len(at_ns), "first_ns": first_ns, "last_ns": last_ns}
        yield Event(first_ns, "drop", f"{source}->{target}", {**edge, **times})


def _size(place: Place, node: str, path: str) -> int:
    """Return how long the record is; one that does not exist yet holds nothing."""
    said = place.on_node(node, ["stat", "--format=%s", path], timeout_s=_ASK_S, check=False).strip()
    return int(said) if said.isdigit() else 0


def _read(place: Place, node: str, log: DropLog, mark: int) -> str:
    """Return what was appended since the mark.

    A record that became shorter was begun anew: what it held is in the newest of its predecessors, if one was kept.
    """
    # One program on the node: between two, the mesh could begin the record anew once more.
    script = f"""
        size=$(stat --format=%s {log.path} 2>/dev/null || echo 0)
        if [ "$size" -ge {mark} ]; then tail --bytes +{mark + 1} {log.path} 2>/dev/null; exit 0; fi
        older=$(ls -t {log.older} 2>/dev/null | head -n 1)
        [ -z "$older" ] || tail --bytes +{mark + 1} "$older"
        cat {log.path}
    """
    text = place.on_node(node, ["sh", "-c", script], timeout_s=_READ_S)
    return text[: text.rfind("\n") + 1]  # a line in the making is left out
