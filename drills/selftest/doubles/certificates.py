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


def issued(identity: str = IDENTITY) -> tuple[x509.Certificate, x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate for an identity, that of the issuer that signed it, and the key of the first."""
    key, root = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ours, theirs = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, it)]) for it in ("ledger", "the issuer"))
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])

    def made(subject: x509.Name, public: ec.EllipticCurvePublicKey, number: int) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(theirs).public_key(public)
        return builder.serial_number(number).not_valid_before(SINCE).not_valid_after(SINCE + LIFE)

    below = made(ours, key.public_key(), 255).add_extension(names, critical=False).sign(root, hashes.SHA256())
    above = made(theirs, root.public_key(), 4095).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    return below, above.sign(root, hashes.SHA256()), key


def der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as it goes over the wire."""
    return certificate.public_bytes(serialization.Encoding.DER)


def written(folder: Path) -> tuple[Path, tuple[bytes, bytes]]:
    """Write a leaf, its issuer's certificate and the leaf's key for a TLS server; return the file and both as DER."""
    below, above, key = issued()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(b"".join(it.public_bytes(serialization.Encoding.PEM) for it in (below, above)) + secret)
    return path, (der(below), der(above))
