"""Parses the certificates that pods present in TLS handshakes, each certificate once."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from drills.judge.events import CertificateShown, CertificateText
from drills.judge.records import NS_PER_S
from drills.run import lines

_FOREIGN = "a host outside the cluster answered at the pod's address: none of the names is a workload's"
_OF_WORKLOADS = re.compile(r"spiffe://|.*\.cluster\.local$")  # an X509-SVID, or a name under the cluster's domain


@dataclass(frozen=True)
class _Text:
    """The fields of one leaf certificate."""

    subject: str
    issuer: str
    signer: str  # key id of the issuer, "" when the certificate has none
    serial: str
    san: tuple[str, ...]
    not_before_ns: int
    not_after_ns: int


class CertificateReader:
    """Turns the observations of one run into events; keeps every certificate that it has parsed."""

    def __init__(self) -> None:
        self._read: dict[str, _Text | str] = {}  # fingerprint -> its fields, or why it cannot be parsed

    def events_of(self, line: lines.Certificate) -> Iterator[CertificateShown | CertificateText]:
        """Yield a CertificateShown, preceded by a CertificateText when the leaf is new."""
        if line.error or not line.fingerprint:
            nothing = CertificateShown.Detail(node=line.node, error=line.error or "none was shown")
            yield CertificateShown(line.at_ns, line.pod, nothing)
            return
        if line.fingerprint not in self._read and line.chain:
            self._read[line.fingerprint] = _parsed(line.chain[0])
            # Without a route to the pod, the handshake may leave the cluster: a foreign certificate is no evidence.
            if self._read[line.fingerprint] != _FOREIGN:
                yield self._text_event(line)
        text = self._read.get(line.fingerprint, "the log line with its text is lost")
        if isinstance(text, str):
            shown = CertificateShown.Detail(node=line.node, error=text, fingerprint=line.fingerprint)
        else:
            shown = CertificateShown.Detail(
                node=line.node,
                error="",
                fingerprint=line.fingerprint,
                not_before_ns=text.not_before_ns,
                not_after_ns=text.not_after_ns,
            )
        yield CertificateShown(line.at_ns, line.pod, shown)

    def _text_event(self, line: lines.Certificate) -> CertificateText:
        text = self._read[line.fingerprint]
        if isinstance(text, str):
            said = CertificateText.Detail(chain=line.chain, is_whole=line.is_whole, error=text)
        else:
            said = CertificateText.Detail(
                chain=line.chain,
                is_whole=line.is_whole,
                subject=text.subject,
                issuer=text.issuer,
                signer=text.signer,
                serial=text.serial,
                san=text.san,
            )
        return CertificateText(line.at_ns, line.fingerprint, said)


def _parsed(text: str) -> _Text | str:
    """Return the fields of a base64 DER certificate, or why it cannot be parsed."""
    try:
        leaf = x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        names = _names(leaf)
        if names and not any(map(_OF_WORKLOADS.match, names)):
            return _FOREIGN
        return _Text(
            subject=leaf.subject.rfc4514_string(),
            issuer=leaf.issuer.rfc4514_string(),
            signer=_signer(leaf),
            serial=f"{leaf.serial_number:x}",
            san=names,
            not_before_ns=_ns(leaf.not_valid_before_utc),
            not_after_ns=_ns(leaf.not_valid_after_utc),
        )
    except (ValueError, binascii.Error, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return f"{type(error).__name__}: {error}"


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _signer(leaf: x509.Certificate) -> str:
    try:
        named = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    return named.hex() if named else ""


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * NS_PER_S  # certificates have whole seconds
