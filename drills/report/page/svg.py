"""SVG path data of the timeline. The unit of width is one bin; the height is always HEIGHT."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from drills.report.page.bins import Bin

HEIGHT: Final = 100
_AS_CLAIMED = 30  # height of the bar of calls with the required outcome, from below
_ALARM_AT_LEAST = 34  # one call in a thousand must be visible
_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_MOST_TICKS = 8


def line(heights: Sequence[float | None]) -> str:
    """Return a stepped line through heights from 0 to 1, with a gap where the height is None."""
    parts, x, goes_on = [], 0, False
    for y, run in groupby(None if height is None else _y(height) for height in heights):
        after = x + len(list(run))
        if y is not None:
            parts.append(f"{f'V{y}' if goes_on else f'M{x} {y}'}H{after}")
        goes_on, x = y is not None, after
    return "".join(parts)


def as_claimed(bins: Sequence[Bin | None]) -> str:
    """Return low bars for bins in which some calls had the required outcome."""
    return _bars([0 if it is None or it.off + it.unknown == it.calls else _AS_CLAIMED for it in bins], from_top=False)


def alarm(bins: Sequence[Bin | None]) -> str:
    """Return bars from above for calls that contradict the claim; the height grows with their share."""
    return _bars([_alarm(it.off, it.calls) if it else 0 for it in bins], from_top=True)


def doubt(bins: Sequence[Bin | None]) -> str:
    """Return bars from above for bins with calls of unknown outcome and none that certainly failed."""
    return _bars([_alarm(it.unknown, it.calls) if it and not it.off else 0 for it in bins], from_top=True)


def counts(values: Sequence[int]) -> str:
    """Return bars from below, the largest of full height."""
    largest = max(values, default=0)
    return _bars([round(HEIGHT * value / largest) if value else 0 for value in values], from_top=False)


def decades(values: Iterable[float]) -> tuple[int, int]:
    """Return the powers of ten below and above all values, for a scale on which each decade has the same height."""
    positive = [value for value in values if value > 0]
    if not positive:
        return 0, 1
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return low, max(high, low + 1)


def on_scale(value: float, scale: tuple[int, int]) -> float:
    """Return the height from 0 to 1 of a value on a scale of decades."""
    low, high = scale
    return (math.log10(value) - low) / (high - low) if value > 0 else 0.0


def ticks_s(first_s: float, last_s: float) -> list[int]:
    """Return round instants from first to last, at most _MOST_TICKS, 0 among them when it lies between."""
    step = next((it for it in _STEPS_S if (last_s - first_s) / it < _MOST_TICKS), None)
    step = step or math.ceil((last_s - first_s) / _MOST_TICKS)
    return [number * step for number in range(math.ceil(first_s / step), math.floor(last_s / step) + 1)]


def spread(places: Sequence[float], apart: float) -> list[int]:
    """Return for each place (ascending) the lowest row in which it stays apart from its neighbour to the left."""
    rightmost: list[float] = []
    rows: list[int] = []
    for place in places:
        row = next((it for it, last in enumerate(rightmost) if place - last >= apart), len(rightmost))
        rightmost[row : row + 1] = [place]
        rows.append(row)
    return rows


def _alarm(part: int, calls: int) -> int:
    return round(_ALARM_AT_LEAST + (HEIGHT - _ALARM_AT_LEAST) * part / calls) if part else 0


def _bars(heights: Sequence[int], *, from_top: bool) -> str:
    """Return one rectangle for each run of equal heights."""
    parts, x = [], 0
    for height, run in groupby(heights):
        width = len(list(run))
        if height:
            parts.append(f"M{x} {0 if from_top else HEIGHT - height}h{width}v{height}h-{width}z")
        x += width
    return "".join(parts)


def _y(height: float) -> str:
    return f"{HEIGHT * (1 - height):.1f}".removesuffix(".0")
