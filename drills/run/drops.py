"""Reads the mesh's own log of denied connections on each node, after the calls have ended.

Reading then, and without the Kubernetes API, costs the callers nothing and needs neither the mesh nor the API server.

Log rotation is handled: files are identified by inode and birth time, not by name. A compressed file is a new file that
also holds lines from before the run, so each line counts by its timestamp. A log that is deleted with its pod is lost.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from clusters.cluster import Cluster
from clusters.model import Drop, DropLog
from clusters.runtime import HarnessError
from drills.judge.events import DropCount, DropLogRead

_ASK_S = 10.0
_READ_S = 60.0
_SPAN_NS = 3_000_000_000  # first and last drop of a span are exact, and no claim asks about a shorter gap
_BETWEEN_FILES = "\x1e"

Lengths = dict[str, int]
"""File, by inode and birth time -> its length in bytes."""


class DropReader:
    """Reads what the drop logs gained during one run; reads nothing for a mesh without a drop log."""

    def __init__(self, cluster: Cluster, log: DropLog | None) -> None:
        self._cluster = cluster
        self._log = log
        self._lengths: dict[str, Lengths] = {}

    def begin(self) -> None:
        """Store the current length of each node's files; a file that does not exist yet has length 0."""
        if self._log is not None:
            self._lengths = {node: _sizes(self._cluster, node, self._log) for node in self._cluster.nodes}

    def read(self, begin_ns: int, end_ns: int, services: Mapping[str, str]) -> tuple[DropLogRead | DropCount, ...]:
        """Return a DropCount per node, edge, reason and span of 3 s, and a DropLogRead per node.

        services: address of a pod to its app label, for a log that names a caller by its address alone. A caller at
        any other address is no pod of the lab and left out.
        """
        return tuple(event for node in self._lengths for event in self._of_node(node, begin_ns, end_ns, services))

    def _of_node(
        self, node: str, begin_ns: int, end_ns: int, services: Mapping[str, str]
    ) -> Iterator[DropLogRead | DropCount]:
        log = self._log
        if log is None:
            return
        try:
            text = _read(self._cluster, node, log, self._lengths[node])
            parsed = [drop for drop in map(log.parse, text.splitlines()) if drop and begin_ns <= drop.at_ns < end_ns]
            drops = [it if it.source else replace(it, source=services.get(it.address, "")) for it in parsed]
        except (HarnessError, ValueError, KeyError) as error:
            failed = DropLogRead.Detail(node=node, error=f"{type(error).__name__}: {error}")
            yield DropLogRead(end_ns, node, failed)
            return
        yield DropLogRead(end_ns, node, DropLogRead.Detail(node=node, error=""))
        yield from _by_span(node, (drop for drop in drops if drop.source))


def _by_span(node: str, drops: Iterable[Drop]) -> Iterator[DropCount]:
    spans: defaultdict[tuple[int, str, str, str], list[int]] = defaultdict(list)
    for drop in drops:
        spans[drop.at_ns // _SPAN_NS, drop.source, drop.target, drop.reason].append(drop.at_ns)
    for (_, source, target, reason), at_ns in sorted(spans.items()):
        counted = DropCount.Detail(
            node=node,
            source=source,
            target=target,
            reason=reason,
            count=len(at_ns),
            first_ns=min(at_ns),
            last_ns=max(at_ns),
        )
        yield DropCount(counted.first_ns, f"{source}->{target}", counted)


def _sizes(cluster: Cluster, node: str, log: DropLog) -> Lengths:
    """Return the length of each file of the log; none for a log that does not exist yet."""
    script = f"stat --format='%i.%W %s' {log.path} {log.older} 2>/dev/null; true"
    said = cluster.exec(node, ["sh", "-c", script], timeout_s=_ASK_S, check=False)
    return {
        words[0]: int(words[1]) for words in map(str.split, said.splitlines()) if len(words) == len(("file", "size"))
    }


def _read(cluster: Cluster, node: str, log: DropLog, lengths: Lengths) -> str:
    """Return what was appended to the log since the lengths were stored, the oldest file first."""
    known = "".join(f"{name}) from={size + 1};; " for name, size in lengths.items())
    # One program on the node: between two, the log could rotate again. A file that is being compressed (.tmp) still has
    # the uncompressed file beside it. A file shorter than its stored length was truncated: it is read from the start.
    script = f"""
        for file in $(ls -tr {log.path} {log.older} 2>/dev/null); do
            case "$file" in *.tmp) continue;; esac
            case "$(stat --format=%i.%W "$file")" in {known}*) from=1;; esac
            [ "$(stat --format=%s "$file")" -ge "$((from - 1))" ] || from=1
            case "$file" in
                *.gz) [ "$from" -gt 1 ] || gzip --decompress --stdout "$file" || exit 1;;
                *) tail --bytes "+$from" "$file" || exit 1;;
            esac
            printf '\\036'
        done
    """
    files = cluster.exec(node, ["sh", "-c", script], timeout_s=_READ_S).split(_BETWEEN_FILES)
    return "".join(text[: text.rfind("\n") + 1] for text in files)  # without an unfinished last line
