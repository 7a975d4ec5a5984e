"""Episodes of lost calls: an alert must cover each by itself, so that one alert excuses no other outage."""

from collections.abc import Collection
from typing import Any, Final

import polars as pl

from drills.judge.checks.lanes import SUCCEEDED
from drills.judge.cohorts import subject_of
from drills.judge.history import History
from drills.judge.keys import CALLER, LaneKey
from drills.judge.measure import Harm
from drills.judge.records import NEW, NS_PER_S, Window

APART_S: Final = 5.0
"""A caller whose calls succeed for this long begins a new episode with its next failure."""

TOTAL_CALLS: Final = 5
"""So many failures in a row, with no success between, are a total loss."""


def lost_calls(history: History, window: Window, lanes: Collection[LaneKey]) -> tuple[Harm, ...]:
    """Return the episodes of each caller on these lanes, by their start.

    The lab runs each service on two nodes. So where every new connection of a caller fails, the cause lies on its own
    node or beyond any node. Where some succeed, or where all calls share one connection to one pod, it may also lie on
    the node of the called pod: then `nodes` is empty.
    """
    if not lanes:
        return ()
    asked = pl.DataFrame(sorted(lanes), schema=CALLER[:3], orient="row").lazy()
    calls = history.due_in(window).join(asked, on=CALLER[:3], how="semi")
    seen = calls.select(*CALLER, "node", "scheduled_ns", ok=SUCCEEDED).sort(*CALLER, "scheduled_ns")
    since_ns = pl.col("scheduled_ns").diff().over(CALLER)
    bad = seen.filter(~pl.col("ok")).with_columns(
        episode=(since_ns.fill_null(0) > round(APART_S * NS_PER_S)).cum_sum().over(CALLER)
    )
    grouped = bad.group_by(*CALLER, "node", "episode").agg(
        start=pl.col("scheduled_ns").min(), end=pl.col("scheduled_ns").max(), lost=pl.len()
    )
    within = pl.col("scheduled_ns").is_between(pl.col("start"), pl.col("end"))
    good = seen.filter("ok").select(*CALLER, "scheduled_ns")
    survived = grouped.join(good, on=CALLER).filter(within).select(*CALLER, "episode", survives=True).unique()
    found = grouped.join(survived, on=(*CALLER, "episode"), how="left").sort("start", *CALLER).collect()
    return tuple(
        Harm(
            subject=f"{subject_of(it['source'], it['target'], is_new=False)} {it['connection']} of {it['pod']}",
            start_ns=it["start"],
            end_ns=it["end"],
            nodes=(it["node"],) if _is_total(it) else (),
        )
        for it in found.iter_rows(named=True)
    )


def _is_total(episode: dict[str, Any]) -> bool:
    is_known = episode["connection"] == NEW and episode["node"]
    return bool(is_known and episode["lost"] >= TOTAL_CALLS and not episode["survives"])
