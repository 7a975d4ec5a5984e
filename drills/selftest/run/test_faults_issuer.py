"""Faults of the issuer: what counts is the file before its process, and what was there before comes back."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from clusters.ca import installed, key_id
from clusters.model import Certificates
from clusters.runtime import HarnessError, UsageError
from drills.judge.events import FaultAccount
from drills.run import faults
from drills.run.active_fault import ActiveFault
from drills.run.context import Context
from drills.run.faults.issuer import RotateIssuer
from drills.run.phase import CurrentPhase
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.undo import UndoLog
from drills.selftest.doubles.fault_steps import Ready, change
from drills.selftest.doubles.fault_steps import ready as on_double
from drills.selftest.doubles.issuer_double import NAME, SECRET, STORED, IssuedCluster, issued_mesh, key_of
from drills.selftest.doubles.short_timing import SHORT

ROTATED = faults.rotate_issuer(faults.ROTATED, hold_s=1.0)
UNTRUSTED = faults.rotate_issuer(faults.UNTRUSTED, hold_s=1.0)
EXPIRED = faults.rotate_issuer(faults.EXPIRED, hold_s=1.0, life_s=60.0)


@pytest.fixture
def double(tmp_path: Path) -> IssuedCluster:
    """Return an issuer that signs with what the cluster was installed with."""
    return IssuedCluster(tmp_path)


def ready(double: IssuedCluster, fault: RotateIssuer, **facts: object) -> Ready:
    """Return the fault, prepared and not injected."""
    return on_double(double, fault, issued_mesh(**facts))


@pytest.mark.parametrize("fault", [ROTATED, UNTRUSTED], ids=lambda fault: fault.issuer)
def test_receipt_comes_with_the_file_and_goes_with_the_undo(double: IssuedCluster, fault: RotateIssuer) -> None:
    """The issuer's process has the old one, then the new one, then the old one again."""
    whole = double.load().objects
    prepared = ready(double, fault)
    assert not prepared.receipt().landed
    prepared.inject()
    receipt = prepared.receipt(0)
    assert receipt.landed
    assert not receipt.momentary
    assert "the new issuer" in receipt.evidence
    assert "does not hold the issuer" in prepared.reverted()
    prepared.revert()
    assert prepared.reverted() == ""
    assert not prepared.receipt().landed
    assert double.load().objects == whole


@pytest.mark.parametrize("fault", [ROTATED, UNTRUSTED], ids=lambda fault: fault.issuer)
def test_what_is_stored_ends_its_last_line(double: IssuedCluster, fault: RotateIssuer) -> None:
    """An issuer that puts certificate and anchor together gets two, then and after the undo, not one that is broken."""
    prepared = ready(double, fault)
    prepared.inject()
    mine = double.stored
    prepared.revert()
    for text in (mine, double.stored):
        assert len(x509.load_pem_x509_certificates((text + installed(double.state).anchors).encode())) == 2
        assert text.endswith("-----END CERTIFICATE-----\n")


def test_secret_that_is_stored_only_has_no_receipt(double: IssuedCluster) -> None:
    """Until the kubelet brought it to the process nothing has landed, and nothing is undone either."""
    prepared = ready(double, ROTATED)
    change(double, survives=True)
    prepared.inject()
    assert not prepared.receipt().landed
    double.project()
    assert prepared.receipt().landed
    prepared.revert()
    assert "is not yet in /var/run/issuer of brain" in prepared.reverted()
    double.project()
    assert prepared.reverted() == ""


def test_issuer_that_ends_in_service_lands_at_its_end(double: IssuedCluster) -> None:
    """It is taken up while it is good; only when its life is over is the fault in force."""
    life_s = 3.0
    prepared = ready(double, faults.rotate_issuer(faults.EXPIRED, hold_s=1.0, life_s=life_s))
    assert prepared.prepared.land_extra_s(SHORT) >= life_s
    prepared.inject()
    early = prepared.receipt()
    assert (early.landed, "before it expires" in early.evidence) == (False, True)
    time.sleep(life_s)
    late = prepared.receipt()
    assert (late.landed, "expired" in late.evidence) == (True, True)


def test_issuer_that_was_over_before_it_came_there_has_no_receipt(double: IssuedCluster) -> None:
    """A kubelet slower than the issuer's life makes another fault of it, which is not claimed to have landed."""
    prepared = ready(double, faults.rotate_issuer(faults.EXPIRED, hold_s=1.0, life_s=0.0))
    prepared.inject()
    seen = prepared.receipt()
    assert (seen.landed, seen.evidence.endswith("expired before the process had it")) == (False, True)


