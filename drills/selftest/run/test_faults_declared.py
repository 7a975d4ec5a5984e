"""A declaration is stored, seen again all along, and taken back whole: what was made goes, what was changed returns."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from clusters.kube import Admission
from clusters.runtime import HarnessError, UsageError
from drills.run import faults
from drills.run.faults import Fault
from drills.run.undo import UndoLog, leftovers, sweep
from drills.selftest.doubles.cluster_world import World
from drills.selftest.doubles.declared_double import APPLIED as BOUND
from drills.selftest.doubles.declared_double import DELETED as GONE
from drills.selftest.doubles.declared_double import DeclaredCluster
from drills.selftest.doubles.fault_steps import Ready
from drills.selftest.doubles.fault_steps import ready as on_double

RULE = "NetworkPolicy/lab/bound-rule"
PROXY = "Deployment/lab/nowhere"


@pytest.fixture
def double(tmp_path: Path) -> DeclaredCluster:
    """Return a front door about which nothing is declared."""
    return DeclaredCluster(tmp_path)


def ready(double: DeclaredCluster, fault: Fault = BOUND) -> Ready:
    """Return the objects, ready to be applied."""
    return on_double(double, fault)


def test_declaration_is_seen_while_it_stands_and_goes_with_its_undo(double: DeclaredCluster) -> None:
    """The rule is made and the Service changed; the undo removes the one and puts the other's label back."""
    before = double.load().objects
    prepared = ready(double)
    assert prepared.receipt().evidence == (
        "Service lab/frontend is stored with other fields; NetworkPolicy lab/bound-rule does not exist"
    )
    assert "Service lab/frontend, NetworkPolicy lab/bound-rule" in prepared.inject()
    assert double.labels == {"app": "frontend", "meshdrill/l7-proxy": "nowhere"}
    receipt = prepared.receipt(0)
    assert (receipt.landed, receipt.momentary, "enforced or not" in receipt.observer) == (True, False, True)
    assert prepared.reverted() == ("NetworkPolicy lab/bound-rule still exists; Service lab/frontend is not as before")
    prepared.revert()
    assert prepared.reverted() == ""
    assert (double.load().objects, prepared.receipt().landed) == (before, False)


def test_label_of_before_comes_back(double: DeclaredCluster) -> None:
    """A field that had another value gets that value again, and is not removed."""
    labels = {"app": "frontend", "meshdrill/l7-proxy": "somewhere"}
    double.patch({"kind": "Service", "metadata": {"name": "frontend", "namespace": "lab", "labels": labels}})
    prepared = ready(double)
    prepared.inject()
    prepared.revert()
    assert double.labels == labels


def test_declaration_that_is_removed_loses_its_receipt(double: DeclaredCluster) -> None:
    """Whoever removes the rule, or the label, ends the declaration."""
    prepared = ready(double)
    prepared.inject()
    double.delete({"kind": "NetworkPolicy", "metadata": {"name": "bound-rule", "namespace": "lab"}})
    assert not prepared.receipt().landed
    prepared.inject()
    assert prepared.receipt().landed
    gone = {"meshdrill/l7-proxy": None}
    double.patch({"kind": "Service", "metadata": {"name": "frontend", "namespace": "lab", "labels": gone}})
    assert not prepared.receipt().landed


def test_defaults_of_the_api_server_are_no_difference(double: DeclaredCluster) -> None:
    """It adds fields to what it takes, in the items of lists too; an item more, or another value, is a difference."""
    prepared = ready(double)
    prepared.inject()
    world = double.load()
    spec = world.objects[RULE]["spec"]
    assert isinstance(spec, dict)
    spec["ingress"][0]["ports"] = []
    double.save(world)
    assert prepared.receipt().landed
    spec["ingress"].append({})
    double.save(world)
    assert not prepared.receipt().landed


