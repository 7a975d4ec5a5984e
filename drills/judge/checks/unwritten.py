"""Calls that a program may have made or served but not recorded, because the fault ended it; found in others' records.

A call with a good answer from such a server in its last moments was served: the answer names the server and the call.
How often it was served is unknown. A call that only a server recorded, with an id of such a caller, was made in that
caller's last moments.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import polars as pl

from drills.judge.checks.lanes import SUCCEEDED
from drills.judge.history import History
from drills.judge.keys import LANE, LaneKey
from drills.judge.lost_pods import UNWRITTEN_S, LostPods
from drills.judge.records import NS_PER_S

_UNTIL_NOW = 2**63 - 1


@dataclass(frozen=True)
class Break:
    """A time in which a pod may have worked and recorded nothing."""

    pod: str
    last_ns: int
    boot_ns: int


@dataclass(frozen=True)
class Unwritten:
    """Calls per lane.

    answered: successful for their caller, answered by a server whose record ended just then.
    unsure: the same, but too long after that server's last line for its buffer to explain it.
    orphaned: served; their caller ended before it recorded them.
    """

    answered: Counter[LaneKey]
    unsure: Counter[LaneKey]
    orphaned: Counter[LaneKey]


class _Answered(msgspec.Struct, frozen=True):
    source: str
    target: str
    connection: str
    server_pod: str
    ended_ns: int

    @property
    def lane(self) -> LaneKey:
        return self.source, self.target, self.connection


def unwritten(history: History, calls: pl.LazyFrame) -> Unwritten | None:
    """Return what may be missing in the records of these calls; None when the fault ended no pod."""
    lost = history.lost_pods
    if lost is None:
        return None
    breaks = tuple(_breaks(history, lost))
    answered, unsure = _answered(calls, breaks)
    return Unwritten(answered, unsure, _orphaned(history, calls, lost))


def _breaks(history: History, lost: LostPods) -> Iterator[Break]:
    theirs = pl.col("served_pod").is_in(sorted(lost.pods)) & (pl.col("served_ns") >= lost.injected_ns)
    lines = history.calls.filter(theirs).select("served_pod", "served_ns").collect()
    for pod in sorted(lost.pods):
        served_ns = lines.filter(pl.col("served_pod") == pod)["served_ns"]
        for boot_ns in lost.boots[pod] or (_UNTIL_NOW,):
            before = served_ns.filter(served_ns < boot_ns).to_list()
            yield Break(pod, max(before, default=lost.injected_ns), boot_ns)


def _answered(calls: pl.LazyFrame, breaks: tuple[Break, ...]) -> tuple[Counter[LaneKey], Counter[LaneKey]]:
    pods = sorted({found.pod for found in breaks})
    is_lost = SUCCEEDED & pl.col("scheduled_ns").is_not_null() & pl.col("served_ns").is_null()
    lost = calls.filter(is_lost, pl.col("server_pod").is_in(pods)).select(*LANE, "server_pod", "ended_ns").collect()
    answered, unsure = Counter[LaneKey](), Counter[LaneKey]()
    for call in msgspec.convert(lost.to_dicts(), list[_Answered]):
        last_ns = [b.last_ns for b in breaks if b.pod == call.server_pod and b.last_ns <= call.ended_ns < b.boot_ns]
        if last_ns:
            is_prompt = call.ended_ns <= max(last_ns) + round(UNWRITTEN_S * NS_PER_S)
            (answered if is_prompt else unsure)[call.lane] += 1
    return answered, unsure


def _orphaned(history: History, calls: pl.LazyFrame, lost: LostPods) -> Counter[LaneKey]:
    only_served = calls.filter(pl.col("scheduled_ns").is_null(), pl.col("served_ns") >= lost.sure_until_ns)
    known = history.calls.filter(pl.col("scheduled_ns").is_not_null()).select("id")
    unclaimed = only_served.join(known, on="id", how="anti").with_columns(pl.col("connection").fill_null("unknown"))
    found = unclaimed.select(*LANE, "id", "served_ns").unique("id").collect()
    orphaned = Counter[LaneKey]()
    for source, target, connection, call_id, served_ns in found.iter_rows():
        pod = _caller_in(call_id, source, lost)
        orphaned[source, target, connection] += bool(pod) and served_ns < min(lost.boots[pod], default=_UNTIL_NOW)
    return orphaned


def _caller_in(call_id: str, source: str, lost: LostPods) -> str:
    """Return the lost pod that an id names as its caller, "" for none: canary.source.target.rest-of-pod.number."""
    words = call_id.split(".")
    pod = f"{source}-{words[3]}" if len(words) > 3 else ""  # noqa: PLR2004 - the place of the pod in an id
    return pod if pod in lost.pods else ""
