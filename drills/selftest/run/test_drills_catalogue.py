"""The catalogue says of the drills what their files declare, in this package and outside of it."""

from pathlib import Path

import pytest

from clusters import meshes
from clusters.lab import LAB
from clusters.model import KUBERNETES_SIGNALS, Capability, Role
from clusters.runtime import UsageError
from drills import prove
from drills.judge.measure import Need
from drills.run import catalogue
from drills.run.declare import Declared, declared, unmet

SOURCE = '''"""Two drills, a test, and what is neither."""
from drills.kit import Capability, Experiment, Mesh, Role, checks, claim, drill, faults, suites
from drills.test_policy import test_request_rule

HELPER = suites.security()


@drill(requires=[Role.IDENTITY, Capability.MTLS], leaf_s=90)
def test_identity_outage(mesh: Mesh) -> Experiment:
    """No caller is downgraded.

    Not even slowly.
    """
    return Experiment(method=faults.make_unavailable(Role.IDENTITY, hold_s=30), claims=HELPER)


@drill()
def test_free(mesh: Mesh) -> Experiment:
    """Needs nothing."""
    asked = {"Not-Kebab_case": HELPER["calls-made"]}
    return Experiment(method=faults.make_unavailable(Role.CONTROL_PLANE, hold_s=30), claims=asked)


@drill(requires=[Capability.SHORT_LEAVES, Role.INJECTOR])
def test_of_one_claim(mesh: Mesh) -> Experiment:
    """Its control asks one thing."""
    asked = {"no-plaintext": HELPER["no-plaintext"]}
    return Experiment(method=faults.make_unavailable(Role.INJECTOR, hold_s=30), claims=asked)


def test_no_drill():
    assert True
'''


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a file of drills outside of the package."""
    file = tmp_path / "test_identity.py"  # as one of the package is called
    file.write_text(SOURCE)
    return file


def test_a_drill_is_what_its_file_declares(outside: Path) -> None:
    """Name, hypothesis and needs of drills outside of the package; a test, or a drill of elsewhere, is not one."""
    first, second, _ = catalogue.entries_of([outside])
    assert (first.name, first.function) == ("identity-outage", "test_identity_outage")
    assert first.hypothesis == "No caller is downgraded.\n\nNot even slowly."
    assert first.requires == (Role.IDENTITY, Capability.MTLS)
    assert (first.roles, first.capabilities) == (("identity",), ("mtls",))
    assert (first.leaf_s, first.has_own_install, second.has_own_install) == (90, True, False)
    assert (second.name, second.requires) == ("free", ())
    assert first.node_id == f"{outside}::test_identity_outage"


def test_a_folder_is_all_its_files(outside: Path) -> None:
    """Files of one name in two folders are two files; what is called otherwise is not read."""
    (outside.parent / "deeper").mkdir()
    (outside.parent / "deeper" / outside.name).write_text(SOURCE.replace("test_free", "test_other"))
    (outside.parent / "helper.py").write_text("raise AssertionError")
    found = [it.name for it in catalogue.entries_of([outside.parent])]
    assert found == ["identity-outage", "other", "of-one-claim", "identity-outage", "free", "of-one-claim"]


def test_a_drill_is_found_by_its_file_and_function(outside: Path) -> None:
    """FILE.py::test_x is the drill of that file, whatever the package calls so; a wrong function offers the nearest."""
    assert catalogue.find(f"{outside}::test_free").name == "free"
    own, there = catalogue.find("identity-outage"), catalogue.find(f"{outside}::test_identity_outage")
    assert (own.file.parent, there.file) == (catalogue.DRILLS_DIR, outside)
    with pytest.raises(UsageError, match="Did you mean test_free"):
        catalogue.find(f"{outside}::test_fre")
    with pytest.raises(UsageError, match="has no drill 'test_no_drill'"):
        catalogue.find(f"{outside}::test_no_drill")


def test_a_drill_of_the_package_is_found_by_its_file_too() -> None:
    """It is the same drill, loaded once."""
    entry = catalogue.find("request-rule")
    assert catalogue.find(entry.node_id) is entry


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("test_bad.py", "from drills.kit import Role\nRole.KITCHEN", "KITCHEN"),
        ("test_bad.py", "def test_bad(:", "SyntaxError"),
        ("test_bad.txt", "", "no Python file"),
        ("test_gone.py", None, "There is no"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_wrong_usage(name: str, text: str | None, reason: str, tmp_path: Path) -> None:
    """What is wrong with it is said, with its name: no drill is silently left out."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=reason) as raised:
        catalogue.find(f"{tmp_path / name}::test_bad")
    assert name in str(raised.value)


