"""The authority that the harness creates for a mesh: a valid chain, readable by its owner only."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from clusters.ca import DEFAULT_LIVES, Lives, authority, foreign, installed, key_id, successor
from clusters.install import create_issuer_secret
from clusters.kube import Json
from clusters.meshes import load
from clusters.model import Capability
from clusters.runtime import HarnessError
from drills.selftest.doubles.strict_double import StrictCluster, StrictKube

NAME = "identity.mesh.cluster.local"


class AppliedObjects(StrictKube):
    """An API server that keeps what is applied, in order."""

    def __init__(self) -> None:
        self.objects: list[Json] = []

    def apply_all(self, manifests: Sequence[Mapping[str, object]]) -> None:
        """Keep them."""
        self.objects += map(dict, manifests)


def test_the_issuer_is_signed_by_the_anchor_and_may_sign_leaves_only(tmp_path: Path) -> None:
    """The chain verifies, the key is the issuer's, its name is the one asked for, and no issuer can stand under it."""
    made = authority(tmp_path, NAME, DEFAULT_LIVES)
    anchor, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (made.anchors, made.issuer))
    issuer.verify_directly_issued_by(anchor)
    anchor.verify_directly_issued_by(anchor)
    assert load_pem_private_key(made.issuer_key.encode(), password=None).public_key() == issuer.public_key()
    names = issuer.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    limits = [it.extensions.get_extension_for_class(x509.BasicConstraints).value for it in (anchor, issuer)]
    assert [(limit.ca, limit.path_length) for limit in limits] == [(True, 1), (True, 0)]


def test_the_lives_are_those_asked_for(tmp_path: Path) -> None:
    """Anchor and issuer end when they were asked to."""
    made = authority(tmp_path, NAME, Lives(anchor_s=7200, issuer_s=600))
    anchor, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (made.anchors, made.issuer))
    early = anchor.not_valid_after_utc - issuer.not_valid_after_utc - timedelta(seconds=6600)
    assert abs(early) < timedelta(seconds=10)


def test_a_kept_cluster_keeps_its_authority(tmp_path: Path) -> None:
    """The second call gives what the first one made, from a file that only its owner may read."""
    assert authority(tmp_path, NAME, DEFAULT_LIVES) == authority(tmp_path, NAME, DEFAULT_LIVES)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "lives", "words"),
    [("identity.other", DEFAULT_LIVES, "trust no other"), (NAME, Lives(issuer_s=60), "trust no other")],
)
def test_another_authority_on_the_same_cluster_is_refused(tmp_path: Path, name: str, lives: Lives, words: str) -> None:
    """Another name or lifetime is refused: the cluster's pods trust the first authority."""
    authority(tmp_path, NAME, DEFAULT_LIVES)
    with pytest.raises(HarnessError, match=words):
        authority(tmp_path, name, lives)


def test_an_expired_issuer_is_refused(tmp_path: Path) -> None:
    """An issuer that has ended is not installed again."""
    ended = Lives(issuer_s=-1)
    authority(tmp_path, NAME, ended)
    with pytest.raises(HarnessError, match="issuer expired at"):
        authority(tmp_path, NAME, ended)


def test_a_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    """An unreadable authority is an error and is not replaced."""
    authority(tmp_path, NAME, DEFAULT_LIVES)
    [file] = tmp_path.iterdir()
    file.write_bytes(msgspec.json.encode({"issuer_name": NAME}))
    with pytest.raises(HarnessError, match=r"authority\.json cannot be read"):
        authority(tmp_path, NAME, DEFAULT_LIVES)


def test_a_mesh_takes_its_authority_in_its_own_values(tmp_path: Path) -> None:
    """The chart values contain trust anchor, issuer and key."""
    issuance = load("linkerd").certificates.issuance
    assert issuance is not None
    made = authority(tmp_path, issuance.issuer_name, DEFAULT_LIVES)
    issuer = {"tls": {"crtPEM": made.issuer, "keyPEM": made.issuer_key}}
    assert issuance.values(made) == {"identityTrustAnchorsPEM": made.anchors, "identity": {"issuer": issuer}}


