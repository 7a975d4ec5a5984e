"""The certificates that a server presented above its leaf, and whether each signed the one below."""

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
    """A certificate above the leaf, as presented. error: why it cannot be read; all else is then unknown.

    is_valid: at the instant of the audit. has_signed: whether its key signed the certificate below; None if unknown.
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
    """Return the certificates above the leaf. chain: base64 of DER, leaf first, as an event holds it."""
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
    """Return the SHA-256 of a certificate in base64 of DER; "" if it is not base64."""
    try:
        return hashlib.sha256(base64.b64decode(text, validate=True)).hexdigest()
    except binascii.Error:
        return ""


def _read(text: str) -> x509.Certificate | str:
    """Return the certificate, or the reason why it cannot be read."""
    try:
        return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        return f"{type(error).__name__}: {error}"


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()  # no decision depends on the names of an issuer
    return tuple(str(name.value) for name in names)


def _has_signed(issuer: x509.Certificate, below: x509.Certificate) -> bool | None:
    try:
        below.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        return False
    except (TypeError, UnsupportedAlgorithm):
        return None  # an unsupported kind of key
    return True


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * NS_PER_S
