"""Ed25519 keys for statements: PEM files without a passphrase, the private key as PKCS #8."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey

PUBLIC_SUFFIX = ".pub"
_PRIVATE_MODE = 0o600
_PUBLIC_MODE = 0o644


class KeyFileError(Exception):
    """A key file is missing, is not a key, or would be overwritten."""


def generate(path: Path) -> Key:
    """Write a new private key to the path (mode 0600) and the public key to the path with `.pub`.

    Raises KeyFileError if either file exists: an overwritten key is lost.
    """
    public_path = path.with_name(path.name + PUBLIC_SUFFIX)
    if public_path.exists():
        raise KeyFileError(f"{public_path} exists already and is not overwritten. Give another name.")
    private = Ed25519PrivateKey.generate()
    signer = CryptoSigner(private)
    _create(path, signer.private_bytes, _PRIVATE_MODE)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _create(public_path, public, _PUBLIC_MODE)
    return signer.public_key


def signer(path: Path) -> Signer:
    """Return a signer with the private key of the file. Raises KeyFileError if it cannot be used."""
    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "private", error) from error


def public_key(path: Path) -> Key:
    """Return the public key of the file. Raises KeyFileError if it cannot be used."""
    try:
        return SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, "public", error) from error


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists already and is not overwritten. Give another name.") from error
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(handle, "wb") as sink:
        sink.write(content)


def _unusable(path: Path, kind: str, error: Exception) -> KeyFileError:
    return KeyFileError(
        f"{path} cannot be used as a {kind} key: {error}. Expected a PEM file as `meshdrill keygen` writes it."
    )
