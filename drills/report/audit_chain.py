"""What a server presented above its leaf: each certificate in words, and whether it signed the one below."""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from drills.judge.records import NS_PER_S


class Issuer(msgspec.Struct, frozen=True):
    """A certificate above the leaf, as it was presented; error: why it cannot be read, then nothing else is known.

    is_valid: at the instant that the audit asks about. has_signed: its key signed the certificate below; None where
    one of the two cannot be read.
    """

    sha256: str
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    san: tuple[str, ...] = ()
    not_before_ns: int = 0
    not_after_ns: int = 0
    is_valid: bool = False
    has_signed: bool | None = None
    error: str = ""


def above(chain: Sequence[str], at_ns: int) -> tuple[Issuer, ...]:
    """Return what stands above the leaf; chain: base64 of DER, leaf first, as an event holds it."""
    return tuple(_issuers(chain, at_ns))


def _issuers(chain: Sequence[str], at_ns: int) -> Iterator[Issuer]:
    below = _read(chain[0]) if chain else ""
    for text in chain[1:]:
        it = _read(text)
        if isinstance(it, str):
            yield Issuer(sha256_of(text), error=it)
        else:
            begins_ns, ends_ns = _ns(it.not_valid_before_utc), _ns(it.not_valid_after_utc)
            yield Issuer(
                sha256=sha256_of(text),
                subject=it.subject.rfc4514_string(),
                issuer=it.issuer.rfc4514_string(),
                serial=f"{it.serial_number:x}",
                san=_names(it),
                not_before_ns=begins_ns,
                not_after_ns=ends_ns,
                is_valid=begins_ns <= at_ns <= ends_ns,
                has_signed=None if isinstance(below, str) else _has_signed(it, below),
            )
        below = it


def sha256_of(text: str) -> str:
    """Return the fingerprint of a certificate that is written as base64 of DER, "" when it is not."""
    try:
        return hashlib.sha256(base64.b64decode(text, validate=True)).hexdigest()
    except binascii.Error:
        return ""


def _read(text: str) -> x509.Certificate | str:
    """Return the certificate; a string says why there is none."""
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        return f"{type(error).__name__}: {error}"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()  # the names of an issuer are no identity that anybody decides by
    return tuple(str(name.value) for name in names)


def _has_signed(issuer: x509.Certificate, below: x509.Certificate) -> bool | None:
    try:
        below.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        return False
    except (TypeError, UnsupportedAlgorithm):
        return None  # a kind of key that nobody here can check
    return True


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * NS_PER_S
