"""What became of pods that were created during the run: with the mesh, without it, or refused."""

from collections import Counter
from functools import partial

from drills.judge.history import History
from drills.judge.measure import MAX_EXAMPLES, Example, Invariant, Measurement, Number, Occurrence, Row, Truth
from drills.judge.records import Event, Window

MESHED = "meshed"
UNMESHED = "outside the mesh"
REFUSED = "refused"
STUCK = "never started"
UNKNOWN = "admitted, membership not found out"
FAILED = "could not be asked"


def outside_mesh() -> Occurrence:
    """A new pod was admitted without the mesh. An API that could not be asked is no evidence."""
    return Occurrence("outside_mesh", "a new pod is admitted outside the mesh", partial(_happened, UNMESHED))


def new_pod_refused() -> Occurrence:
    """A new pod was refused by the API; the message is kept as an example."""
    return Occurrence("new_pod_refused", "a new pod is refused", partial(_happened, REFUSED))


def new_pod_tried() -> Occurrence:
    """The API answered, one way or the other, to at least one new pod."""
    return Occurrence("new_pod_tried", "a new pod is tried", _tried)


def new_pod_meshed() -> Invariant:
    """Every new pod that the API answered is admitted with the mesh and, where somebody waited for it, starts."""
    return Invariant("new_pod_meshed", "every new pod joins the mesh", _all_meshed)


def _fate(event: Event) -> str:
    meshed = event.flag("meshed")
    match event.text("outcome"), meshed:
        case "refused", _:
            return REFUSED
        case "admitted", False:
            return UNMESHED
        case "admitted", True:
            return STUCK if event.flag("started") is False else MESHED
        case "admitted", None:
            return UNKNOWN
        case _:
            return FAILED


def _pods(history: History, window: Window) -> tuple[tuple[Event, str], ...]:
    return tuple((event, _fate(event)) for event in history.events_in(window, "newpod"))


def _measured(truth: Truth, reason: str, pods: tuple[tuple[Event, str], ...], harms: frozenset[str]) -> Measurement:
    counts: dict[str, Number] = dict(sorted(Counter(fate for _, fate in pods).items()))
    shown = tuple((event, fate) for event, fate in pods if fate in harms)
    return Measurement(
        truth=truth,
        reason=reason,
        rows=(Row("new pods", "", truth, counts, reason),),
        examples=tuple(Example(e.subject, e.answered_ns, fate, e.text("message")) for e, fate in shown[:MAX_EXAMPLES]),
        at_ns=min((e.answered_ns for e, _ in shown), default=None),
        is_proof=any(fate == UNMESHED for _, fate in shown),
    )


def _happened(harm: str, history: History, window: Window) -> Measurement:
    pods = _pods(history, window)
    fates = [fate for _, fate in pods]
    answered = len(fates) - fates.count(FAILED)
    if harm in fates:
        truth = Truth.TRUE
    elif not answered or (harm == UNMESHED and UNKNOWN in fates):
        truth = Truth.UNKNOWN
    else:
        truth = Truth.FALSE
    reason = f"{fates.count(harm)} of {len(fates)} new pods {harm}, {answered} were answered"
    return _measured(truth, reason, pods, frozenset({harm}))


def _tried(history: History, window: Window) -> Measurement:
    pods = _pods(history, window)
    answered = sum(fate != FAILED for _, fate in pods)
    truth = Truth.TRUE if answered else Truth.FALSE
    return _measured(truth, f"the API answered for {answered} of {len(pods)} new pods", pods, frozenset())


def _all_meshed(history: History, window: Window) -> Measurement:
    pods = _pods(history, window)
    fates = {fate for _, fate in pods}
    harms = frozenset({REFUSED, UNMESHED, STUCK})
    if fates & harms:
        truth = Truth.FALSE
    elif UNKNOWN in fates or MESHED not in fates:
        truth = Truth.UNKNOWN
    else:
        truth = Truth.TRUE
    joined = sum(fate == MESHED for _, fate in pods)
    return _measured(truth, f"{joined} of {len(pods)} new pods joined the mesh", pods, harms)
