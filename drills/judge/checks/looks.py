"""Looks at workloads: what each saw, and the measurement of many of them."""

from collections.abc import Callable, Sequence

from drills.judge.events import Event
from drills.judge.measure import MAX_EXAMPLES, Example, Measurement, Number, Row, Truth

MAX_NAMES = 3

Look = tuple[Event, bool | None, str]
"""One look at one workload: whether it was as it should be (None: not known), and what was seen."""


def measured(subject: str, looks: Sequence[Look], doubt: str) -> Measurement:
    """Return whether every look saw what it should. doubt: why the looks are too few, "" when they are enough."""
    bad, blind = where(looks, lambda well: well is False), where(looks, lambda well: well is None)
    if bad:
        truth, reason = Truth.FALSE, described(bad)
    elif blind:
        truth, reason = Truth.UNKNOWN, described(blind)
    elif doubt or not looks:
        truth, reason = Truth.UNKNOWN, doubt or "never read"
    else:
        truth, reason = Truth.TRUE, ""
    numbers: dict[str, Number] = {"looks": len(looks), "amiss": len(bad), "not_found_out": len(blind)}
    return Measurement(
        truth=truth,
        reason=f"{subject}: {reason}" if reason else "",
        rows=(Row(subject, "", truth, numbers, reason),),
        examples=tuple(Example(event.subject, event.at_ns, seen) for event, _, seen in bad[:MAX_EXAMPLES]),
        at_ns=bad[0][0].at_ns if bad else None,
        since_ns=_all_seen_ns(looks),
        is_proof=bool(bad),
    )


def _all_seen_ns(looks: Sequence[Look]) -> int | None:
    """Return when every workload had been seen at least once; None without a look."""
    first: dict[str, int] = {}
    for event, _, _ in looks:
        first.setdefault(event.subject, event.at_ns)
    return max(first.values(), default=None)


def where(looks: Sequence[Look], wanted: Callable[[bool | None], bool]) -> list[Look]:
    """Return the looks with a wanted answer."""
    return [look for look in looks if wanted(look[1])]


def described(looks: Sequence[Look]) -> str:
    """Return up to MAX_NAMES looks in words."""
    return names([f"{event.subject} {seen}" for event, _, seen in looks])


def names(given: Sequence[str]) -> str:
    """Return up to MAX_NAMES names, and how many more there are."""
    more = f" and {len(given) - MAX_NAMES} more" if len(given) > MAX_NAMES else ""
    return ", ".join(given[:MAX_NAMES]) + more