def test_refused_declaration_is_no_declaration(double: DeclaredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the API server's own words, and one sweep takes back what was stored before."""
    before = double.load().objects
    prepared = ready(double)
    UndoLog(double.state).write(prepared.entry)
    monkeypatch.setattr(double, "apply", lambda _manifest: Admission("refused", "no such field"))
    with pytest.raises(HarnessError, match="Applying NetworkPolicy lab/bound-rule was refused: no such field"):
        prepared.inject()
    assert "meshdrill/l7-proxy" in double.labels
    assert len(sweep(double)) == 1
    assert (double.load().objects, leftovers(double.state)) == (before, ())


def test_what_is_declared_already_is_not_declared_again(double: DeclaredCluster) -> None:
    """A receipt that was there before would prove nothing."""
    ready(double).inject()
    with pytest.raises(HarnessError, match="already reports it as landed"):
        ready(double)


def test_unknown_declaration_is_refused(double: DeclaredCluster) -> None:
    """A mesh that has no such objects cannot be asked."""
    with pytest.raises(UsageError, match=r"no objects by the name nothing: there is no nothing\.yaml"):
        ready(double, faults.apply_objects("nothing"))


def test_declaration_is_named_by_what_is_declared() -> None:
    """Events and people call it by the name of the objects."""
    assert faults.apply_objects("request-rule").title == "apply-objects request-rule"
    assert GONE.title == "apply-then-delete l7-proxy-unready"


def test_what_is_withdrawn_stood_first_and_is_gone(double: DeclaredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy stands alone, then the Service is bound to it, then it goes and the binding stays; all is undone."""
    before = double.load().objects
    prepared = ready(double, replace(GONE, stands_s=0.1))
    changes: list[tuple[bool, bool]] = []  # whether proxy and binding exist after each change
    at_s: list[float] = []
    save = double.save

    def noted(world: World) -> None:
        save(world)
        changes.append((PROXY in world.objects, "meshdrill/l7-proxy" in double.labels))
        at_s.append(time.monotonic())

    monkeypatch.setattr(double, "save", noted)
    done = prepared.inject()
    assert "0.1 s later Service lab/frontend, NetworkPolicy lab/bound-rule; 0.1 s later Deployment" in done
    assert changes == [(True, False), (True, True), (True, True), (False, True)]
    assert min(at_s[1] - at_s[0], at_s[3] - at_s[2]) >= 0.1
    receipt = prepared.receipt()
    assert (receipt.landed, receipt.evidence.split("; ")[0]) == (True, "Deployment lab/nowhere does not exist")
    assert (PROXY in double.load().objects, RULE in double.load().objects) == (False, True)
    prepared.revert()
    assert prepared.reverted() == ""
    assert double.load().objects == before


def test_what_belongs_to_what_is_gone_is_not_gone_yet(double: DeclaredCluster) -> None:
    """Neither receipt nor undo is given while a pod is left, even one whose nearer owners are gone before it."""
    prepared = ready(double, GONE)
    prepared.inject()
    double.own("Pod", "stranger-1", "DaemonSet", "stranger")
    assert prepared.receipt().landed
    double.own("ReplicaSet", "nowhere-1", "Deployment", "nowhere")
    double.own("Pod", "nowhere-1-1", "ReplicaSet", "nowhere-1")
    assert "ReplicaSet lab/nowhere-1 still exists; Pod lab/nowhere-1-1 still exists" in prepared.receipt().evidence
    prepared.revert()
    double.delete({"kind": "ReplicaSet", "metadata": {"name": "nowhere-1", "namespace": "lab"}})
    assert not prepared.receipt().landed
    assert prepared.reverted() == "Pod lab/nowhere-1-1 still exists"
    double.delete({"kind": "Pod", "metadata": {"name": "nowhere-1-1", "namespace": "lab"}})
    assert prepared.reverted() == ""


def test_binding_that_is_removed_is_no_withdrawal(double: DeclaredCluster) -> None:
    """What is asked about is a Service that stays bound: without the label the receipt is lost."""
    prepared = ready(double, GONE)
    prepared.inject()
    unbound = {"meshdrill/l7-proxy": None}
    double.patch({"kind": "Service", "metadata": {"name": "frontend", "namespace": "lab", "labels": unbound}})
    receipt = prepared.receipt(0)
    assert not receipt.landed


def test_what_was_there_before_is_not_withdrawn(double: DeclaredCluster) -> None:
    """Only what the drill made itself may it take away."""
    metadata = {"name": "nowhere", "namespace": "lab"}
    double.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata})
    with pytest.raises(UsageError, match="Deployment lab/nowhere exists already"):
        ready(double, GONE)
