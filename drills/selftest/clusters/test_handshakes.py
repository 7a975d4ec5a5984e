"""The observer reads certificates of real TLS servers, also of those that reject it; how the harness records them."""

import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from clusters.meshes import load, names
from drills.judge.events import CertificateShown, CertificateText
from drills.judge.records import NS_PER_S
from drills.run import lines
from drills.run.certificates import CertificateReader
from drills.selftest.doubles.certificates import IDENTITY, LIFE, SINCE, der, leaf, written
from drills.selftest.doubles.lab_programs import Lab, free_port, running

# isort: split
import handshakes


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab without processes."""
    with running(tmp_path) as lab:
        yield lab


Served = tuple[int, tuple[bytes, bytes], list[str | None], list[str | None]]


@contextmanager
def server(folder: Path, *, mutual: bool) -> Iterator[Served]:
    """Serve TLS and send nothing; yield port, leaf and issuer, the agreed protocols, and the names asked for."""
    path, shown = written(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.set_alpn_protocols(["istio", "h2"])
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(path)
    agreed: list[str | None] = []
    named: list[str | None] = []
    context.sni_callback = lambda _session, name, _context: named.append(name)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as session:
                    agreed.append(session.selected_alpn_protocol())
            except OSError:  # rejected, or closed already
                agreed.append("turned away")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1], shown, agreed, named
        listener.shutdown(socket.SHUT_RDWR)


def wanted(pod: str, port: int, node: str = "n1", server_name: str = "") -> dict[str, object]:
    """Return an entry of a plan."""
    where = {"pod": pod, "node": node, "host": "127.0.0.1", "port": port}
    return {**where, "alpn": ["istio"], "server_name": server_name, "every_s": 0.2}


@pytest.mark.parametrize("mutual", [True, False])
def test_a_certificate_is_seen_even_by_whom_the_server_turns_away(lab: Lab, tmp_path: Path, mutual: bool) -> None:
    """A server that requires a client certificate presents its own first: logged in full once, then by its SHA-256."""
    with server(tmp_path, mutual=mutual) as (port, shown, agreed, named):
        lab.start("observer")
        lab.plan(certificates=[wanted("ledger", port), wanted("far", port, "n2")])
        lab.wait(lambda: len(lab.lines("certificate", pod="ledger")) > 2, "three looks")
    first, *later = lab.lines("certificate", pod="ledger")[:3]
    assert tuple(map(base64.b64decode, first["chain"])) == shown
    assert first["is_whole"] is True
    assert {line["fingerprint"] for line in (first, *later)} == {hashlib.sha256(shown[0]).hexdigest()}
    assert [line["chain"] for line in later] == [[], []]
    assert lab.lines("certificate", pod="far") == []
    assert ("turned away" in agreed) is mutual
    assert ("istio" in agreed) is not mutual
    assert set(named) == {None}


class _Session:
    """A TLS session of a Python that has one of the two chain methods, or none."""

    def __init__(self, **ways: object) -> None:
        vars(self).update(ways)


class _Inner:
    def public_bytes(self, encoding: int) -> bytes:
        return {1: b"as text", 2: b"leaf"}[encoding]


@pytest.mark.parametrize(
    ("ways", "chain"),
    [
        ({"get_unverified_chain": lambda: [b"leaf", b"root"]}, (b"leaf", b"root")),
        ({"get_unverified_chain": list}, ()),
        ({"_sslobj": _Session(get_unverified_chain=lambda: [_Inner()])}, (b"leaf",)),
        ({"_sslobj": _Session(get_unverified_chain=lambda: None)}, ()),
        ({"_sslobj": _Session()}, ()),
        ({}, ()),
    ],
)
def test_a_chain_that_this_python_cannot_tell_is_not_made_up(ways: dict[str, object], chain: tuple[bytes, ...]) -> None:
    """By its public or its private method; without either, only the leaf is logged."""
    assert handshakes.presented(_Session(**ways)) == chain  # type: ignore[arg-type]


def test_a_server_is_asked_for_by_name_where_the_plan_says_so(lab: Lab, tmp_path: Path) -> None:
    """A proxy that answers only for its own name gets it as SNI and presents its certificate."""
    with server(tmp_path, mutual=False) as (port, shown, _, named):
        lab.start("observer")
        lab.plan(certificates=[wanted("ledger", port, server_name="ledger.lab.mesh.local")])
        lab.wait(lambda: bool(lab.lines("certificate", pod="ledger")), "a look")
    assert lab.lines("certificate")[0]["fingerprint"] == hashlib.sha256(shown[0]).hexdigest()
    assert set(named) == {"ledger.lab.mesh.local"}


def test_whoever_shows_no_certificate_is_written_down_with_the_reason(lab: Lab) -> None:
    """A closed port, a server that speaks no TLS and one that says nothing are three different errors."""
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as mute:
        threading.Thread(target=_answer_in_the_clear, args=(plain,), daemon=True).start()
        ports = {"dead": free_port(), "plain": plain.getsockname()[1], "mute": mute.getsockname()[1]}
        lab.start("observer")
        lab.plan(certificates=[wanted(name, port) for name, port in ports.items()])
        lab.wait(lambda: all(lab.lines("certificate", pod=name) for name in ports), "a look at each")
    seen = {name: lab.lines("certificate", pod=name)[0] for name in ports}
    assert seen["dead"]["error"].startswith("ConnectionRefusedError")
    assert seen["plain"]["error"].startswith("SSLError")
    assert seen["mute"]["error"] == "no handshake within 3.0 s"
    assert all((line["fingerprint"], line["chain"]) == ("", []) for line in seen.values())


def _answer_in_the_clear(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def look(fingerprint: str = "", *chain: bytes, error: str = "", at_ns: int = 1) -> lines.Certificate:
    """Return a look at ledger."""
    text = tuple(base64.b64encode(it).decode() for it in chain)
    return lines.Certificate(
        at_ns=at_ns, pod="ledger-1", node="n1", fingerprint=fingerprint, chain=text, is_whole=False, error=error
    )


def events(*looks: lines.Certificate) -> list[CertificateShown | CertificateText]:
    """Return what one reader makes of the looks."""
    reader = CertificateReader()
    return [event for one in looks for event in reader.events_of(one)]


def text_of(*looks: lines.Certificate) -> CertificateText:
    """Return what one reader says of the first leaf in the looks."""
    text = events(*looks)[0]
    assert isinstance(text, CertificateText)
    return text


def test_a_look_becomes_an_event_that_the_judge_reads() -> None:
    """The details of a certificate are recorded once; each handshake records its fingerprint and validity."""
    begins_ns = round(SINCE.timestamp()) * NS_PER_S
    validity = {"not_before_ns": begins_ns, "not_after_ns": begins_ns + round(LIFE.total_seconds()) * NS_PER_S}
    shown = der(leaf()[0])
    text, first, second = events(look("ab", shown), look("ab", at_ns=9))
    assert isinstance(text, CertificateText)
    assert (text.subject, text.detail.san) == ("ab", (IDENTITY,))
    assert (text.detail.issuer, text.detail.serial, text.detail.is_whole) == ("O=meshdrill test", "ff", False)
    assert text.detail.chain == (base64.b64encode(shown).decode(),)
    seen = CertificateShown.Detail(node="n1", fingerprint="ab", **validity, error="")
    assert [first, second] == [CertificateShown(at_ns, "ledger-1", seen) for at_ns in (1, 9)]


def test_a_certificate_says_which_key_signed_it() -> None:
    """Two issuers of one name differ by their key ids; a certificate without one leaves the issuer unknown."""
    made, key = leaf()
    signer = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    for named, expected in (
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), signer.digest.hex()),
        (x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(made.issuer)], 1), ""),
    ):
        builder = x509.CertificateBuilder().subject_name(made.subject).issuer_name(made.issuer).serial_number(255)
        builder = builder.public_key(made.public_key()).not_valid_before(SINCE).not_valid_after(SINCE + LIFE)
        shown = der(builder.add_extension(named, critical=False).sign(key, hashes.SHA256()))
        assert text_of(look("ab", shown)).detail.signer == expected
    assert text_of(look("ab", der(made))).detail.signer == ""


@pytest.mark.parametrize("name", ["https://example.org", "spiffe.example.org", "cluster.local.example.org"])
def test_whoever_is_no_workload_leaves_no_word_in_the_evidence(name: str) -> None:
    """A handshake that ended outside the cluster is recorded as such, without the peer's name or chain."""
    found = events(look("ab", der(leaf(name)[0])), look("ab", at_ns=9))
    assert [type(event) for event in found] == [CertificateShown, CertificateShown]
    assert all(str(event.detail.error).startswith("a host outside the cluster") for event in found)
    assert not any(event.detail.not_after_ns for event in found if isinstance(event, CertificateShown))


