"""Keys for the command line: a file that is no such key is a UsageError. `meshdrill keygen` makes a pair."""

from pathlib import Path

from securesystemslib.signer import Key, Signer

from clusters.runtime import UsageError
from drills.report.trust import keys


def signer_in(file: Path | str | None) -> Signer | None:
    """Return a signer with the private key in the file, None without a file; UsageError when it is no such key."""
    try:
        return keys.signer(Path(file)) if file else None
    except keys.KeyFileError as error:
        raise UsageError(str(error)) from error


def public_key_in(file: Path | None) -> Key | None:
    """Return the public key in the file, None without a file; UsageError when it is no such key."""
    try:
        return keys.public_key(file) if file else None
    except keys.KeyFileError as error:
        raise UsageError(str(error)) from error


def make(file: Path) -> str:
    """Write a new key pair and describe it; UsageError when one of the files exists."""
    try:
        key = keys.generate(file)
    except keys.KeyFileError as error:
        raise UsageError(str(error)) from error
    public = file.with_name(file.name + keys.PUBLIC_SUFFIX)
    return f"private key: {file} (keep it secret)\npublic key:  {public}\nkey id:      {key.keyid}"
