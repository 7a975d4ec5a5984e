"""The difference between two samples: the Hodges-Lehmann estimate with an exact interval (Mann-Whitney).

It assumes no distribution. Each end of the interval is wrong with a probability of at most CHANCE. Small samples have
no such interval: 1 and 1, or 2 and 3; the smallest that have one are 3 and 3, or 1 and 19.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Final

CHANCE: Final = 0.05
MOST: Final = 60
"""At most this many numbers of a sample are used: the interval is narrow enough by then."""


@dataclass(frozen=True)
class Difference:
    """New minus old: the median of all pairwise differences, and its interval (None if the samples are too small)."""

    estimate: float
    low: float | None
    high: float | None
    old: tuple[float, ...]
    new: tuple[float, ...]


def difference(old: Sequence[float], new: Sequence[float]) -> Difference:
    """Return the difference between two samples, each of at least one number."""
    before, after = tuple(old[:MOST]), tuple(new[:MOST])
    differences = sorted(late - early for late in after for early in before)
    rank = _rank(len(before), len(after))
    low, high = (differences[rank - 1], differences[-rank]) if rank else (None, None)
    return Difference(median(differences), low, high, before, after)


def all_in_one_part(marked: int, of: int, part: int) -> float:
    """Return the probability that a random part of that size contains only marked members."""
    return comb(marked, part) / comb(of, part)


def _rank(old: int, new: int) -> int:
    """Return the rank of the difference that is the lower end, counted from 1; 0 if the samples are too small."""
    counts = _orders(old, new)
    allowed, rank, seen = CHANCE * sum(counts), 0, 0
    for count in counts:
        seen += count
        if seen > allowed:
            break
        rank += 1
    return rank


def _orders(old: int, new: int) -> list[int]:
    """Return, for each u from 0, the number of orders of all numbers with exactly u inversions (new before old).

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