def test_a_name_below_the_domain_of_the_cluster_is_a_workload() -> None:
    """Not every mesh writes SPIFFE IDs."""
    named = "ledger.lab.serviceaccount.identity.mesh.cluster.local"
    assert text_of(look("ab", der(leaf(named)[0]))).detail.san == (named,)


def test_a_certificate_without_names_has_none() -> None:
    """No subject alternative name is no error."""
    assert text_of(look("ab", der(leaf(None)[0]))).detail.san == ()


@pytest.mark.parametrize(
    ("seen", "error"),
    [
        (look(error="no handshake within 3.0 s"), "no handshake within 3.0 s"),
        (look(), "none was shown"),
        (look("ab"), "the log line with its text is lost"),
        (look("ab", b"no certificate"), "ValueError"),
    ],
)
def test_a_look_that_shows_nothing_says_why(seen: lines.Certificate, error: str) -> None:
    """An invalid handshake is recorded with its reason and without a validity."""
    event = events(seen)[-1]
    assert isinstance(event, CertificateShown)
    assert error in event.detail.error
    assert event.detail.not_after_ns is None


def test_only_meshes_with_certificates_are_looked_at() -> None:
    """Exactly the meshes that issue leaf certificates have a handshake; the others promise none."""
    for name in names():
        mesh = load(name)
        assert mesh.certificates.handshake is None or mesh.certificates.leaf_ttl_s > 0, name
        promise = mesh.promises.of("any-drill", "certificates-valid")
        assert promise is not None, name
        assert (mesh.certificates.handshake is None) is (promise.kind == "not-promised"), name
    assert load("istio-sidecar").certificates.handshake is not None
