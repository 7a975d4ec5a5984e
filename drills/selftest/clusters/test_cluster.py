"""Capabilities that a cluster lacks: a drill that needs one is skipped with the reason before it starts."""

import inspect
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from clusters import provision
from clusters.cluster import lacking
from clusters.model import OF_CLUSTER, Capability, Mesh, Role
from clusters.runtime import silent
from drills import plugin
from drills.run import catalogue
from drills.run.declare import drill, unmet
from drills.run.experiment import Experiment
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.drill_double import MADE_OF

REASON = "its nodes are machines of another team"


def asked(tmp_path: Path, *needs: Role | Capability, absent: Capability | None = None) -> object:
    """Let the fixture make a drill that requires this on a cluster that lacks that."""
    double = FileCluster(tmp_path)
    double.absent = {} if absent is None else {absent: REASON}
    config = SimpleNamespace(getoption={"--reports": tmp_path, "--key": None}.get, stash={plugin.PROGRESS: silent})
    request = SimpleNamespace(config=config, function=drill(requires=needs)(built), node=SimpleNamespace(stash={}))
    fixture = contextmanager(inspect.unwrap(plugin.drill))
    with fixture(cast("pytest.FixtureRequest", request), provision.Prepared(double, mesh(), MADE_OF)) as made:
        return made


def built(_mesh: Mesh) -> Experiment:
    """Stand for a drill that is never run."""
    raise AssertionError


@pytest.mark.parametrize("need", [Capability.NODE_POWER, Capability.API_SERVER])
def test_a_drill_that_the_cluster_cannot_carry_is_skipped_with_the_reason(need: Capability, tmp_path: Path) -> None:
    """It is skipped if the cluster lacks its need, and built if the cluster lacks another capability."""
    with pytest.raises(pytest.skip.Exception, match=rf"Cluster double has no {need} \({REASON}\)"):
        asked(tmp_path, Role.CNI, need, absent=need)
    (other,) = {Capability.NODE_POWER, Capability.API_SERVER} - {need}
    assert asked(tmp_path, Role.CNI, need, absent=other)


@pytest.mark.parametrize("need", [Capability.NODE_EXEC, Capability.WIRE])
def test_every_drill_needs_its_nodes_and_the_wire(need: Capability, tmp_path: Path) -> None:
    """Receipts need NODE_EXEC, and plaintext detection needs WIRE."""
    with pytest.raises(pytest.skip.Exception, match=f"no {need}"):
        asked(tmp_path, absent=need)


def test_several_lacks_are_one_sentence(tmp_path: Path) -> None:
    """Each missing capability is named with its reason; present ones are not."""
    double = FileCluster(tmp_path)
    double.absent = {Capability.NODE_POWER: "hosted", Capability.WIRE: "no observer"}
    said = lacking(double, [Capability.WIRE, Role.CNI, Capability.NODE_EXEC, Capability.NODE_POWER])
    assert said == "Cluster double has no wire (no observer) and no node-power (hosted)"
    assert lacking(double, [Role.CNI, Capability.MTLS]) == ""


def test_what_a_cluster_gives_is_not_asked_of_a_mesh() -> None:
    """Node power is no capability of a mesh: the list of drills and meshes ignores it."""
    assert unmet(OF_CLUSTER, mesh()) == ""


def test_drills_say_what_they_need_of_a_cluster() -> None:
    """A drill that powers off a node, or stops the API server, requires that capability."""
    needs = {entry.name: set(entry.requires) & OF_CLUSTER for entry in catalogue.entries()}
    assert {name: found for name, found in needs.items() if found} == {
        "apiserver-outage": {Capability.API_SERVER},
        "node-reboot": {Capability.NODE_POWER},
        "node-reboot-without-api": {Capability.NODE_POWER, Capability.API_SERVER},
    }