def test_the_three_deaths_of_a_control_plane_are_drills() -> None:
    """Outage, crash and hang of the control plane are in the catalogue, and each needs a control plane only."""
    found = {entry.name: entry.requires for entry in catalogue.entries()}
    wanted = ("control-plane-outage", "control-plane-crash", "control-plane-hang")
    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, (Role.CONTROL_PLANE,))


def test_each_drill_has_a_name_of_its_own() -> None:
    """A name that two files use would hide one of them."""
    names = [entry.name for entry in catalogue.entries()]
    assert len(set(names)) == len(names) > 20


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


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_drill_is_sound(entry: Declared) -> None:
    """On every mesh that it fits: ids in kebab-case, claims that can be stored, and none decided by nothing."""
    assert prove.defects(entry) == ()


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_drill_has_claims_that_must_hold(entry: Declared) -> None:
    """On every mesh that it fits, some claim knows no excuse."""
    asked = [mesh for mesh in map(meshes.load, meshes.names()) if not unmet(entry.requires, mesh)]
    assert asked
    assert all(any(it.must_hold for it in entry.build(mesh).claims.values()) for mesh in asked)


IN_EVERY_DRILL = {
    "no-plaintext": "run",
    "denied-stay-denied": "run",
    "peers-authenticated": "run",
    "routes-work-in-baseline": "baseline",
    "postings-served-once": "run",
    "routes-recover": "recovery",
    "recovery-outage-bounded": "recovery",
}


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_drill_asks_what_no_drill_may_leave_out(entry: Declared) -> None:
    """Security over the whole run, the baseline, the postings, and how long the return of a component costs calls."""
    for mesh in map(meshes.load, meshes.names()):
        if not unmet(entry.requires, mesh):
            experiment = entry.build(mesh)
            asked = {name: claim.during for name, claim in experiment.claims.items()}
            assert {name: asked.get(name) for name in IN_EVERY_DRILL} == IN_EVERY_DRILL
            if Need.POLICY_CHANGES in experiment.needs:
                assert "no-policy-change-ignored-in-recovery" in asked
                assert {"no-policy-change-ignored", "policy-changes-enforced-again-in-fault"} & set(asked) or (
                    entry.name == "apiserver-outage"  # no change can be made in the fault
                )


OF_CALLS = frozenset({"success_rate", "blast_radius", "availability", "calls_fast"})
OF_CONFIGURATION = frozenset(
    {"control-plane-down", "identity-down", "injector-down", "injection-refused", "policy-refused"}
)
"""Alerts that say that something new cannot be had; they say nothing of calls that are lost."""


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_lost_calls_are_excused_by_no_alert_about_something_else(entry: Declared) -> None:
    """An alert excuses harm of its own kind alone."""
    for mesh in map(meshes.load, meshes.names()):
        if not unmet(entry.requires, mesh):
            asked = entry.build(mesh).claims.items()
            assert not [name for name, it in asked if it.check.name in OF_CALLS and OF_CONFIGURATION & set(it.alerts)]


def test_what_is_wrong_with_a_drill_is_named(outside: Path) -> None:
    """An id that is no kebab-case and claims that cannot fail, for each mesh; a function that declares nothing."""
    found = prove.defects(catalogue.find(f"{outside}::test_free"))
    assert len(found) == 2 * len(meshes.names())
    assert "the id 'Not-Kebab_case' is not kebab-case." in found[1]
    assert "no claim can fail" in found[0]
    assert prove.defects(catalogue.find(f"{outside}::test_identity_outage")) == ()
    (found_in_control,) = {
        it.partition(": ")[2] for it in prove.defects(catalogue.find(f"{outside}::test_of_one_claim"))
    }
    assert found_in_control.startswith("in its no-fault control 1 claims can fail, expected at least 5")
    assert "is no drill" in prove.defects(test_each_drill_has_a_name_of_its_own)[0]
    assert declared(test_each_drill_has_a_name_of_its_own) is None


@pytest.mark.parametrize("mesh", meshes.names())
def test_every_mesh_has_the_signals_of_kubernetes(mesh: str) -> None:
    """What Kubernetes says of a node is there beside what the mesh says itself."""
    signals = catalogue.find_mesh(mesh).signals
    assert set(KUBERNETES_SIGNALS) <= set(signals)
    assert "control-plane-down" in signals
    assert signals["workload-unready"].subject == f"{LAB}/Deployment/*"


@pytest.mark.parametrize("name", meshes.names())
def test_every_mesh_says_where_policy_is_enforced(name: str) -> None:
    """The facts say for each kind what binds a name, captures traffic and enforces; the control has none of them."""
    mesh = catalogue.find_mesh(name)
    assert bool(mesh.policy.points) is not mesh.is_control
    assert all(all((it.policy, it.identity, it.interception, it.enforcement)) for it in mesh.policy.points)


def test_every_mesh_can_be_found() -> None:
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
