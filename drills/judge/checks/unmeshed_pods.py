"""New pods that were admitted outside the mesh: what they reach, and in what form the mesh reaches them."""

import msgspec
import polars as pl

from drills.judge.checks.liveness import ANSWERS
from drills.judge.checks.new_pods import UNMESHED, fate_of, life_of
from drills.judge.checks.security import SERVED
from drills.judge.checks.tally import all_true, any_true, deciding_reason, examples_of
from drills.judge.checks.wire import plaintext_tried
from drills.judge.events import NewPod
from drills.judge.history import History
from drills.judge.measure import Edge, Invariant, Measurement, Need, Number, Occurrence, Row, Truth
from drills.judge.records import Window

_NEEDS = frozenset({Need.NEW_PODS})


def unmeshed_pods_refused(min_samples: int = 10) -> Invariant:
    """No call succeeds that a new pod outside the mesh makes to a service of the lab, and no server serves one.

    A refusal counts only when the call could have succeeded: the target served another caller while the pod lived, and
    the pod got an answer to a call at all. UNKNOWN without such a pod, or with fewer than min_samples calls of one.
    """
    says = "every call of a new pod outside the mesh is refused"

    def evaluate(history: History, window: Window) -> Measurement:
        rows = tuple(_refused_row(history, pod, min_samples) for pod in _unmeshed(history, window))
        truth = all_true([row.truth for row in rows]) if rows else Truth.UNKNOWN
        reason = deciding_reason(rows, truth) if rows else "no new pod was admitted outside the mesh"
        served = history.calls.filter(pl.col("pod").is_in([it.subject for it in _unmeshed(history, window)]), SERVED)
        examples = examples_of(served) if truth is Truth.FALSE else ()
        at_ns = examples[0].at_ns if examples else None
        return Measurement(truth, reason, rows, examples, at_ns=at_ns, is_proof=truth is Truth.FALSE)

    return Invariant("unmeshed_pods_refused", says, evaluate, {"min_samples": min_samples}, needs=_NEEDS)


def plaintext_to_unmeshed_pods(min_samples: int = 10) -> Occurrence:
    """A call from a pod in the mesh to a new pod outside of it was readable on the wire.

    FALSE only when pods of the mesh made min_samples calls to the services of such a pod while it lived, and the
    observers of the wire could see. UNKNOWN without such a pod.
    """
    says = "a call from the mesh to a new pod outside of it is readable on the wire"

    def evaluate(history: History, window: Window) -> Measurement:
        edges = _edges_to_new_pods(history)
        found = {
            pod.subject: plaintext_tried(*edges, min_samples=min_samples).evaluate(history, life.window)
            for pod in _unmeshed(history, window)
            if edges and (life := life_of(history, pod)) is not None
        }
        if not found:
            return Measurement(Truth.UNKNOWN, "no new pod outside the mesh was called")
        truth = any_true([it.truth for it in found.values()])
        deciding = next(it for it in found.values() if it.truth is truth)
        rows = tuple(
            msgspec.structs.replace(row, subject=f"{row.subject}, {pod}")
            for pod, it in found.items()
            for row in it.rows
        )
        return Measurement(
            truth, deciding.reason, rows, deciding.examples, at_ns=deciding.at_ns, is_proof=truth is Truth.TRUE
        )

    needs = _NEEDS | {Need.WIRE}
    return Occurrence("plaintext_to_unmeshed_pods", says, evaluate, {"min_samples": min_samples}, needs=needs)


def _unmeshed(history: History, window: Window) -> tuple[NewPod, ...]:
    return tuple(pod for pod in history.events_in(window, NewPod) if fate_of(pod) == UNMESHED)


def _edges_to_new_pods(history: History) -> tuple[Edge, ...]:
    """Return the edges from services in the mesh on which a new pod served a call in this run."""
    names = [pod.subject for pod in history.of_kind(NewPod)]
    served = history.calls.filter(
        pl.coalesce("served_pod", "server_pod").is_in(names), ~pl.col("source").is_in(history.facts.unmeshed)
    )
    return tuple(sorted(served.select("source", "target").unique().collect().iter_rows()))


def _refused_row(history: History, pod: NewPod, min_samples: int) -> Row:
    life = life_of(history, pod)
    if life is None:
        return Row(pod.subject, "", Truth.UNKNOWN, {"calls": 0}, f"0 calls, needs {min_samples}")
    own = life.rows.filter(pl.col("pod") == pod.subject)
    served = own.filter(SERVED).height
    numbers: dict[str, Number] = {"calls": own.height, "served": served, **_reached(history, pod, life.rows)}
    if served:
        truth, reason = Truth.FALSE, f"{served} of its {own.height} calls were served"
    elif own.height < min_samples:
        truth, reason = Truth.UNKNOWN, f"{own.height} calls, needs {min_samples}"
    else:
        reason = _doubt(history, life.window, own)
        truth = Truth.UNKNOWN if reason else Truth.TRUE
    return Row(pod.subject, "", truth, numbers, reason)


def _doubt(history: History, window: Window, own: pl.DataFrame) -> str:
    """Return why the refused calls might have failed for another reason, "" when they could have succeeded."""
    errors = own["error"].fill_null("")
    if not (errors.is_in(sorted(ANSWERS)) | errors.str.starts_with("http-")).any():
        return "it got no answer from anywhere: it may have been cut off"
    others = history.calls_in(window).filter(
        pl.col("served_ns").is_not_null(), (pl.col("pod") != pl.lit(own["pod"][0])).fill_null(value=True)
    )
    live = set(others.select("target").unique().collect()["target"])
    down = sorted(set(own["target"]) - live)
    return f"{', '.join(down)} served no other caller: it may have been down, not protected" if down else ""


def _reached(history: History, pod: NewPod, rows: pl.DataFrame) -> dict[str, Number]:
    """Return how many calls the pod served, by where they came from."""
    served = rows.filter(pl.col("server") == pod.subject, SERVED)
    is_outside = pl.col("source").is_in(history.facts.unmeshed)
    return {
        "served_to_the_mesh": served.filter(~is_outside).height,
        "served_to_outsiders": served.filter(is_outside).height,
    }
