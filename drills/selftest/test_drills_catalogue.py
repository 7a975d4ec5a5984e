"""The catalogue says of the drills what their files say."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from clusters import meshes
from clusters.lab import LAB
from clusters.model import KUBERNETES_SIGNALS, Capability, Mesh, Role
from clusters.runtime import UsageError
from drills import catalogue
from drills.judge.claims import Claim
from drills.judge.quantifiers import Quantifier
from drills.run.needs import unmet

SOURCE = '''
import helper

@requires(Role.IDENTITY, Capability.MTLS)
def test_identity_outage(drill):
    """Nobody is downgraded.

    Not even slowly.
    """

def test_free(drill):
    """Needs nothing."""

def ask(drill):
    """Is no drill."""
'''


def test_entries_are_read_without_import(tmp_path: Path) -> None:
    """A drill is read from its text, so that a file whose imports do not exist is read all the same."""
    (tmp_path / "test_identity.py").write_text(SOURCE)
    first, second = catalogue.entries(tmp_path)
    assert (first.name, first.function) == ("identity-outage", "test_identity_outage")
    assert first.hypothesis == "Nobody is downgraded.\n\nNot even slowly."
    assert first.needs == (Role.IDENTITY, Capability.MTLS)
    assert (first.roles, first.capabilities) == (("identity",), ("mtls",))
    assert (second.name, second.needs) == ("free", ())
    assert first.node_id == f"{tmp_path}/test_identity.py::test_identity_outage"


def test_unknown_need_is_refused(tmp_path: Path) -> None:
    """A need that no mesh file could meet is an error that quotes it, not a drill that is silently never asked."""
    (tmp_path / "test_bad.py").write_text("@requires(Role.KITCHEN)\ndef test_bad(drill):\n    'x'\n")
    with pytest.raises(UsageError, match=r"Role\.KITCHEN"):
        catalogue.entries(tmp_path)


def test_the_three_deaths_of_a_control_plane_are_drills() -> None:
    """Outage, crash and hang of the control plane are in the catalogue, and each needs a control plane only."""
    found = {entry.name: entry.needs for entry in catalogue.entries()}
    wanted = ("control-plane-outage", "control-plane-crash", "control-plane-hang")
    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, (Role.CONTROL_PLANE,))


def test_every_drill_states_a_hypothesis() -> None:
    """Each drill's first line is one sentence."""
    assert all(entry.hypothesis.splitlines()[0].endswith(".") for entry in catalogue.entries())


@pytest.mark.parametrize(("asked", "offered"), [("control-plane-outge", "control-plane-outage"), ("hang", "hang")])
def test_unknown_drill_offers_the_nearest(asked: str, offered: str) -> None:
    """A mistyped drill is answered with the names that are near."""
    with pytest.raises(UsageError, match=offered):
        catalogue.find(asked)


def test_unknown_mesh_offers_the_nearest() -> None:
    """A mistyped mesh is answered with the names that are near."""
    name = meshes.names()[0]
    with pytest.raises(UsageError, match=f"Did you mean .*{name}"):
        catalogue.find_mesh(f"{name}x")


@dataclass
class Asked:
    """Stands for a drill that is only asked: it keeps the claims, and takes no history for an answer."""

    mesh: Mesh
    claims: tuple[Claim, ...] = ()
    passed: bool = True

    def run(self, **_wishes: object) -> None:
        """Run nothing."""

    def judge(self, _history: None, *claims: Claim) -> "Asked":
        """Keep the claims."""
        self.claims = claims
        return self


@pytest.mark.parametrize("mesh", meshes.names())
@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_drill_can_be_asked_of_every_mesh_that_it_fits(entry: catalogue.Entry, mesh: str) -> None:
    """A drill makes claims, some of which must hold, and each finds its promise in the file of the mesh."""
    asked = Asked(catalogue.find_mesh(mesh))
    if unmet(entry.needs, asked.mesh):
        pytest.skip(unmet(entry.needs, asked.mesh))
    getattr(import_module(f"drills.{entry.file.stem}"), entry.function)(asked)
    assert any(claim.must_hold for claim in asked.claims)
    assert all(claim.source for claim in asked.claims if claim.quantifier is not Quantifier.REACHED)


@pytest.mark.parametrize("mesh", meshes.names())
def test_every_mesh_has_the_signals_of_kubernetes(mesh: str) -> None:
    """What Kubernetes says of a node is there beside what the mesh says itself."""
    signals = catalogue.find_mesh(mesh).signals
    assert set(KUBERNETES_SIGNALS) <= set(signals)
    assert "control-plane-down" in signals
    assert signals["workload-unready"].subject == f"{LAB}/Deployment/*"


@pytest.mark.parametrize("name", meshes.names())
def test_every_mesh_says_where_policy_is_enforced(name: str) -> None:
    """Who binds a name, where traffic is taken up and who enforces is told for each kind; the control has nobody."""
    mesh = catalogue.find_mesh(name)
    assert bool(mesh.policy.points) is not mesh.is_control
    assert all(all((it.policy, it.identity, it.interception, it.enforcement)) for it in mesh.policy.points)


def test_every_mesh_with_sources_for_a_drill_can_be_found() -> None:
    """Every mesh's name leads to its own facts."""
    assert {name: catalogue.find_mesh(name).name for name in meshes.names()} == {name: name for name in meshes.names()}


@pytest.mark.parametrize("name", meshes.names())
def test_a_mesh_with_short_certificates_says_how(name: str) -> None:
    """Where the capability is named there are chart values for it, in a section that one of its charts reads."""
    mesh = catalogue.find_mesh(name)
    if mesh.is_control:
        pytest.skip("the control claims what it does not have")
    assert (mesh.certificates.leaf_values is not None) is (Capability.SHORT_LEAVES in mesh.capabilities)
    if mesh.certificates.leaf_values is not None:
        values = mesh.certificates.leaf_values(240)
        assert "'240s'" in str(values)
        assert {chart.section for chart in mesh.install.charts} & {"", *values}


def test_a_drill_with_an_install_of_its_own_is_known() -> None:
    """The night gives it a cluster of its own."""
    apart = {entry.name for entry in catalogue.entries() if entry.has_own_install}
    assert apart == {"identity-outage-beyond-life", "issuer-rotation"}
