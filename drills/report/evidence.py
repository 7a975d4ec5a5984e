"""The files of a bundle that are made from its history and verdict, and the index over all bundles."""

from pathlib import Path
from typing import Final

import msgspec
from securesystemslib.signer import Signer

from drills.judge.history import History
from drills.judge.verdict import Verdict
from drills.report import index, junit, page, statement
from drills.report.numbers import measured
from drills.report.record import Surroundings

RUN_FILE: Final = "run.json"
REPORT_FILE: Final = "report.md"
JUNIT_FILE: Final = "junit.xml"
INDEX_FILE: Final = "README.md"
MAX_BUNDLE_BYTES: Final = 2_000_000


def write(bundle: Path, verdict: Verdict, stood_on: Surroundings, signer: Signer | None = None) -> None:
    """Complete run.json with what the run stood on and measured; write report.md and junit.xml beside it.

    The statement over all of them goes last, signed when there is a signer.
    """
    history = History.load(bundle)
    _complete_run_file(bundle / RUN_FILE, stood_on, history)
    (bundle / REPORT_FILE).write_text(page.render(history, verdict, stood_on, bundle.name), encoding="utf-8")
    (bundle / JUNIT_FILE).write_bytes(junit.render(history, verdict))
    statement.write(bundle, verdict, signer)


def write_index(reports: Path) -> None:
    """Write the table drill x mesh over the newest bundle of each, from the bundles that lie there."""
    (reports / INDEX_FILE).write_text(index.render(reports), encoding="utf-8")


def size_bytes(bundle: Path) -> int:
    """Return the size of the bundle: MAX_BUNDLE_BYTES is what a repository should be asked to keep."""
    return sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())


def _complete_run_file(path: Path, stood_on: Surroundings, history: History) -> None:
    """Add to the file; the facts and the seal that the judge reads stay as they are."""
    record: dict[str, object] = msgspec.json.decode(path.read_bytes())
    record |= {"surroundings": msgspec.to_builtins(stood_on), "measured": msgspec.to_builtins(measured(history))}
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n")
    draft.replace(path)
