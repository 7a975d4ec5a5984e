"""Faults of injection: what counts is what the API server does with a new pod, and every field comes back."""

from base64 import b64decode
from pathlib import Path

import pytest
from cryptography import x509

from clusters.kube import Admission
from clusters.model import Membership
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import Fault
from drills.run.undo import UndoLog, leftovers, sweep
from drills.selftest.doubles.fault_steps import Ready, change
from drills.selftest.doubles.fault_steps import ready as on_double
from drills.selftest.doubles.injection_double import FAULTS, HOOK, LABEL, ROOT, InjectedCluster, injected_mesh

REPLACED, IGNORED, UNENROLLED = FAULTS.values()


@pytest.fixture
def double(tmp_path: Path) -> InjectedCluster:
    """Return an injector that is asked about every new pod."""
    return InjectedCluster(tmp_path)


def ready(double: InjectedCluster, fault: Fault, **facts: object) -> Ready:
    """Return the fault, prepared and not injected."""
    return on_double(double, fault, injected_mesh(**facts))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_receipt_comes_after_the_fault_and_goes_with_the_undo(double: InjectedCluster, fault: Fault) -> None:
    """The dry run of a new pod shows all containers before, none during the fault, and all after it."""
    whole = double.load().objects
    prepared = ready(double, fault)
    assert not prepared.receipt().landed
    prepared.inject()
    receipt = prepared.receipt(0)
    assert receipt.landed
    assert not receipt.momentary
    assert "proxy" in prepared.reverted() or "still exist" in prepared.reverted()
    prepared.revert()
    assert prepared.reverted() == ""
    assert not prepared.receipt().landed
    assert double.load().objects == whole


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_change_that_is_not_in_force_has_no_receipt(double: InjectedCluster, fault: Fault) -> None:
    """An object that takes no change lets the mesh go on, whatever the actor believes it did."""
    prepared = ready(double, fault)
    change(double, survives=True)
    prepared.inject()
    assert not prepared.receipt().landed


@pytest.mark.parametrize(
    ("policy", "words"), [("Fail", f'refused: failed calling webhook "{HOOK}": no'), ("Ignore", "admitted with app")]
)
def test_broken_webhook_fails_as_its_policy_says(tmp_path: Path, policy: str, words: str) -> None:
    """Where a failing webhook refuses pods, a refusal in its name is the receipt; elsewhere a pod that came as is."""
    double = InjectedCluster(tmp_path, policy)
    prepared = ready(double, REPLACED)
    prepared.inject()
    receipt = prepared.receipt()
    assert (receipt.landed, receipt.evidence) == (True, words)
    bundle = x509.load_pem_x509_certificate(b64decode(double.hook["clientConfig"]["caBundle"]))
    assert bundle.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_webhook_that_its_mesh_repairs_loses_the_receipt(double: InjectedCluster) -> None:
    """Without the label that takes it from its owner_label the webhook is whole at once, and nothing has landed."""
    prepared = ready(double, REPLACED)
    prepared.inject()
    assert prepared.receipt().landed
    prepared.revert()
    assert double.hook["clientConfig"]["caBundle"] == ROOT
    assert not prepared.receipt().landed


def test_refusal_by_another_is_no_receipt(double: InjectedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that a quota or another webhook refuses proves nothing about the fault."""
    for fault in FAULTS.values():
        prepared = ready(double, fault)
        with monkeypatch.context() as patched:
            patched.setattr(double, "try_pod", lambda _pod: Admission("refused", 'webhook "policy.other": no'))
            assert not prepared.receipt().landed


def test_api_that_cannot_be_asked_is_a_blind_observer(double: InjectedCluster) -> None:
    """Neither yes nor no."""
    prepared = ready(double, REPLACED)
    change(double, is_api_dead=True)
    with pytest.raises(HarnessError, match="could not be asked about a new pod"):
        prepared.receipt()


def test_half_done_fault_is_swept(double: InjectedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook is passed over already and the injector not stopped yet: one sweep puts both right."""
    whole = double.load().objects
    prepared = ready(double, IGNORED)
    UndoLog(double.state).write(prepared.entry)
    with monkeypatch.context() as patched:
        patched.setattr(double, "delete_pod", lambda *_asked, **_options: pytest.fail("killed here"))
        with pytest.raises(pytest.fail.Exception):
            prepared.inject()
    assert double.hook["failurePolicy"] == "Ignore"
    assert len(sweep(double)) == 1
    assert (double.load().objects, leftovers(double.state)) == (whole, ())


def test_mesh_that_puts_nothing_into_pods_is_not_hurt(double: InjectedCluster) -> None:
    """A receipt that was there before would prove nothing."""
    double.patch({"kind": "Namespace", "metadata": {"name": "lab", "labels": {LABEL: None}}})
    for fault in FAULTS.values():
        with pytest.raises(HarnessError, match="gets nothing from the mesh"):
            ready(double, fault)


def test_only_the_mesh_s_own_labels_go(double: InjectedCluster) -> None:
    """What else the namespace carries stays."""
    ready(double, UNENROLLED).inject()
    assert double.labels == {"other": "x"}


@pytest.mark.parametrize(
    ("fault", "facts", "match"),
    [
        (REPLACED, {"webhooks": ()}, "has no mutating webhook"),
        (UNENROLLED, {"membership": Membership(lambda *_: True)}, "enrols a namespace by no label"),
    ],
)
def test_mesh_without_what_is_broken_is_refused(
    double: InjectedCluster, fault: Fault, facts: dict[str, object], match: str
) -> None:
    """A mesh that has no webhook, or enrols by nothing that could go, cannot be asked."""
    with pytest.raises(UsageError, match=match):
        ready(double, fault, **facts)


def test_missing_webhook_is_reported(double: InjectedCluster) -> None:
    """A mesh that is not installed is not broken."""
    change(double, objects={})
    with pytest.raises(HarnessError, match="does not exist"):
        ready(double, REPLACED)
