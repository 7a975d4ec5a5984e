"""Runs as OpenMetrics text, for example for the textfile collector of the node exporter.

The newest run of each drill and mesh gives the numbers. A no-fault control is no run of its drill: it has a family of
its own. Outcomes are counted over all runs, so that a newer pass does
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
from drills.judge.verdict import Outcome
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
        by_age = sorted(runs, key=lambda run: (*run.pair, run.began))
        self._runs = [run for run in by_age if not run.verdict.without_fault]
        self._no_fault = {run.pair: run for run in by_age if run.verdict.without_fault}

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family, also those without a sample."""
        newest = {run.pair: run for run in self._runs}
        yield _outcomes(newest)
        yield _counted(self._runs)
        yield _held(self._no_fault)
        for name, unit, says, labels, values in _GAUGES:
            family = GaugeMetricFamily(f"meshdrill_{name}", says, labels=(*_PAIR, *labels), unit=unit)
            for pair, run in newest.items():
                for words, value in values(run):
                    family.add_metric(tuple(map(printable, (*pair, *words))), value)
            yield family


def _outcomes(newest: dict[tuple[str, str], Run]) -> Metric:
    says = "Worst outcome of the newest run, promised or not: 1 for its outcome, 0 for each other."
    family = GaugeMetricFamily("meshdrill_run_outcome", says, labels=(*_PAIR, "outcome"))
    for pair, run in newest.items():
        for outcome in sorted(Outcome):
            family.add_metric((*map(printable, pair), outcome.value), float(run.verdict.outcome is outcome))
    return family


def _counted(runs: Iterable[Run]) -> Metric:
    says = "Number of runs by their worst outcome."
    family = GaugeMetricFamily("meshdrill_runs", says, labels=(*_PAIR, "outcome"))
    for (pair, outcome), count in sorted(Counter((run.pair, run.verdict.outcome.value) for run in runs).items()):
        family.add_metric((*map(printable, pair), outcome), count)
    return family


def _held(newest: dict[tuple[str, str], Run]) -> Metric:
    says = "Whether every claim held in the newest no-fault control."
    family = GaugeMetricFamily("meshdrill_no_fault_control_held", says, labels=_PAIR)
    for pair, run in newest.items():
        family.add_metric(tuple(map(printable, pair)), float(run.verdict.passed))
    return family


def _passed(run: Run) -> _Values:
    yield (), float(run.verdict.passed)


def _expected(run: Run) -> _Values:
    yield (), float(known.is_expected(run.verdict, run.history.facts.known_issues))


def _known(run: Run) -> _Values:
    return (((claim, issue.url), 1.0) for claim, issue in run.known_failures)


def _without_promise(run: Run) -> _Values:
    found = (it for it in run.verdict.findings if it.is_finding_without_promise)
    return (((it.id, it.outcome.value), 1.0) for it in found)


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
    return (((name,), took) for name, took in figures.times_to_signal_s(run.history).items())


def _latency(run: Run) -> _Values:
    found = figures.latency(run.history)
    return [(("0.5",), found.p50_ms / 1000), (("0.99",), found.p99_ms / 1000)] if found else []


_GAUGES: tuple[tuple[str, str, str, tuple[str, ...], Callable[[Run], _Values]], ...] = (
    ("run_passed", "", "Whether the newest run passed.", (), _passed),
    ("run_known", "", "Whether the newest run violates exactly its known issues.", (), _expected),
    ("known_failure", "", "A violated claim that is a known issue, with the link.", ("claim", "issue"), _known),
    (
        "broken_without_promise",
        "",
        "A broken claim that the mesh does not promise.",
        ("claim", "outcome"),
        _without_promise,
    ),
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
