"""Create a trust anchor and an issuer for a mesh that needs them at installation.

Both keys are stored in one file of the cluster's state directory that only its owner can read. No other file contains
a key, so an undo that restores an issuer reads it from there.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusters.model import Authority
from clusters.runtime import HarnessError

_FILE = "authority.json"
_OWNER_ONLY = 0o600
_DAY_S = 24 * 3600
_BEFORE = timedelta(minutes=5)  # tolerates clock skew between nodes


class Lives(msgspec.Struct, frozen=True):
    """Lifetimes of a mesh's certificates, in seconds; the defaults exceed the life of every kind cluster."""

    anchor_s: int = 3650 * _DAY_S
    issuer_s: int = 365 * _DAY_S


DEFAULT_LIVES = Lives()


class _Kept(msgspec.Struct, frozen=True):
    """The authority of one cluster, as stored in its state directory."""

    issuer_name: str
    lives: Lives
    anchors: str
    issuer: str
    issuer_key: str
    anchor_key: str = ""  # required to create another issuer; absent in clusters of older versions


def authority(state: Path, issuer_name: str, lives: Lives) -> Authority:
    """Return the authority of a cluster; the first call creates and stores it.

    Raises HarnessError when the stored one has another name or other lifetimes, cannot be read, or has expired: the
    cluster was installed with it, and its pods trust no other.
    """
    path = state / _FILE
    if path.exists():
        kept = _read(path, issuer_name, lives)
    else:
        kept = _make(issuer_name, lives)
        _write(path, kept)
    return Authority(kept.anchors, kept.issuer, kept.issuer_key)


def installed(state: Path) -> Authority:
    """Return the authority with which the cluster was installed; HarnessError when it cannot be read."""
    kept = _load(state / _FILE)
    return Authority(kept.anchors, kept.issuer, kept.issuer_key)


def successor(state: Path, life_s: float) -> Authority:
    """Return a new issuer of the same name under the cluster's trust anchor, valid for life_s from now.

    Raises HarnessError when the cluster has no authority, or the anchor's key was not stored.
    """
    path = state / _FILE
    kept = _load(path)
    if not kept.anchor_key:
        raise HarnessError(
            f"{path} holds no key of its trust anchor: an older version made it, and no other issuer can be made under "
            "that anchor. Delete the cluster."
        )
    anchor_key = serialization.load_pem_private_key(kept.anchor_key.encode(), password=None)
    if not isinstance(anchor_key, ec.EllipticCurvePrivateKey):
        raise HarnessError(f"The key of the trust anchor in {path} is not one of ours. Delete the cluster.")
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = _certificate(kept.issuer_name, key, _anchor_name(kept.issuer_name), anchor_key, life_s, path_length=0)
    return Authority(kept.anchors, _pem(issuer), _pem_key(key))


def foreign(state: Path) -> Authority:
    """Return an authority with the names of the cluster's own, under a new anchor that no workload trusts."""
    kept = _load(state / _FILE)
    made = _make(kept.issuer_name, kept.lives)
    return Authority(made.anchors, made.issuer, made.issuer_key)


def key_id(certificate: str) -> str:
    """Return the subject key id of a PEM certificate in hex digits."""
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    return loaded.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def unrelated_ca() -> str:
    """Return a CA certificate that signed nothing and whose key is discarded; PEM text."""
    key, name = ec.generate_private_key(ec.SECP256R1()), "stranger.meshdrill"
    return _pem(_certificate(name, key, name, key, _DAY_S, path_length=0))


def _load(path: Path) -> _Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError) as error:
        raise HarnessError(f"The cluster's authority {path} cannot be read: {error}. Delete the cluster.") from error


def _read(path: Path, issuer_name: str, lives: Lives) -> _Kept:
    kept = _load(path)
    try:
        ends = x509.load_pem_x509_certificate(kept.issuer.encode()).not_valid_after_utc
    except ValueError as error:
        raise HarnessError(f"The cluster's authority {path} cannot be read: {error}. Delete the cluster.") from error
    if (kept.issuer_name, kept.lives) != (issuer_name, lives):
        raise HarnessError(
            f"The cluster was installed with issuer {kept.issuer_name} and {kept.lives}, and its pods trust no other; "
            f"the run asks for {issuer_name} and {lives}. Delete the cluster."
        )
    if ends <= datetime.now(UTC):
        raise HarnessError(f"The cluster's issuer expired at {ends:%Y-%m-%dT%H:%M:%SZ}. Delete the cluster.")
    return kept


def _write(path: Path, kept: _Kept) -> None:
    """Create the file readable by its owner only, from the start."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(kept))


def _make(issuer_name: str, lives: Lives) -> _Kept:
    """Create a self-signed anchor, and under it an issuer that may sign only leaf certificates."""
    anchor_key, issuer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    anchor_name = _anchor_name(issuer_name)
    anchor = _certificate(anchor_name, anchor_key, anchor_name, anchor_key, lives.anchor_s, path_length=1)
    issuer = _certificate(issuer_name, issuer_key, anchor_name, anchor_key, lives.issuer_s, path_length=0)
    keys = _pem_key(issuer_key), _pem_key(anchor_key)
    return _Kept(issuer_name, lives, _pem(anchor), _pem(issuer), *keys)


def _anchor_name(issuer_name: str) -> str:
    return f"root.{issuer_name.partition('.')[2] or issuer_name}"


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: str,
    signer_key: ec.EllipticCurvePrivateKey,
    life_s: float,
    *,
    path_length: int,
) -> x509.Certificate:
    now = datetime.now(UTC)
    only_signs = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(name))
        .issuer_name(_common_name(signer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(seconds=life_s))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(only_signs, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer_key, hashes.SHA256())
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