@pytest.mark.parametrize("name", ["istio-sidecar-ca", "istio-ambient-ca"])
def test_a_mesh_that_looks_for_its_authority_finds_it(name: str, tmp_path: Path) -> None:
    """The Secret with issuer, key and anchor exists before the charts, which do not contain them."""
    mesh, applied = load(name), AppliedObjects()
    assert mesh.certificates.issuance is not None
    assert Capability.GIVEN_ISSUER in mesh.capabilities - set(mesh.absent)
    made = authority(tmp_path, mesh.certificates.issuance.issuer_name, DEFAULT_LIVES)
    create_issuer_secret(StrictCluster(applied, tmp_path), mesh.certificates.issuance.secret, made)
    assert [(it["kind"], it["metadata"]["name"]) for it in applied.objects] == [
        ("Namespace", "istio-system"),
        ("Secret", "cacerts"),
    ]
    assert applied.objects[1]["stringData"] == {
        "tls.crt": made.issuer,
        "tls.key": made.issuer_key,
        "ca.crt": made.anchors,
    }
    assert mesh.certificates.issuance.values(made) == {}


def test_a_chart_that_makes_the_secret_finds_none(tmp_path: Path) -> None:
    """A Secret that the chart creates is not created before it."""
    issuance, applied = load("linkerd").certificates.issuance, AppliedObjects()
    assert issuance is not None
    create_issuer_secret(
        StrictCluster(applied, tmp_path), issuance.secret, authority(tmp_path, issuance.issuer_name, DEFAULT_LIVES)
    )
    assert applied.objects == []


def test_another_issuer_stands_under_the_same_anchor(tmp_path: Path) -> None:
    """It has the name of the first, a key of its own, and the life that was asked for; the file stays as it was."""
    made = authority(tmp_path, NAME, DEFAULT_LIVES)
    [file] = tmp_path.iterdir()
    before = file.read_bytes()
    other = successor(tmp_path, 60.0)
    anchor, first, then = (
        x509.load_pem_x509_certificate(text.encode()) for text in (made.anchors, made.issuer, other.issuer)
    )
    then.verify_directly_issued_by(anchor)
    assert (then.subject, then.issuer, other.anchors) == (first.subject, first.issuer, made.anchors)
    assert key_id(other.issuer) != key_id(made.issuer)
    assert load_pem_private_key(other.issuer_key.encode(), password=None).public_key() == then.public_key()
    assert timedelta(seconds=50) < then.not_valid_after_utc - datetime.now(UTC) <= timedelta(seconds=60)
    assert (file.read_bytes(), installed(tmp_path)) == (before, made)


def test_a_foreign_authority_has_the_same_names_and_another_anchor(tmp_path: Path) -> None:
    """It differs only in its keys, not in its names."""
    made, other = authority(tmp_path, NAME, DEFAULT_LIVES), foreign(tmp_path)
    first, then = (x509.load_pem_x509_certificate(text.encode()) for text in (made.issuer, other.issuer))
    assert (then.subject, then.issuer) == (first.subject, first.issuer)
    then.verify_directly_issued_by(x509.load_pem_x509_certificate(other.anchors.encode()))
    with pytest.raises(InvalidSignature):
        then.verify_directly_issued_by(x509.load_pem_x509_certificate(made.anchors.encode()))


def test_an_anchor_s_key_that_is_not_ours_is_told(tmp_path: Path) -> None:
    """An edited file is an error that says to delete the cluster."""
    authority(tmp_path, NAME, DEFAULT_LIVES)
    [file] = tmp_path.iterdir()
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file.write_bytes(msgspec.json.encode({**msgspec.json.decode(file.read_bytes()), "anchor_key": text}))
    with pytest.raises(HarnessError, match="not one of ours"):
        successor(tmp_path, 60.0)
