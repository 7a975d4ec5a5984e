"""`meshdrill nightly`: a night of drills on this machine, its summary, the index, and the change since the baseline."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from clusters import kind, meshes
from clusters.runtime import InconclusiveError, MeshdrillError, Progress, UsageError
from drills.cli import diff as cli_diff
from drills.cli import exits, night
from drills.cli.night import Attempt, Plan, Turn
from drills.cli.run import signals_as_ctrl_c
from drills.judge import files
from drills.judge.bundle_files import VERDICT_FILE
from drills.report import bundles, evidence, known_issues
from drills.report.markdown import Markdown, cell, link, table
from drills.run import catalogue

SUMMARY_FILE = "nightly.md"
Row = tuple[str, ...]
_WORDS = {
    exits.PASSED: "passed",
    exits.VIOLATED: "VIOLATED",
    exits.INCONCLUSIVE: "INCONCLUSIVE",
    exits.HARNESS: "HARNESS ERROR",
}


def plan(
    reports: Path,
    mesh_names: Sequence[str],
    drill_names: Sequence[str],
    run_options: Sequence[str],
    *,
    repeat: int,
    limit_s: float,
) -> Plan:
    """Return the plan of a night: the named meshes and drills, or all. UsageError for a name that does not exist."""
    return Plan(
        reports=reports,
        meshes=_each_once(catalogue.find_mesh(name).name for name in mesh_names or meshes.names()),
        drills=_each_once(catalogue.find(name).name for name in drill_names or [it.name for it in catalogue.entries()]),
        repeat=repeat,
        until_s=time.monotonic() + limit_s,
        run_options=tuple(run_options),
        drills_named=tuple(drill_names),
        meshes_named=tuple(mesh_names),
    )


def run(asked: Plan, baseline: Path, progress: Progress) -> tuple[str, int]:
    """Run the night, write its summary and the index, and return the summary and the worst exit code.

    The summary is written after each turn, so that an interrupted night keeps what it found. Bundles are read once,
    because reading all of them again after each turn would take longer than the drills.
    """
    turns: list[Turn] = []
    rows: list[Row] = []
    asked.reports.mkdir(parents=True, exist_ok=True)
    running = night.spend(asked, night.process, lambda name: _remove(name, progress))
    with signals_as_ctrl_c(), closing(running):
        for turn in running:
            turns.append(turn)
            rows.append(row(turn))
            progress(f"{turn.drill} on {turn.mesh}: {'flaky, ' if turn.is_flaky else ''}{_outcome(turn)}")
            _write(asked.reports, [*lines(rows), "", "The night is not over."])
            if turn.code == exits.USAGE:
                raise UsageError(
                    f"`meshdrill run` refused its options: {' '.join(asked.run_options)}. See its message above."
                )
    evidence.write_index(asked.reports, catalogue.skipped(), catalogue.controls())
    compared, code = _since(baseline, asked, turns)
    codes = (code, *(turn.code for turn in turns)) if any(turn.attempts for turn in turns) else (exits.HARNESS,)
    text = _write(asked.reports, [*lines(rows), "", compared])
    return text, min(codes, key=exits.WORST_FIRST.index)


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _since(baseline: Path, asked: Plan, turns: Sequence[Turn]) -> tuple[str, int]:
    """Return the comparison with the baseline, for the meshes and drills of this night, and its exit code."""
    if asked.is_of_controls:
        return "No-fault controls are compared with no run: each says by itself whether it passed.", exits.PASSED
    made = [bundle for turn in turns for attempt in turn.attempts for bundle in attempt.bundles]
    accepted = {path.parts[-4:-2] for path in baseline.rglob(VERDICT_FILE)}
    if not any(asked.names(*pair) for pair in accepted):
        return (
            f"No baseline: {baseline} holds no bundle of these drills and meshes, so nothing was compared.",
            exits.PASSED,
        )
    if not made:
        return "No run left a bundle, so nothing was compared.", exits.PASSED
    try:
        return cli_diff.compare_folders([baseline], made, asked.meshes_named, asked.drills_named)
    except InconclusiveError as error:
        return f"Not compared with the baseline: {error}", error.exit_code


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the summary of the turns so far, line by line."""
    yield "# Night of drills"
    yield ""
    yield "Every run counts: a drill that failed and passed when it was repeated is flaky, and its failure stands."
    yield "A run that violates exactly the known issues of its mesh, each with a link, passes."
    yield ""
    yield from table(("drill", "mesh", "outcome", "runs", "bundles"), rows)


def row(turn: Turn) -> Row:
    """Return the row of a turn in the summary, with the verdicts of its bundles."""
    runs = ", ".join(f"{_WORDS.get(it.code, it.code)} in {it.duration_s:.0f} s" for it in turn.attempts)
    made = ", ".join(_bundle(it) for it in turn.attempts)
    flaky = "**flaky**, " if turn.is_flaky else ""
    return turn.drill, turn.mesh, Markdown(f"{flaky}{cell(_outcome(turn))}"), runs, Markdown(made)


def _outcome(turn: Turn) -> str:
    if not turn.attempts:
        return f"{'NOT RUN' if turn.is_owed else 'skipped'}: {turn.reason}"
    owed = f", NOT RUN to the end: {turn.reason}" if turn.is_owed else ""
    return f"{_WORDS.get(turn.code, turn.code)}{owed}"


def _bundle(attempt: Attempt) -> str:
    """Return the verdict and the folder name of each bundle of an attempt, as Markdown."""
    words = []
    for folder in attempt.bundles:
        try:
            verdict = bundles.read(folder).verdict
            known = "".join(f", {link('known', issue.url)}," for issue in known_issues.expected_in(folder, verdict))
            words.append(f"{cell(verdict.standing)}{known} {cell(folder.name)}")
        except bundles.BundleError:
            words.append(f"unreadable {cell(folder.name)}")
    return " ".join(words) or "none"


def _write(reports: Path, lines: Sequence[str]) -> str:
    text = "\n".join(lines).rstrip("\n") + "\n"
    files.write(reports / SUMMARY_FILE, text.encode())
    return text


def _remove(name: str, progress: Progress) -> None:
    """Delete a cluster. When that fails, the night goes on: the next run fails with the cause if it is still there."""
    try:
        kind.remove(name, progress)
    except MeshdrillError as error:
        progress(f"cluster {name} could not be removed: {error}")
