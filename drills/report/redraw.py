"""Draw the pages of a stored bundle again from its own files; no other file changes but the statement."""

from pathlib import Path

from securesystemslib.signer import Signer

from drills.judge import files
from drills.judge.bundle_files import DRAWN
from drills.judge.verdict import Verdict, read_verdict
from drills.report import evidence
from drills.report.run_file import read_environment
from drills.report.trust import statement, verification


class RedrawError(Exception):
    """The pages were not drawn; the message says why, and what to do."""


def redraw(bundle: Path, signer: Signer | None = None) -> tuple[str, ...]:
    """Draw the pages again and return the names of those that changed.

    A bundle with a statement gets a new one if a page changed. Raises RedrawError for a bundle that differs from its
    statement, and for a signed one without a signer: an unsigned statement must not replace a signed one.
    """
    _demand_plain(bundle)
    has_statement = verification.has_statement(bundle)
    is_signed = has_statement and _is_signed(bundle)
    verdict, pages = _pages(bundle)
    changed = tuple(name for name, content in pages.items() if _stored(bundle / name) != content)
    if changed and is_signed and signer is None:
        raise RedrawError(
            f"{bundle} is signed, and this version draws {', '.join(changed)} otherwise: kept as it is. "
            "With the private key it can be signed again."
        )
    try:
        files.write_all(bundle, {name: pages[name] for name in changed})
        if changed and has_statement:
            statement.write(bundle, verdict, signer)
    except files.FileError as error:
        raise RedrawError(f"{error} Draw a copy.") from error
    return changed


def _demand_plain(bundle: Path) -> None:
    """Refuse a bundle with a link or a special file in it before anything is written."""
    try:
        files.demand_plain(bundle)
    except files.FileError as error:
        raise RedrawError(str(error)) from error


def _is_signed(bundle: Path) -> bool:
    """Return whether the statement is signed. Raises RedrawError if a file other than the pages differs from it."""
    try:
        found = verification.verify(bundle)
    except verification.StatementError as error:
        raise RedrawError(str(error)) from error
    cured = tuple(f"{name}: " for name in DRAWN)
    if complaints := [it for it in found.complaints if not it.startswith(cured)]:
        raise RedrawError(f"{bundle} is not what its statement says: {complaints[0]}. Draw an intact copy.")
    return found.is_signed


def _pages(bundle: Path) -> tuple[Verdict, dict[str, bytes]]:
    try:
        environment = read_environment(bundle)
        verdict = read_verdict(bundle)
        return verdict, evidence.drawn(bundle, verdict, environment)
    except files.FileError as error:
        raise RedrawError(f"{bundle} cannot be drawn: {error} Only a run that was judged has pages.") from error


def _stored(page: Path) -> bytes | None:
    """Return the stored page, or None."""
    try:
        return files.read(page)
    except files.NoFileError:
        return None
    except files.FileError as error:
        raise RedrawError(str(error)) from error
