"""`meshdrill verify`: check a bundle against its statement, and the statement's signature."""

from pathlib import Path

from drills.cli.keyring import public_key_in
from drills.report.trust import verification


def verify(bundle: Path, key: Path | None = None) -> tuple[str, bool]:
    """Return a text for a person, and whether the bundle matches; without a readable statement it does not.

    Raises UsageError for a file that is no public key.
    """
    public = public_key_in(key)
    try:
        found = verification.verify(bundle, public)
    except verification.StatementError as error:
        return str(error), False
    return found.explain(), found.is_intact