def test_each_kind_is_what_it_says(double: IssuedCluster) -> None:
    """Rotated and expired stand under the cluster's anchor, the stranger under another of the same name."""
    before = installed(double.state)
    anchor = x509.load_pem_x509_certificate(before.anchors.encode())
    made = {}
    for fault in (ROTATED, EXPIRED, UNTRUSTED):
        prepared = ready(double, fault)
        prepared.inject()
        made[fault.issuer] = x509.load_pem_x509_certificate(double.stored.encode())
        assert prepared.prepared.signer == key_id(double.stored)
        assert f"issuer {key_id(before.issuer)} replaced" in prepared.inject()
        prepared.revert()
    for it in made.values():
        assert it.issuer == anchor.subject
        assert it.subject.rfc4514_string() == f"CN={NAME}"
    made[faults.ROTATED].verify_directly_issued_by(anchor)
    made[faults.EXPIRED].verify_directly_issued_by(anchor)
    with pytest.raises(InvalidSignature):
        made[faults.UNTRUSTED].verify_directly_issued_by(anchor)
    left = made[faults.EXPIRED].not_valid_after_utc - datetime.now(UTC)
    assert timedelta(seconds=40) < left <= timedelta(seconds=60)


def test_no_key_leaves_the_state_file(double: IssuedCluster) -> None:
    """Undo log and events name the key and do not hold it; checks learn whose signature to look for."""
    cluster = double
    context = Context(
        "r1",
        cluster,
        issued_mesh(),
        Recorder(),
        UndoLog(cluster.state),
        CurrentPhase(),
        Tail(cluster.share, "r1"),
        timing=SHORT,
    )
    active = ActiveFault(context, ROTATED)
    active.inject()
    (entry,) = (double.state / "undo").glob("*.json")
    said = str(context.recorder.events())
    assert key_of(double) not in entry.read_text() + said
    assert "PRIVATE" not in entry.read_text() + said
    (account,) = [event for event in context.recorder.events() if isinstance(event, FaultAccount)]
    assert account.detail.signer == key_id(double.stored)
    active.undo()
    assert [event.kind for event in context.recorder.events()][-1] == "fault.undo_verified"


def test_pod_that_was_replaced_is_found_again(double: IssuedCluster) -> None:
    """The issuer's next process has its own files."""
    prepared = ready(double, ROTATED)
    prepared.inject()
    (before,) = double.load().brains()
    double.delete_pod("system", before.pod)
    assert prepared.receipt().landed


@pytest.mark.parametrize(
    ("stored", "match"),
    [({}, "does not hold the issuer"), ({"crt.pem": "eA==", "key.pem": "eA=="}, "does not hold"), (None, "not exist")],
)
def test_secret_that_could_not_be_restored_is_not_touched(
    double: IssuedCluster, stored: dict[str, str] | None, match: str
) -> None:
    """What the cluster was not installed with is in no file of ours."""
    world = double.load()
    world.objects[STORED] = {"data": stored}
    if stored is None:
        del world.objects[STORED]
    double.save(world)
    with pytest.raises(HarnessError, match=match):
        ready(double, ROTATED)


def test_authority_of_an_older_version_is_reported(double: IssuedCluster) -> None:
    """Without the anchor's key no other issuer can be made under it."""
    path = double.state / "authority.json"
    kept = msgspec.json.decode(path.read_bytes())
    del kept["anchor_key"]
    path.write_bytes(msgspec.json.encode(kept))
    assert installed(double.state).issuer == kept["issuer"]
    with pytest.raises(HarnessError, match="an older version made it"):
        ready(double, ROTATED)


def test_missing_authority_is_reported(double: IssuedCluster) -> None:
    """Nothing is done that could not be undone."""
    (double.state / "authority.json").unlink()
    with pytest.raises(HarnessError, match="cannot be read"):
        ready(double, UNTRUSTED)


def test_process_without_the_file_is_a_blind_observer(double: IssuedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither yes nor no; and no undo is verified without a look."""
    prepared = ready(double, ROTATED)
    monkeypatch.setattr("drills.selftest.doubles.issuer_double.SECRET", replace(SECRET, folder="/elsewhere"))
    with pytest.raises(HarnessError, match=r"No process of Deployment system/brain has crt\.pem"):
        prepared.receipt()
    assert "of any process" in prepared.reverted()


def test_mesh_that_makes_its_own_issuer_is_refused(double: IssuedCluster) -> None:
    """There is no Secret whose content is ours."""
    with pytest.raises(UsageError, match="GIVEN_ISSUER"):
        ready(double, ROTATED, certificates=Certificates(leaf_ttl_s=0))


def test_title_says_what_comes_in_its_place() -> None:
    """People read which issuer it was."""
    assert EXPIRED.title == "rotate-issuer identity expired"
