"""Runs as OpenMetrics text, for example for the textfile collector of the node exporter.

The newest run of each drill and mesh gives the numbers. Verdicts are counted over all runs, so that a newer pass does
not hide an older failure.

Every family is a gauge: the textfile collector parses Prometheus's older text format, which rejects types that only
OpenMetrics has. The unit and the end marker are comments to it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from drills.judge import known
from drills.judge.inert import printable
from drills.judge.verdict import Answer
from drills.report import figures
from drills.report.bundles import Run

_PAIR = ("drill", "mesh")
_Values = Iterable[tuple[tuple[str, ...], float]]  # labels after drill and mesh, and the value


def render(runs: Sequence[Run]) -> str:
    """Return the document. The same runs give the same bytes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Runs(runs))
    text: str = generate_latest(registry).decode()
    return text


class _Runs(Collector):
    """The collector that the exposition reads."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = sorted(runs, key=lambda run: (*run.pair, run.began))

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family, also those without a sample."""
        newest = {run.pair: run for run in self._runs}
        yield _answers(newest)
        yield _counted(self._runs)
        for name, unit, says, labels, values in _GAUGES:
            family = GaugeMetricFamily(f"meshdrill_{name}", says, labels=(*_PAIR, *labels), unit=unit)
            for pair, run in newest.items():
                for words, value in values(run):
                    family.add_metric(tuple(map(printable, (*pair, *words))), value)
            yield family


def _answers(newest: dict[tuple[str, str], Run]) -> Metric:
    says = "Verdict of the newest run: 1 for its verdict, 0 for each other."
    family = GaugeMetricFamily("meshdrill_run_verdict", says, labels=(*_PAIR, "verdict"))
    for pair, run in newest.items():
        for answer in sorted(set(Answer) - {Answer.NOT_PROMISED}):
            family.add_metric((*map(printable, pair), answer.value), float(run.verdict.verdict is answer))
    return family


def _counted(runs: Iterable[Run]) -> Metric:
    says = "Number of runs by verdict."
    family = GaugeMetricFamily("meshdrill_runs", says, labels=(*_PAIR, "verdict"))
    for (pair, verdict), count in sorted(Counter((run.pair, run.verdict.verdict.value) for run in runs).items()):
        family.add_metric((*map(printable, pair), verdict), count)
    return family


def _passed(run: Run) -> _Values:
    yield (), float(run.verdict.passed)


def _expected(run: Run) -> _Values:
    yield (), float(known.is_expected(run.verdict, run.history.facts.known_issues))


def _known(run: Run) -> _Values:
    return (((claim, issue.url), 1.0) for claim, issue in run.known_failures)


def _control(run: Run) -> _Values:
    yield (), float(run.verdict.is_control)


def _began(run: Run) -> _Values:
    yield (), run.began.timestamp()


def _recovery(run: Run) -> _Values:
    return (((claim,), took) for claim, took in figures.recoveries_s(run.verdict).items() if took is not None)


def _not_recovered(run: Run) -> _Values:
    return (((claim,), float(took is None)) for claim, took in figures.recoveries_s(run.verdict).items())


def _outage(run: Run) -> _Values:
    found = figures.outage(run.history)
    return [((found.route,), found.longest_s)] if found else []


def _resolution(run: Run) -> _Values:
    found = figures.outage(run.history)
    return [((), found.resolution_s)] if found else []


def _signal(run: Run) -> _Values:
    return (((name,), took) for name, took in figures.times_to_signal_s(run.verdict).items())


def _latency(run: Run) -> _Values:
    found = figures.latency(run.history)
    return [(("0.5",), found.p50_ms / 1000), (("0.99",), found.p99_ms / 1000)] if found else []


_GAUGES: tuple[tuple[str, str, str, tuple[str, ...], Callable[[Run], _Values]], ...] = (
    ("run_passed", "", "Whether the newest run passed.", (), _passed),
    ("run_known", "", "Whether the newest run violates exactly its known issues.", (), _expected),
    ("known_failure", "", "A violated claim that is a known issue, with the link.", ("claim", "issue"), _known),
    ("run_control", "", "Whether it is a control, whose security claims must be violated.", (), _control),
    ("run_start_time_seconds", "seconds", "Start of the newest run, Unix time.", (), _began),
    ("recovery_seconds", "seconds", "From the undo until the claim stayed true.", ("claim",), _recovery),
    ("recovery_missing", "", "Whether the claim came true too late, never, or is unknown.", ("claim",), _not_recovered),
    (
        "longest_outage_seconds",
        "seconds",
        "Longest time without a successful call on a route, from the injection on.",
        ("route",),
        _outage,
    ),
    ("outage_resolution_seconds", "seconds", "A shorter outage cannot be detected.", (), _resolution),
    ("time_to_signal_seconds", "seconds", "From the start of the fault until the signal.", ("signal",), _signal),
    (
        "baseline_latency_seconds",
        "seconds",
        "Of successful calls, from their scheduled start.",
        ("quantile",),
        _latency,
    ),
)
