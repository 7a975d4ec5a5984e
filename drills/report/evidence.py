"""The generated files of a bundle, and the indexes over all bundles."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from securesystemslib.signer import Signer

from drills.judge import files
from drills.judge.bundle_files import (
    INDEX_HTML_FILE,
    INDEX_MD_FILE,
    JUNIT_FILE,
    REPORT_HTML_FILE,
    REPORT_MD_FILE,
)
from drills.judge.history import History
from drills.judge.verdict import Verdict
from drills.report import junit, run_file
from drills.report.index import index_html, index_md
from drills.report.index.cells import read_runs
from drills.report.page import report_html, report_md
from drills.report.provenance import NOTE_FILE
from drills.report.run_file import Environment
from drills.report.traffic import measured
from drills.report.trust import statement

MAX_BUNDLE_BYTES: Final = 3_000_000
"""The limit for a repository. A run of 185 s whose mesh logs its drops has 2.8 MB, most of it calls and drops."""

_NOTHING_SKIPPED: Final[Mapping[tuple[str, str], str]] = MappingProxyType({})


def write(bundle: Path, verdict: Verdict, environment: Environment, signer: Signer | None = None) -> None:
    """Complete run.json with environment and measurements; write report.md, report.html and junit.xml.

    The statement over all files is written last, signed if there is a signer.
    """
    run_file.complete(bundle, environment, measured(History.load(bundle)))
    files.write_all(bundle, drawn(bundle, verdict, environment))
    statement.write(bundle, verdict, signer)


def drawn(bundle: Path, verdict: Verdict, environment: Environment) -> dict[str, bytes]:
    """Return the pages of a bundle by name, from its history and its files.

    Verdict and environment go through JSON first, so that drawing from disk later gives the same bytes.
    """
    verdict = msgspec.json.decode(verdict.encode(), type=Verdict)
    environment = msgspec.json.decode(msgspec.json.encode(environment, order="sorted"), type=Environment)
    history = History.load(bundle)
    return {
        REPORT_MD_FILE: report_md.render(history, verdict, environment, bundle.name).encode(),
        REPORT_HTML_FILE: report_html.render(history, verdict, environment, bundle).encode(),
        JUNIT_FILE: junit.render(history, verdict),
    }


def write_index(
    reports: Path, skipped: Mapping[tuple[str, str], str] = _NOTHING_SKIPPED, controls: Collection[str] = ()
) -> None:
    """Write README.md and index.html over the bundles of the directory.

    skipped: the reason why a drill cannot run on a mesh, by (drill, mesh). controls: the meshes that are controls.
    Raises FileError.
    """
    runs = read_runs(reports)
    note = NOTE_FILE if (reports / NOTE_FILE).is_file() else ""
    pages = {
        INDEX_MD_FILE: index_md.render(runs, skipped, controls, note),
        INDEX_HTML_FILE: index_html.render(runs, skipped, controls, note),
    }
    files.write_all(reports, {name: text.encode() for name, text in pages.items()})


def size_bytes(bundle: Path) -> int:
    """Return the size of the bundle."""
    return sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
