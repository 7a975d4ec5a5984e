"""The fate of pods created during the run: in the mesh, outside it, dark, never started, or refused."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import polars as pl

from drills.judge.checks.proofs import Conclusion, Proof, evidence
from drills.judge.events import NewPod
from drills.judge.history import History
from drills.judge.measure import (
    MAX_EXAMPLES,
    Example,
    Harm,
    Invariant,
    Measurement,
    Need,
    Number,
    Occurrence,
    Row,
    Truth,
)
from drills.judge.records import PLACES, Window

MESHED = "meshed"
UNMESHED = "outside the mesh"
REFUSED = "refused"
STUCK = "never started"
UNKNOWN = "admitted, membership not found out"
FAILED = "could not be asked"
DARK = "started, and no call succeeded"
UNSHOWN = "started, and no call shows it in the mesh"
UNPROVEN = "started, and its calls do not tell whether it joined"

DARK_CALLS = 5
"""So many calls of a new pod, and none that succeeded, prove it dark: the lab gives it calls that may succeed."""

_NEEDS = frozenset({Need.NEW_PODS})


def outside_mesh(on: str | None = None) -> Occurrence:
    """A new pod was admitted outside the mesh. An API that could not be reached is no evidence.

    on: VICTIM or BYSTANDER, to count only pods made for that node. A pod that never started is not outside the mesh,
    if it is known to be in the mesh or Kubernetes says what kept it from starting.
    """
    says = f"a new pod{_there(on)} is admitted outside the mesh"
    return Occurrence("outside_mesh", says, partial(_any_outside, on), _params(on), needs=_NEEDS)


def new_pod_tried(on: str | None = None) -> Occurrence:
    """The API admitted or refused at least one new pod (on: as for outside_mesh)."""
    return Occurrence(
        "new_pod_tried", f"a new pod{_there(on)} is tried", partial(_tried, on), _params(on), needs=_NEEDS
    )


def new_pod_meshed(on: str | None = None, *, by_call: bool = False) -> Invariant:
    """Every new pod that the API answered is admitted into the mesh and, where the probe waits for it, starts.

    on: as for outside_mesh. by_call: also, a call that succeeded, of the pod or to it, shows it in the mesh: its server
    saw the mesh identity of the source, or, where the mesh shows servers none, refused every caller from outside and,
    if the mesh encrypts, the call was not readable on the wire. A started pod of which no call succeeded is dark: it
    did not join. UNKNOWN for a pod that made fewer than DARK_CALLS calls and had no success.
    """
    says = f"every new pod{_there(on)} joins the mesh"
    if not by_call:
        return Invariant("new_pod_meshed", says, partial(_all_meshed, on, by_call), _params(on), needs=_NEEDS)
    says, params = f"{says}, and its calls show it", {**_params(on), "by_call": True}
    needs = _NEEDS | {Need.WIRE, Need.OUTSIDERS}
    return Invariant("new_pod_meshed", says, partial(_all_meshed, on, by_call), params, needs=needs)


def drift_found() -> Invariant:
    """Every new pod that was admitted outside the mesh is found there by name, by a scan of all pods."""
    return Invariant("drift_found", "every new pod outside the mesh is found by name", _drift_found, needs=_NEEDS)


def _there(on: str | None) -> str:
    if on not in (None, *PLACES):
        raise ValueError(f"on is {on!r}, expected {' or '.join(PLACES)}, or None for every new pod")
    return "" if on is None else f" on the {on}"


def _params(on: str | None) -> dict[str, Number]:
    return {} if on is None else {"on": on}


def fate_of(pod: NewPod) -> str:
    """Return the fate of one new pod, one of the constants above."""
    match pod.detail.outcome, pod.detail.meshed:
        case "refused", _:
            return REFUSED
        case "failed", _:
            return FAILED
        case "admitted", False:
            return UNMESHED
        case _ if pod.detail.started is False:
            return STUCK
        case "admitted", True:
            return MESHED
        case _:
            return UNKNOWN


def _may_be_outside(pod: NewPod, fate: str) -> bool:
    """Whether the pod may run outside the mesh: a pod that is not ready may run all the same."""
    return fate == UNKNOWN or (fate == STUCK and pod.detail.meshed is None and not pod.blocked)


def _pods(history: History, window: Window, on: str | None) -> tuple[tuple[NewPod, str], ...]:
    """Return the new pods with their fates; with `on`, those that were made for that node and ran on no other."""
    pods = history.events_in(window, NewPod)
    if on is not None:
        node = history.facts.placed.get(on, "")
        pods = tuple(it for it in pods if node and it.detail.placed == on and it.detail.node in {"", node})
    return tuple((pod, fate_of(pod)) for pod in pods)


def _measured(
    truth: Truth,
    reason: str,
    pods: tuple[tuple[NewPod, str], ...],
    harms: frozenset[str],
    history: History,
    said: Mapping[str, str] | None = None,
) -> Measurement:
    """Return the measurement. said: pod to what its calls prove, in words."""
    counts: dict[str, Number] = dict(sorted(Counter(fate for _, fate in pods).items()))
    shown = tuple((pod, fate) for pod, fate in pods if fate in harms)
    return Measurement(
        truth=truth,
        reason=reason,
        rows=(Row("new pods", "", truth, counts, reason),),
        examples=tuple(
            Example(
                pod.subject,
                pod.answered_ns,
                fate,
                pod.blocked or pod.detail.message or (said or {}).get(pod.subject, ""),
            )
            for pod, fate in shown[:MAX_EXAMPLES]
        ),
        at_ns=min((pod.answered_ns for pod, _ in shown), default=None),
        harms=tuple(_harm(pod, history) for pod, _ in shown),
        is_proof=any(fate == UNMESHED for _, fate in shown),
    )


def _harm(pod: NewPod, history: History) -> Harm:
    node = pod.detail.node or history.facts.placed.get(pod.detail.placed, "")
    return Harm(pod.subject, pod.answered_ns, pod.answered_ns, (node,) if node else ())


def _any_outside(on: str | None, history: History, window: Window) -> Measurement:
    pods = _pods(history, window, on)
    fates = [fate for _, fate in pods]
    answered = len(fates) - fates.count(FAILED)
    if UNMESHED in fates:
        truth = Truth.TRUE
    elif not answered or any(_may_be_outside(*pod) for pod in pods):
        truth = Truth.UNKNOWN
    else:
        truth = Truth.FALSE
    reason = f"{fates.count(UNMESHED)} of {len(fates)} new pods {UNMESHED}, {answered} were answered"
    return _measured(truth, reason, pods, frozenset({UNMESHED}), history)


def _tried(on: str | None, history: History, window: Window) -> Measurement:
    pods = _pods(history, window, on)
    answered = sum(fate != FAILED for _, fate in pods)
    truth = Truth.TRUE if answered else Truth.FALSE
    return _measured(truth, f"the API answered for {answered} of {len(pods)} new pods", pods, frozenset(), history)


def _all_meshed(on: str | None, by_call: bool, history: History, window: Window) -> Measurement:
    pods = _pods(history, window, on)
    if by_call:
        pods = tuple((pod, _fate_by_call(history, pod, fate)) for pod, fate in pods)
    fates = {fate for _, fate in pods}
    harms = frozenset({REFUSED, UNMESHED, STUCK, DARK, UNSHOWN})
    if fates & harms:
        truth = Truth.FALSE
    elif fates & {UNKNOWN, UNPROVEN} or MESHED not in fates:
        truth = Truth.UNKNOWN
    else:
        truth = Truth.TRUE
    joined = sum(fate == MESHED for _, fate in pods)
    said = {pod.subject: proof_of(history, pod).reason for pod, fate in pods if fate in {DARK, UNSHOWN}}
    measured = _measured(truth, f"{joined} of {len(pods)} new pods joined the mesh", pods, harms, history, said)
    since_ns = min((pod.answered_ns for pod, fate in pods if fate == MESHED), default=None)
    return msgspec.structs.replace(measured, since_ns=since_ns)


def _fate_by_call(history: History, pod: NewPod, fate: str) -> str:
    """Return the fate of a pod after its calls were asked: only a started pod makes any."""
    if fate not in {MESHED, UNKNOWN}:
        return fate
    conclusion = proof_of(history, pod).conclusion
    if conclusion is Conclusion.SHOWN:
        return fate
    return {Conclusion.DARK: DARK, Conclusion.UNSHOWN: UNSHOWN}.get(conclusion, UNPROVEN)


def proof_of(history: History, pod: NewPod) -> Proof:
    """Return what the calls of a new pod prove, over its whole life."""
    return history.once(("proof of a new pod", pod.subject), lambda: _proof_of(history, pod))


def _proof_of(history: History, pod: NewPod) -> Proof:
    calls = life_of(history, pod)
    if calls is None:
        return Proof(pod.subject, Conclusion.FEW, 0, 0, "it made and served no call")
    edges = sorted({(source, target) for source, target in calls.rows.select("source", "target").iter_rows()})
    made = calls.rows.filter(pl.col("pod") == pod.subject)
    proof = evidence(history, calls.window, edges=edges).proof(pod.subject, asked=made.height, enough=DARK_CALLS)
    if proof.ok:
        return proof
    errors = made.group_by("error").agg(pl.len()).sort("error").iter_rows()
    return replace(proof, reason=f"{proof.reason}: {', '.join(f'{error} {count}' for error, count in errors)}")


@dataclass(frozen=True)
class Life:
    """The calls that a new pod made or served, and the window from its request to the last of them."""

    rows: pl.DataFrame
    window: Window


def life_of(history: History, pod: NewPod) -> Life | None:
    """Return the life of a new pod; None when the record has no call of it."""
    every = history.once("calls of new pods", lambda: _calls_of_new_pods(history))
    rows = every.filter((pl.col("pod") == pod.subject) | (pl.col("server") == pod.subject))
    if rows.is_empty():
        return None
    last_ns = int(rows.select(pl.max_horizontal("scheduled_ns", "served_ns").max()).item())
    return Life(rows, Window("life of a new pod", pod.at_ns, last_ns + 1))


def _calls_of_new_pods(history: History) -> pl.DataFrame:
    names = sorted({pod.subject for pod in history.of_kind(NewPod)})
    server = pl.coalesce("served_pod", "server_pod")
    is_theirs = (pl.col("pod").is_in(names) | server.is_in(names)).fill_null(value=False)
    return history.calls.filter(is_theirs).with_columns(server=server).collect(engine="streaming")


def _drift_found(history: History, window: Window) -> Measurement:
    outside = tuple((pod, fate) for pod, fate in _pods(history, window, None) if fate == UNMESHED)
    looks = [pod.is_found for pod, _ in outside]
    if False in looks:
        truth = Truth.FALSE
    elif None in looks or not looks:
        truth = Truth.UNKNOWN
    else:
        truth = Truth.TRUE
    reason = f"{looks.count(True)} of {len(looks)} new pods outside the mesh were found by name"
    return _measured(truth, reason, tuple(it for it in outside if not it[0].is_found), frozenset({UNMESHED}), history)
