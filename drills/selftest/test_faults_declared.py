"""A declaration is stored, seen again all along, and taken back whole: what was made goes, what was changed returns."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from clusters.kube import Admission
from clusters.runtime import HarnessError, UsageError
from drills.run import faults, mending
from drills.run.faults import Fault, FaultKind
from drills.run.faults.injury import Injury
from drills.run.faults.prepare import prepare
from drills.run.undo import UndoLog, leftovers, sweep
from drills.selftest.cluster_double import mesh
from drills.selftest.declared_double import FAULTS, DeclaredCluster

BOUND = FAULTS[FaultKind.DECLARE]
GONE = FAULTS[FaultKind.WITHDRAW]
RULE = "NetworkPolicy/lab/bound-rule"
PROXY = "Deployment/lab/nowhere"


@pytest.fixture
def double(tmp_path: Path) -> DeclaredCluster:
    """Return a front door about which nothing is declared."""
    return DeclaredCluster(tmp_path)


def ready(double: DeclaredCluster, fault: Fault = BOUND) -> Injury:
    """Return the declaration, prepared and not made."""
    return prepare(double, fault, None, mesh())


def test_declaration_is_seen_while_it_stands_and_goes_with_its_undo(double: DeclaredCluster) -> None:
    """The rule is made and the Service changed; the undo removes the one and puts the other's label back."""
    before = double.load().objects
    injury = ready(double)
    assert injury.observe().evidence == (
        "Service lab/frontend is stored otherwise; NetworkPolicy lab/bound-rule is not there"
    )
    undo = injury.undo("r1")
    assert "Service lab/frontend, NetworkPolicy lab/bound-rule" in injury.inject()
    assert double.labels == {"app": "frontend", "meshdrill/l7-proxy": "nowhere"}
    receipt = injury.glance(0)
    assert receipt is not None
    assert (receipt.landed, receipt.momentary, "enforced or not" in receipt.observer) == (True, False, True)
    assert mending.missing(double, undo) == (
        "NetworkPolicy lab/bound-rule still exists; Service lab/frontend is not what it was"
    )
    mending.act(double, undo)
    assert mending.missing(double, undo) == ""
    assert (double.load().objects, injury.observe().landed) == (before, False)


def test_label_of_before_comes_back(double: DeclaredCluster) -> None:
    """A field that had another value gets that value again, and is not taken away."""
    labels = {"app": "frontend", "meshdrill/l7-proxy": "somewhere"}
    double.patch({"kind": "Service", "metadata": {"name": "frontend", "namespace": "lab", "labels": labels}})
    injury = ready(double)
    injury.inject()
    mending.act(double, injury.undo("r1"))
    assert double.labels == labels


def test_declaration_that_somebody_takes_back_loses_its_receipt(double: DeclaredCluster) -> None:
    """Whoever removes the rule, or the label, ends the declaration."""
    injury = ready(double)
    injury.inject()
    double.delete({"kind": "NetworkPolicy", "metadata": {"name": "bound-rule", "namespace": "lab"}})
    assert not injury.observe().landed
    injury.inject()
    assert injury.observe().landed
    gone = {"meshdrill/l7-proxy": None}
    double.patch({"kind": "Service", "metadata": {"name": "frontend", "namespace": "lab", "labels": gone}})
    assert not injury.observe().landed


def test_defaults_of_the_api_server_are_no_difference(double: DeclaredCluster) -> None:
    """It adds fields to what it takes, in the items of lists too; an item more, or another value, is a difference."""
    injury = ready(double)
    injury.inject()
    world = double.load()
    spec = world.objects[RULE]["spec"]
    assert isinstance(spec, dict)
    spec["ingress"][0]["ports"] = []
    double.save(world)
    assert injury.observe().landed
    spec["ingress"].append({})
    double.save(world)
    assert not injury.observe().landed


