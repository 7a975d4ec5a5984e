"""Bundles as evidence: found in folders, verified against their statement, read once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from securesystemslib.signer import Key

from clusters.model import Reference
from drills.judge import files, known
from drills.judge.bundle_files import STATEMENT_FILE, VERDICT_FILE
from drills.judge.history import History
from drills.judge.inert import printable
from drills.judge.records import NS_PER_S
from drills.judge.verdict import FAILING, Finding, Outcome, Standing, Verdict, read_verdict
from drills.report import folders
from drills.report.run_file import Environment, made_of, read_environment
from drills.report.trust import agreement, verification

_SHORT_DIGITS = 12


class BundleError(Exception):
    """A bundle cannot be used as evidence; the message names it and what is wrong with it."""


@dataclass(frozen=True)
class Run:
    """One run, read from its bundle. statement_sha256: of the statement over all other files."""

    bundle: Path
    verdict: Verdict
    environment: Environment
    history: History
    statement_sha256: str
    signature: str  # in words

    @property
    def pair(self) -> tuple[str, str]:
        """Return the drill and the mesh."""
        return self.verdict.drill, self.verdict.mesh

    @property
    def short_hash(self) -> str:
        """Return enough digits of the statement's hash to identify the run."""
        return self.statement_sha256[:_SHORT_DIGITS]

    @property
    def detected(self) -> Outcome:
        """Return what a control shows in which nothing protects the lab; but for known issues, it passed."""
        return Outcome.HELD if self.is_good else self.verdict.detected

    @property
    def standing(self) -> Standing:
        """Return the outcome as it counts: a control that passed, but for known issues, counts as HELD."""
        if self.verdict.without_fault:
            return Standing(self.verdict.counted_without_fault)
        if not self.verdict.is_control:
            return self.verdict.standing
        return Standing(self.detected)

    @property
    def is_good(self) -> bool:
        """Whether the run passed, or violates exactly its known issues."""
        return self.verdict.passed or known.is_expected(self.verdict, self.history.facts.known_issues)

    @cached_property
    def began(self) -> datetime:
        """Return when the record begins, to the second."""
        first_ns = min(event.at_ns for event in self.history.events)
        return datetime.fromtimestamp(first_ns // NS_PER_S, UTC)

    @property
    def made_of(self) -> tuple[str, ...]:
        """Return what identifies the version under test."""
        return made_of(self.environment)

    @property
    def known_failures(self) -> tuple[tuple[str, Reference], ...]:
        """Return the id of each claim that is violated as a known issue says, with the issue."""
        listed = self.history.facts.known_issues
        found = ((it.id, known.issue_of(it, listed)) for it in self.verdict.findings)
        return tuple((claim, issue) for claim, issue in found if issue is not None)

    def standing_of(self, finding: Finding) -> Standing:
        """Return an outcome as it counts: on a control, a claim that is meant to fail and failed counts as HELD."""
        if not (self.verdict.is_control and finding.fails_on_control) or finding.outcome is Outcome.INCONCLUSIVE:
            return finding.standing
        return Standing(Outcome.HELD if finding.outcome in FAILING else Outcome.VIOLATED)


def find(places: Iterable[Path]) -> tuple[Path, ...]:
    """Return every bundle that lies in, or is, one of the folders; sorted, each once.

    Raises BundleError for a folder without any.
    """
    found: set[Path] = set()
    for folder in places:
        here = set(_below(folder))
        if not here:
            raise BundleError(f"{folder} holds no bundle: expected {VERDICT_FILE} in it or below it.")
        found |= here
    return tuple(sorted(found))


def _below(folder: Path) -> tuple[Path, ...]:
    try:
        return folders.below(folder)
    except files.FileError as error:
        raise BundleError(str(error)) from error


def read_all(places: Iterable[Path], key: Key | None = None) -> tuple[Run, ...]:
    """Return every run of the folders, by drill, mesh and time. Raises BundleError as `find` and `read` do."""
    runs = (read(bundle, key) for bundle in find(places))
    return tuple(sorted(_each_once(runs), key=lambda run: (*run.pair, run.began, run.statement_sha256)))


def read(bundle: Path, key: Key | None = None) -> Run:
    """Return the run of a bundle after verifying it: every file as stated and, with a public key, signed by that key.

    Its verdict is judged again from its history. Raises BundleError for a bundle that fails verification, cannot be
    read, or stores other answers than its history gives.
    """
    try:
        found = verification.verify(bundle, key)
    except verification.StatementError as error:
        raise BundleError(f"{error} It cannot count as evidence.") from error
    if not found.is_intact:
        raise BundleError(f"{bundle} is {found.explain()}\nIt cannot count as evidence: use an intact copy.")
    try:
        stored = read_verdict(bundle)
        environment = read_environment(bundle)
        history = History.load(bundle)
        digest = files.digest(bundle / STATEMENT_FILE)
        verdict = agreement.judged(bundle.resolve(), digest)
    except files.FileError as error:
        raise BundleError(f"{error} It cannot count as evidence.") from error
    if not history.events:
        raise BundleError(f"{bundle} records no event, so the time of the run is unknown. Run it again.")
    if difference := agreement.difference(stored, verdict):
        raise BundleError(f"{bundle} stores a verdict that its history does not give: {printable(difference)}.")
    return Run(bundle, verdict, environment, history, digest, found.signature)


def _each_once(runs: Iterable[Run]) -> Iterator[Run]:
    """Leave out copies of a run in several folders."""
    seen: set[str] = set()
    for run in runs:
        if run.statement_sha256 not in seen:
            seen.add(run.statement_sha256)
            yield run
