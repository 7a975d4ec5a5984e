"""Certificates of no mesh: made in memory, so that tests know every word of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LIFE = timedelta(hours=24)
IDENTITY = "spiffe://cluster.local/ns/lab/sa/ledger"


def leaf(identity: str | None = IDENTITY) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate for an identity, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "meshdrill test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(255)
    )
    made = made.not_valid_before(SINCE).not_valid_after(SINCE + LIFE)
    if identity is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        made = made.add_extension(names, critical=True)
    return made.sign(key, hashes.SHA256()), key


def der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as it goes over the wire."""
    return certificate.public_bytes(serialization.Encoding.DER)


def written(folder: Path) -> tuple[Path, bytes]:
    """Write a certificate and its key for a TLS server; return the file and the certificate as DER."""
    made, key = leaf()
    text = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(text)
    return path, der(made)
