"""`meshdrill run`: run one drill under pytest, with live progress, the verdict in words and one exit code."""

import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from clusters.runtime import MeshdrillError
from drills import plugin
from drills.cli import exits
from drills.judge import known
from drills.judge.files import FileError
from drills.judge.inert import printable
from drills.judge.verdict import Verdict
from drills.run.declare import Declared
from drills.run.runner import Drill

_KEPT = "\n\t"


class Reporter:
    """A pytest plugin that prints progress and verdict for a person and keeps the exit code."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began_s = time.monotonic()
        self._status: Status | None = None
        self._codes: list[int] = []
        self._bundles: list[Path] = []

    @property
    def code(self) -> int:
        """Return the worst exit code of everything that happened; a run that judged nothing is a harness error."""
        return min(self._codes, key=exits.WORST_FIRST.index, default=exits.HARNESS)

    @property
    def is_silent(self) -> bool:
        """Whether nothing was judged and nothing failed: the run ended before it started."""
        return not self._codes

    def say(self, line: str) -> None:
        """Print a line of progress; on a terminal a spinner at the bottom also shows the newest line."""
        elapsed_s, shown = int(time.monotonic() - self._began_s), printable(line, keep=_KEPT)
        self._console.print(f"[dim]{elapsed_s // 60:3d}:{elapsed_s % 60:02d}[/dim]  {escape(shown)}", highlight=False)
        if self._status is not None:
            self._status.update(escape(shown))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show a spinner during the run, on a terminal only."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("starting") as status:
            self._status = status
            yield
        self._status = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Make the fixtures report their progress here."""
        config.stash[plugin.PROGRESS] = self.say

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a drill's file that cannot be loaded."""
        if report.failed:
            self._codes.append(exits.HARNESS)
            self._complain(report.longreprtext)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the verdict when the drill's body has ended, and every failure that is not a verdict's assertion."""
        report = yield
        run = item.stash.get(plugin.RUN, None)
        verdict = run.verdict if run is not None else None
        error = call.excinfo.value if call.excinfo is not None else None
        if call.when == "call" and run is not None and verdict is not None and _is_by_verdict(error):
            self._note_verdict(run, verdict)
        elif error is not None:
            self._note_failure(error, item.name, report.longreprtext)
        if call.when == "teardown" and run is not None and run.bundle is not None:
            self._bundles.append(run.bundle)
        return report

    def pytest_internalerror(self) -> None:
        """Name an error outside of any test a defect; pytest prints the trace."""
        self._complain(exits.DEFECT)

    def summary(self) -> None:
        """Print where the evidence is."""
        for bundle in self._bundles:
            self.say(f"evidence: {bundle}/report.md")

    def _note_verdict(self, run: Drill, verdict: Verdict) -> None:
        self._codes.append(exits.of(verdict, run.known_issues, strict=run.strict))
        words = known.describe(verdict, run.known_issues, strict=run.strict)
        self._print("", verdict.explain(), *filter(None, (words,)), "")

    def _note_failure(self, error: BaseException, name: str, trace: str) -> None:
        if isinstance(error, KeyboardInterrupt):
            self._codes.append(exits.INTERRUPTED)
        elif isinstance(error, MeshdrillError | FileError):
            self._codes.append(error.exit_code)
            self._complain(f"{name}: {error}")
        elif isinstance(error, pytest.skip.Exception):  # the cluster does not have what the drill needs
            self._codes.append(exits.USAGE)
            self._complain(f"{name}: {error}")
        else:  # unforeseen: repairing it needs the trace
            self._codes.append(exits.HARNESS)
            self._complain(f"{name}: {type(error).__name__}: {error}\n{trace}\n{exits.DEFECT}")

    def _complain(self, text: str) -> None:
        self._print(text, style="red")

    def _print(self, *texts: str, style: str | None = None) -> None:
        for text in texts:
            self._console.print(printable(text, keep=_KEPT), style=style, markup=False, highlight=False)


def _is_by_verdict(error: BaseException | None) -> bool:
    """Return whether a drill's body ended as its verdict makes it end; any other error says nothing about the mesh."""
    return error is None or isinstance(error, AssertionError)


def run(entry: Declared, mesh: str, options: list[str]) -> int:
    """Run one drill under pytest and return meshdrill's exit code."""
    reporter = Reporter(Console(soft_wrap=True))
    reporter.say(f"{entry.name} on {mesh}: {entry.hypothesis.splitlines()[0]}")
    with signals_as_ctrl_c(), reporter.live():
        ended = pytest.main([*_pytest_arguments(entry), entry.node_id, "--mesh", mesh, *options], plugins=[reporter])
    reporter.summary()
    if ended == pytest.ExitCode.INTERRUPTED:
        return exits.INTERRUPTED
    if ended == pytest.ExitCode.INTERNAL_ERROR:  # whatever was noted before: its evidence may be incomplete
        return exits.HARNESS
    if ended == pytest.ExitCode.USAGE_ERROR and reporter.is_silent:
        return exits.USAGE
    return reporter.code


def _pytest_arguments(entry: Declared) -> list[str]:
    """Return the arguments that make pytest run this file alone, with our plugin and no configuration file."""
    root = entry.file.resolve().parent
    return [
        "--config-file=/dev/null",
        f"--rootdir={root}",
        f"--confcutdir={root}",
        "-pdrills.plugin",  # pytest loads it once, also when the entry point already has
        "--import-mode=importlib",
        "--capture=no",
        "-pno:terminal",  # the last output is the verdict, not a count of tests
        "-pno:cacheprovider",  # site-packages may be read-only
    ]


@contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM (CI's time-out) and SIGHUP (a closed terminal) as Ctrl-C: undo the fault, remove the cluster."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
