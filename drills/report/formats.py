"""The formats of numbers, durations and instants, the same in every page."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from drills.judge.records import NS_PER_S

LINKED: Final = ("https://", "http://")
"""Only such an address may become a link, never a script."""

_MS_PER_S = 1000

# These come first; all others follow in alphabetical order.
_FIRST: Final = (
    *("calls", "made", "ok", "failed", "refused", "cannot_know", "in_flight_bound", "served", "lost", "contradicted"),
    *("doubled", "success_rate", "calls_per_s"),
    *("largest_gap_ms", "longest_outage_ms", "longest_outage_at_s", "ok_on_reused", "reconnected"),
    *("readable", "possibly_readable", "looks", "fired", "later_than_s", "latest_s", "time_to_signal_s"),
)


def number(value: object) -> str:
    """Return a value as text: floats with six digits, booleans as yes or no, None as "-"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return params(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def params(values: dict[str, object]) -> str:
    """Return names with their values in one line, in the order of `in_order`."""
    return ", ".join(f"{name} {number(values[name])}" for name in in_order(values))


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of numbers, the important ones first."""
    return sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))


def ms(value: float | None) -> str:
    """Return milliseconds, or "none"."""
    return "none" if value is None else f"{number(value)} ms"


def duration(value_s: float) -> str:
    """Return a duration with three digits, in the unit that reads best: 0 s, 166 ms, 1.49 s, 35.9 s, 5 min 20 s."""
    if not value_s:
        return "0 s"
    if value_s < 1:
        return f"{value_s * _MS_PER_S:.3g} ms"
    if value_s < 100:  # noqa: PLR2004 - from here on three digits have no fraction
        return f"{value_s:.3g} s"
    minutes, seconds = divmod(round(value_s), 60)
    return f"{minutes} min {seconds} s"


def offset(value_s: float) -> str:
    """Return an instant relative to another, with its sign: -10.09 s, +1.49 s."""
    return f"{value_s:+.2f} s".replace("-", "\u2212")


def utc(at_ns: int) -> str:
    """Return an instant as date and time, UTC, to the second."""
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
