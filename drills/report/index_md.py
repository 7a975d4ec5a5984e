"""reports/README.md: a table of drills and meshes that shows the newest run of each pair."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from drills.judge import files
from drills.judge.bundle_files import REPORT_MD_FILE, VERDICT_FILE
from drills.judge.verdict import Answer, Verdict, read_verdict
from drills.report import folders, known_issues
from drills.report.figures import Headline, headline_of
from drills.report.markdown import Markdown, cell, link, link_to_file, table

_HEAD = (
    "# Reports\n\n"
    "The newest run of each drill on each mesh. Every cell links to its report, which lies in the folder of the\n"
    "evidence. `meshdrill judge FOLDER` judges it again. This page is generated: do not edit it.\n"
    "A control must violate its security claims: that proves that the drill can detect what it looks for.\n"
    "Recovery: until the last recovery claim stayed true. Outage: from the injection on, the longest time without a\n"
    "successful call on any route that worked before. Signal: until the first signal that a claim asks for.\n\n"
)
_EMPTY = "No run yet.\n"


class _Answered(msgspec.Struct, frozen=True):
    verdict: Answer


class _Judged(msgspec.Struct, frozen=True):
    """The part of a verdict.json that the index needs."""

    drill: str
    mesh: str
    verdict: Answer
    passed: bool
    is_control: bool
    findings: tuple[_Answered, ...] = ()


def render(reports: Path) -> str:
    """Return the page for the bundles `<drill>/<mesh>/<utc>/` under the directory. A broken one is UNREADABLE."""
    newest = {path.parts[-3:-1]: path for path in folders.runs_in(reports)}
    if not newest:
        return _HEAD + _EMPTY
    drills = sorted({drill for drill, _ in newest})
    meshes = sorted({mesh for _, mesh in newest})
    rows = ((drill, *(_cell(newest.get((drill, mesh)), reports) for mesh in meshes)) for drill in drills)
    return _HEAD + "\n".join(table(("drill", *meshes), rows)) + "\n"


def _cell(folder: Path | None, reports: Path) -> str:
    if folder is None:
        return "not run"
    verdict = _whole(folder)
    report = link_to_file(_words(folder), f"{folder.relative_to(reports).as_posix()}/{REPORT_MD_FILE}")
    if verdict is None:
        return Markdown(f"{report} {cell(folder.name)}")
    known = "".join(f", {link('known', issue.url)}" for issue in known_issues.expected_in(folder, verdict))
    below = map(cell, (*_figures(headline_of(folder, verdict)), folder.name))
    return Markdown("<br>".join([f"{report}{known}", *below]))


def _whole(folder: Path) -> Verdict | None:
    """Return the verdict, or None if this version cannot read it."""
    try:
        return read_verdict(folder)
    except files.FileError:
        return None


def _figures(it: Headline) -> Iterator[str]:
    if it.has_recovered is not None:
        yield f"recovery {it.recovery_s:.1f} s" if it.recovery_s is not None else "no recovery"
    if it.outage is not None:
        yield f"outage {it.outage.longest_s:.1f} s" if it.outage.lost else "no call lost"
    if it.signal_s is not None:
        yield f"signal {it.signal_s:.1f} s"


def _words(folder: Path) -> str:
    try:
        judged = files.decode(folder / VERDICT_FILE, _Judged)
    except files.FileError:
        return "UNREADABLE"
    if judged.is_control:
        return f"control {'passed' if judged.passed else 'FAILED'} ({judged.verdict})"
    count = sum(finding.verdict is Answer.NOT_PROMISED for finding in judged.findings)
    return f"{judged.verdict}, {count} claims not promised" if count else judged.verdict.value