def test_refused_declaration_is_no_declaration(double: DeclaredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server's own words are told, and one sweep takes back what was stored before."""
    before = double.load().objects
    injury = ready(double)
    UndoLog(double.state).write(injury.undo("r1"))
    monkeypatch.setattr(double, "apply", lambda _manifest: Admission("refused", "no such field"))
    with pytest.raises(HarnessError, match="Declaring NetworkPolicy lab/bound-rule was refused: no such field"):
        injury.inject()
    assert "meshdrill/l7-proxy" in double.labels
    assert len(sweep(double)) == 1
    assert (double.load().objects, leftovers(double.state)) == (before, ())


def test_what_is_declared_already_is_not_declared_again(double: DeclaredCluster) -> None:
    """A receipt that was there before would prove nothing."""
    ready(double).inject()
    with pytest.raises(HarnessError, match="already reports it as done"):
        ready(double)


def test_unknown_declaration_is_refused(double: DeclaredCluster) -> None:
    """A mesh that has no such objects cannot be asked."""
    with pytest.raises(UsageError, match=r"nothing to declare by the name nothing: there is no nothing\.yaml"):
        prepare(double, faults.declare("nothing"), None, mesh())


def test_declaration_is_named_by_what_is_declared() -> None:
    """Events and people call it by the name of the objects."""
    assert faults.declare("request-rule").title == "declare request-rule"
    assert GONE.title == "withdraw l7-proxy-unready"


def test_what_is_withdrawn_stood_first_and_is_gone(double: DeclaredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy stands alone, then the Service is bound to it, then it goes and the binding stays; all is undone."""
    before = double.load().objects
    slept: list[tuple[float, bool, bool]] = []
    monkeypatch.setattr(
        "drills.run.faults.declared.time.sleep",
        lambda for_s: slept.append((for_s, PROXY in double.load().objects, "meshdrill/l7-proxy" in double.labels)),
    )
    injury = ready(double, replace(GONE, stands_s=7.0))
    undo = injury.undo("r1")
    assert "7 s later Service lab/frontend, NetworkPolicy lab/bound-rule; 7 s later Deployment" in injury.inject()
    assert slept == [(7.0, True, False), (7.0, True, True)]
    receipt = injury.observe()
    assert (receipt.landed, receipt.evidence.split("; ")[0]) == (True, "Deployment lab/nowhere is not there")
    assert (PROXY in double.load().objects, RULE in double.load().objects) == (False, True)
    mending.act(double, undo)
    assert mending.missing(double, undo) == ""
    assert double.load().objects == before


def test_what_belongs_to_what_is_gone_is_not_gone_yet(double: DeclaredCluster) -> None:
    """Neither receipt nor undo is given while a pod is left, even one whose nearer owners are gone before it."""
    injury = ready(double, GONE)
    undo = injury.undo("r1")
    injury.inject()
    double.own("Pod", "stranger-1", "DaemonSet", "stranger")
    assert injury.observe().landed
    double.own("ReplicaSet", "nowhere-1", "Deployment", "nowhere")
    double.own("Pod", "nowhere-1-1", "ReplicaSet", "nowhere-1")
    assert "ReplicaSet lab/nowhere-1 still exists; Pod lab/nowhere-1-1 still exists" in injury.observe().evidence
    mending.act(double, undo)
    double.delete({"kind": "ReplicaSet", "metadata": {"name": "nowhere-1", "namespace": "lab"}})
    assert not injury.observe().landed
    assert mending.missing(double, undo) == "Pod lab/nowhere-1-1 still exists"
    double.delete({"kind": "Pod", "metadata": {"name": "nowhere-1-1", "namespace": "lab"}})
    assert mending.missing(double, undo) == ""


def test_binding_that_somebody_takes_back_is_no_withdrawal(double: DeclaredCluster) -> None:
    """What is asked about is a Service that stays bound: without the label the receipt is lost."""
    injury = ready(double, GONE)
    injury.inject()
    unbound = {"meshdrill/l7-proxy": None}
    double.patch({"kind": "Service", "metadata": {"name": "frontend", "namespace": "lab", "labels": unbound}})
    receipt = injury.glance(0)
    assert receipt is not None
    assert not receipt.landed


def test_what_was_there_before_is_not_withdrawn(double: DeclaredCluster) -> None:
    """Only what the drill made itself may it take away."""
    metadata = {"name": "nowhere", "namespace": "lab"}
    double.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata})
    with pytest.raises(UsageError, match="Deployment lab/nowhere is there already"):
        ready(double, GONE)
