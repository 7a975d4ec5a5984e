"""The simplest version of the same checks: a loop over JSON lines."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

Row = dict[str, object]
Lane = tuple[object, object, object]


def rows(lines: Path) -> Iterator[Row]:
    """Yield the calls, one in memory at a time."""
    with lines.open() as file:
        for line in file:
            yield json.loads(line)


def success_rate(lines: Path) -> dict[Lane, tuple[int, int, int]]:
    """Return for each lane: calls, successes, and the longest time without a success in ns."""
    calls: Counter[Lane] = Counter()
    ok: Counter[Lane] = Counter()
    last_ns: dict[Lane, int] = {}
    outage_ns: Counter[Lane] = Counter()
    for row in rows(lines):
        lane, at_ns = (row["source"], row["target"], row["connection"]), int(str(row["started_ns"]))
        calls[lane] += 1
        if row["outcome"] == "ok":
            ok[lane] += 1
            outage_ns[lane] = max(outage_ns[lane], at_ns - last_ns.get(lane, at_ns))
            last_ns[lane] = at_ns
    return {lane: (count, ok[lane], outage_ns[lane]) for lane, count in calls.items()}


def pairs(lines: Path) -> dict[Lane, tuple[int, int, int]]:
    """Return for each lane: calls that were served, served but not answered ok, and answered ok but not served."""
    served: Counter[Lane] = Counter()
    unanswered: Counter[Lane] = Counter()
    lost: Counter[Lane] = Counter()
    for row in rows(lines):
        lane, is_ok, is_served = (
            (row["source"], row["target"], row["connection"]),
            row["outcome"] == "ok",
            row["served_ns"] is not None,
        )
        served[lane] += is_served
        unanswered[lane] += is_served and not is_ok
        lost[lane] += is_ok and not is_served
    return {lane: (served[lane], unanswered[lane], lost[lane]) for lane in served}
