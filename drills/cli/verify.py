"""`meshdrill verify`: is a bundle still what its statement says, and who says so."""

from pathlib import Path

from drills.cli.keyring import public_key_in
from drills.report import verification


def verify(bundle: Path, key: Path | None = None) -> tuple[str, bool]:
    """Return a text for a person, and whether nothing changed. Without a readable statement nothing is known to hold.

    Raises UsageError for a file that is no public key.
    """
    public = public_key_in(key)
    try:
        found = verification.verify(bundle, public)
    except verification.StatementError as error:
        return str(error), False
    return found.explain(), found.is_intact
