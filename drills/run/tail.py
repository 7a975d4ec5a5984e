"""Follows the lab's logs during a run: which programs are ready, which have ended, and how many calls fail."""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clusters.runtime import Progress
from drills.judge.checks.slow import FAST_S
from drills.judge.records import NS_PER_S
from drills.run.background import Background
from drills.run.lab import ROUTES
from drills.run.lines import AnyLine, Call, End, Late, Ready, ServedEnd, WireEnd, WireReady, parse
from drills.run.plan import logs_dir
from drills.run.timing import Timing

_RECENT_S = 5.0
_RECENT_LIMIT = 20_000

Edge = tuple[str, str]


@dataclass(frozen=True)
class Pulse:
    """The calls of the last seconds: for progress lines and for ending the recovery, never for a verdict."""

    calls: int  # since the run began
    recent: dict[Edge, int]  # calls of the last 5 s
    failing: dict[Edge, int]  # those of `recent` that were not ok
    slow: dict[Edge, int]  # those of `recent` that were ok and took longer than FAST_S


class Tail:
    """What the logs of one run say so far. Safe for several threads."""

    def __init__(self, share: Path, run_id: str) -> None:
        self._folder = logs_dir(share)
        self._run_id = run_id
        self.offsets = log_offsets(share)  # length of each log before the run
        self._offsets = dict(self.offsets)
        self._lock = threading.Lock()
        self._recent: deque[tuple[int, Edge, bool, bool]] = deque(maxlen=_RECENT_LIMIT)  # due, edge, ok, slow
        self._calls = 0
        self._last_ok_ns: dict[Edge, int] = {}
        self._last_call_ns: dict[Edge, int] = {}
        self._ok_pods: set[str] = set()
        self._ready: set[str] = set()
        self._late: set[str] = set()
        self._ended: set[tuple[str, str, str]] = set()
        self._served_ends: set[str] = set()
        self._wire_ready: set[str] = set()
        self._wire_ends: set[str] = set()

    def ready(self) -> frozenset[str]:
        """Return the pods that have read the plan."""
        with self._lock:
            self._catch_up()
            return frozenset(self._ready)

    def late(self) -> frozenset[str]:
        """Return the pods that restarted during the run and serve requests."""
        with self._lock:
            self._catch_up()
            return frozenset(self._late)

    def ended(self) -> frozenset[tuple[str, str, str]]:
        """Return (pod, target, connection) of the callers that have ended."""
        with self._lock:
            self._catch_up()
            return frozenset(self._ended)

    def servers_ended(self) -> frozenset[str]:
        """Return the pods whose server has ended."""
        with self._lock:
            self._catch_up()
            return frozenset(self._served_ends)

    def watching(self) -> frozenset[str]:
        """Return the nodes whose observer captures."""
        with self._lock:
            self._catch_up()
            return frozenset(self._wire_ready)

    def watched(self) -> frozenset[str]:
        """Return the nodes whose observer has ended."""
        with self._lock:
            self._catch_up()
            return frozenset(self._wire_ends)

    def pulse(self) -> Pulse:
        """Return the calls of the last seconds."""
        with self._lock:
            self._catch_up()
            since_ns = time.time_ns() - int(_RECENT_S * NS_PER_S)
            recent = [it for it in self._recent if it[0] >= since_ns]
            return Pulse(
                self._calls,
                Counter(edge for _, edge, _, _ in recent),
                failing=Counter(edge for _, edge, is_ok, _ in recent if not is_ok),
                slow=Counter(edge for _, edge, is_ok, is_slow in recent if is_ok and is_slow),
            )

    def is_closed(self, edge: Edge, *, since_ns: int) -> bool:
        """Return whether calls of the edge were due since then and none of them succeeded."""
        with self._lock:
            self._catch_up()
            return self._last_call_ns.get(edge, 0) > since_ns > self._last_ok_ns.get(edge, 0)

    def has_succeeded(self, pod: str) -> bool:
        """Return whether a call succeeded that this pod made or served."""
        with self._lock:
            self._catch_up()
            return pod in self._ok_pods

    def _catch_up(self) -> None:
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.jsonl")):
            self._read(path)

    def _read(self, path: Path) -> None:
        """Read the complete lines that were appended; an unfinished line is read later."""
        begin = self._offsets.get(path.name, 0)
        with path.open("rb") as source:
            source.seek(begin)
            data = source.read()
        whole = data.rfind(b"\n") + 1
        self._offsets[path.name] = begin + whole
        for raw in data[:whole].splitlines():
            try:
                line = parse(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # collect.py reports torn lines
            if line.run_id == self._run_id:
                self._take(line)

    def _take(self, line: AnyLine) -> None:
        match line:
            case Call():
                self._count(line)
            case Ready():
                self._ready.add(line.pod)
            case Late():
                self._late.add(line.pod)
            case End():
                self._ended.add((line.pod, line.target, line.connection))
            case ServedEnd():
                self._served_ends.add(line.pod)
            case WireReady():
                self._wire_ready.add(line.node)
            case WireEnd():
                self._wire_ends.add(line.node)

    def _count(self, call: Call) -> None:
        edge, is_ok = (call.source, call.target), call.outcome == "ok"
        self._calls += 1
        self._recent.append((call.scheduled_ns, edge, is_ok, call.ended_ns - call.started_ns > FAST_S * NS_PER_S))
        self._last_call_ns[edge] = max(call.scheduled_ns, self._last_call_ns.get(edge, 0))
        if is_ok:
            self._last_ok_ns[edge] = max(call.scheduled_ns, self._last_ok_ns.get(edge, 0))
            self._ok_pods |= {call.pod, call.server_pod}


class ProgressReporter(Background):
    """Writes a line of progress at each interval, from the first call to the last."""

    def __init__(self, tail: Tail, progress: Progress, timing: Timing) -> None:
        super().__init__("progress", ends_within_s=timing.progress_ends_within_s)
        self._tail = tail
        self._progress = progress
        self._every_s = timing.progress_every_s

    def _run(self) -> None:
        begun_s = time.monotonic()
        while not self._ended.wait(self._every_s):
            self._progress(f"{time.monotonic() - begun_s:4.0f} s  {line_of(self._tail.pulse())}")


def line_of(pulse: Pulse) -> str:
    """Return the line: the number of calls, and the routes on which calls fail or are slow now."""
    parts = [
        f"{words} now: {', '.join(found)}"
        for words, counts in (("failing", pulse.failing), ("slow", pulse.slow))
        if (found := [f"{'->'.join(it)} {counts[it]}/{pulse.recent[it]}" for it in sorted(counts) if it in ROUTES])
    ]
    return f"{pulse.calls} calls so far; {'; '.join(parts) or 'no route loses calls or is slow'}"


def log_offsets(share: Path) -> dict[str, int]:
    """Return the current length of each log in bytes: a run reads from there."""
    folder = logs_dir(share)
    return {path.name: path.stat().st_size for path in folder.glob("*.jsonl")} if folder.is_dir() else {}
