"""Calls that another service than their target served: the address of a pod that ended may belong to another pod.

Such a call failed, whatever its caller was answered. What served it says nothing of its target.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_

import polars as pl

from drills.judge.events import Event, PodListed, ServerEnd
from drills.judge.records import CALLS_SCHEMA, OK, WRONG_SERVICE, RunFacts

SERVER_COLUMNS = ("served_ns", "served_pod", "served_version", "served_status", "peer")

Crossing = tuple[str, str]
"""A target, and a pod of another service that served or answered calls to it."""


def services_of(events: tuple[Event, ...], facts: RunFacts) -> dict[str, str]:
    """Return the service of each pod whose service the record names."""
    named = {caller.pod: caller.source for caller in facts.callers}
    named |= {event.subject: event.detail.service for event in events if isinstance(event, PodListed)}
    named |= {event.subject: event.detail.service for event in events if isinstance(event, ServerEnd)}
    return {pod: service for pod, service in named.items() if service}


def crossings_of(calls: pl.LazyFrame, services: Mapping[str, str]) -> tuple[Crossing, ...]:
    """Return the crossings of a table in a stable order. A pod of unknown service crosses nothing."""
    pairs = (calls.select("target", pod=column).unique() for column in ("served_pod", "server_pod"))
    seen = {row for frame in pl.collect_all(pairs, engine="streaming") for row in frame.iter_rows()}
    return tuple(sorted((target, pod) for target, pod in seen if services.get(pod, target) != target))


def marked(calls: pl.LazyFrame, crossings: tuple[Crossing, ...]) -> pl.LazyFrame:
    """Return the calls; those that crossed have failed with WRONG_SERVICE, and their target did not serve them."""
    if not crossings:
        return calls
    is_crossed = crossed(crossings)
    is_success = is_crossed & (pl.col("outcome") == OK).fill_null(value=False)
    failed = {"outcome": "fail", "error": WRONG_SERVICE}
    return calls.with_columns(
        *(
            pl.when(is_success).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
            for name, value in failed.items()
        ),
        *(pl.when(~is_crossed).then(pl.col(name)).cast(CALLS_SCHEMA[name]).alias(name) for name in SERVER_COLUMNS),
    )


def crossed(crossings: tuple[Crossing, ...]) -> pl.Expr:
    """Select the rows of these crossings."""
    pod = pl.coalesce("served_pod", "server_pod")
    return reduce(or_, ((pl.col("target") == target) & (pod == name) for target, name in crossings)).fill_null(
        value=False
    )
