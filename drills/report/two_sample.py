"""How far one set of numbers lies from another, and how much of that chance could be: no assumption of a distribution.

The interval is that of Hodges and Lehmann, from the exact distribution of the Mann-Whitney statistic. Each of its ends
is wrong with a probability of at most CHANCE. With few numbers no such end exists: 1 and 1, or 2 and 3, can tell
nothing; 3 and 3, or 1 and 19, can.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Final

CHANCE: Final = 0.05
MOST: Final = 60
"""Of more numbers on a side the first so many are used: the interval is narrow enough by then."""


@dataclass(frozen=True)
class Difference:
    """New minus old: the middle of all differences, and its interval; None where the numbers are too few for one."""

    estimate: float
    low: float | None
    high: float | None
    old: tuple[float, ...]
    new: tuple[float, ...]


def difference(old: Sequence[float], new: Sequence[float]) -> Difference:
    """Return how far the new numbers lie from the old ones. Both must have at least one."""
    before, after = tuple(old[:MOST]), tuple(new[:MOST])
    differences = sorted(late - early for late in after for early in before)
    rank = _rank(len(before), len(after))
    low, high = (differences[rank - 1], differences[-rank]) if rank else (None, None)
    return Difference(median(differences), low, high, before, after)


def all_in_one_part(marked: int, of: int, part: int) -> float:
    """Return the probability that every member of a part of that size is marked, when chance placed the marks."""
    return comb(marked, part) / comb(of, part)


def _rank(old: int, new: int) -> int:
    """Return which smallest difference is the lower end, counted from 1; 0 when even the smallest claims too much."""
    counts = _orders(old, new)
    allowed, rank, seen = CHANCE * sum(counts), 0, 0
    for count in counts:
        seen += count
        if seen > allowed:
            break
        rank += 1
    return rank


def _orders(old: int, new: int) -> list[int]:
    """Return in how many orders of all numbers exactly u new ones lie before old ones, for u from 0.

    These are the coefficients of the Gaussian binomial: a product of (1 - q**(new + i)) / (1 - q**i).
    """
    top = old * new
    counts = [1] + [0] * top
    for i in range(1, old + 1):
        for u in range(top, new + i - 1, -1):
            counts[u] -= counts[u - new - i]
        for u in range(i, top + 1):
            counts[u] += counts[u - i]
    return counts
