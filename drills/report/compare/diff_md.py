"""The comparison of runs as Markdown, short enough for a comment on a pull request."""

from collections.abc import Iterable, Iterator

from drills.report.compare.numbers import LEAST_MS, LEAST_S, MARGIN, Number, Weight
from drills.report.compare.runs import Asked, Change, Comparison, Flaky, describe
from drills.report.compare.two_sample import CHANCE
from drills.report.markdown import Markdown, cell, link, table

_LOUD = (
    Change.WORSE,
    Change.DROPPED,
    Change.GONE,
    Change.LOST,
    Change.WORSE_UNPROMISED,
    Change.BETTER,
    Change.NEW,
)
_WEIGHTS = (Weight.WORSE, Weight.SUSPECT, Weight.BETTER)

_METHOD = """\
Outcomes: all new runs, against the repeats of the newest version in the baseline. Worse: a new run is worse than every
old one; or the old ones differ, and every new one is worse than their best, which chance would do in at most
{chance:.0%} of cases. A control that passed counts as HELD. What the
mesh does not promise is compared and never fails; a dropped promise counts as a failure, because from then on no run
can fail by it.

Numbers: {numbers} compared. The interval of the difference is exact (Mann-Whitney, Hodges-Lehmann); if runs are
independent, each end is wrong in at most {chance:.0%} of cases. Worse: the whole interval is above the margin, which is
the largest of {margin:.0%} of the old median, {least_s:g} s or {least_ms:g} ms, and the resolution of the measurement.
That takes 3 runs on each side, or 1 and 19. Suspect: beyond the margin, with too few runs to rule out chance; for
latency, the seconds of each baseline then stand in for runs, which does not show how much runs differ.
"""


def render(comparison: Comparison) -> str:
    """Return the page: the outcome first, then what changed, then how it was compared."""
    return "\n".join(_lines(comparison)) + "\n"


def outcome(comparison: Comparison) -> str:
    """Return the outcome in one sentence."""
    if comparison.is_worse:
        return "Something is worse, no longer promised or no longer asked."
    if comparison.is_lost:
        return "Nothing is worse, but something is no longer known."
    return "Nothing is worse."


def _lines(it: Comparison) -> Iterator[str]:
    yield "## Drills compared"
    yield ""
    yield f"**{outcome(it)}** {len(it.new)} new runs against {len(it.old)} of the baseline."
    yield from _section("Outcomes", ("drill", "mesh", "change", "before", "now"), _pairs(it))
    yield from _section("Claims", ("drill", "mesh", "claim", "change", "before", "now"), _claims(it))
    yield from _section("Numbers", ("drill", "mesh", "number", "change", "before", "now", "difference"), _numbers(it))
    yield from _section("Flaky", ("drill", "mesh", "outcomes", "claims that differ", "runs"), map(_flaky_row, it.flaky))
    yield from _failing(it)
    yield from _section("Known failures in the new runs", ("drill", "mesh", "claim", "known"), _known(it))
    yield from _method(it)


def _section(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    found = list(rows)
    if found:
        yield from ("", f"### {title}", "")
        yield from table(head, found)


def _pairs(it: Comparison) -> Iterator[tuple[str, ...]]:
    for asked in _by_weight(it.pairs):
        yield (*asked.pair, asked.change, describe(asked.old), describe(asked.new))


def _claims(it: Comparison) -> Iterator[tuple[str, ...]]:
    for asked in _by_weight(it.claims):
        yield (*asked.pair, asked.claim, asked.change, describe(asked.old), describe(asked.new))


def _by_weight(asked: Iterable[Asked]) -> list[Asked]:
    return sorted((it for it in asked if it.change in _LOUD), key=lambda it: _LOUD.index(it.change))


def _numbers(it: Comparison) -> Iterator[tuple[str, ...]]:
    loud = (number for number in it.numbers if number.weight in _WEIGHTS)
    for number in sorted(loud, key=lambda number: _WEIGHTS.index(number.weight)):
        weight = Markdown(f"**{number.weight}**") if number.weight is Weight.WORSE else number.weight
        before, now = (_values(side, number) for side in (number.difference.old, number.difference.new))
        yield (*number.pair, number.name, weight, before, now, _difference(number))


def _values(values: tuple[float, ...], number: Number) -> str:
    count = f"{len(values)} {'seconds' if number.is_within else 'runs'}"
    return f"{min(values):.3g} to {max(values):.3g} {number.unit} ({count})"


def _difference(number: Number) -> str:
    difference = number.difference
    beyond = f"{difference.estimate:+.3g} {number.unit}, margin {number.margin:.3g}"
    if difference.low is None or difference.high is None:
        return f"{beyond}; too few runs to rule out chance"
    within = ", within single runs only" if number.is_within else ""
    return f"{beyond}; interval {difference.low:+.3g} to {difference.high:+.3g}{within}"


def _flaky_row(it: Flaky) -> tuple[str, ...]:
    runs = " ".join(f"{run.bundle.name} ({run.short_hash})" for run in it.runs)
    return (
        *it.pair,
        describe([run.standing for run in it.runs]),
        "; ".join(it.claims) or "none by name",
        runs,
    )


def _failing(it: Comparison) -> Iterator[str]:
    """Yield what did not pass before and does not now: no change is not a pass."""
    failing = [asked for asked in it.pairs if asked.change is Change.SAME and not asked.passes]
    yield from _section(
        "Not passing, as before",
        ("drill", "mesh", "now"),
        ((*asked.pair, describe(asked.new)) for asked in failing),
    )


def _known(it: Comparison) -> Iterator[tuple[str, ...]]:
    """Yield violations that are known issues: an expected failure is not a pass."""
    found = ((run.pair, claim, issue) for run in it.new for claim, issue in run.known_failures)
    for pair, claim, issue in dict.fromkeys(found):
        yield (*pair, claim, link(issue.title, issue.url))


def _method(it: Comparison) -> Iterator[str]:
    yield from ("", "<details><summary>How this was compared</summary>", "")
    yield from _METHOD.format(
        numbers=len(it.numbers), chance=CHANCE, margin=MARGIN, least_s=LEAST_S, least_ms=LEAST_MS
    ).splitlines()
    if it.elsewhere:
        yield ""
        yield "Numbers were not compared, because no old run used the same kind of host (system, CPUs, memory):"
        yield f"{', '.join(cell(' on '.join(pair)) for pair in it.elsewhere)}."
    yield from ("", "</details>")
