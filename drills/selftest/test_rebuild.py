"""From experiment.json back to the run: every drill of the catalogue survives the way there and back."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from clusters import meshes, provision
from clusters.runtime import UsageError
from drills import catalogue, chaos
from drills.cli_judge import let_ask
from drills.run.experiment import Json, experiment_of
from drills.run.faults import Fault
from drills.run.needs import unmet
from drills.run.rebuild import request_in, run_anew
from drills.run.request import Request
from drills.selftest.cluster_double import FileCluster
from drills.selftest.drill_double import MADE_OF
from drills.selftest.node_double import FAULTS

REPORTS = Path(__file__).resolve().parents[2] / "reports"
ASKABLE = [
    (entry.name, mesh)
    for entry in catalogue.entries()
    for mesh in meshes.names()
    if not unmet(entry.needs, meshes.load(mesh))
]


def asked(drill: str, mesh: str, tmp_path: Path) -> Request:
    """Return what the drill asks of the mesh."""
    cluster = FileCluster(tmp_path)
    asking = chaos._Asking(cluster=cluster, mesh=meshes.load(mesh), name=drill, hypothesis="x", reports_dir=tmp_path)
    with pytest.raises(chaos._AskedError) as told:
        let_ask(drill, asking)
    return told.value.request


def as_stored(request: Request) -> Json:
    """Return the experiment as a bundle has it."""
    found: Json = json.loads(json.dumps(experiment_of(request)))
    return found


@pytest.mark.parametrize(("name", "mesh"), ASKABLE)
def test_every_drill_can_be_run_again_from_its_experiment(name: str, mesh: str, tmp_path: Path) -> None:
    """The request comes back whole, its steps are its own, its question is the drill's, and its id is a new one."""
    request = asked(name, mesh, tmp_path)
    stored = as_stored(request)
    assert request_in(stored) == request
    anew = run_anew(stored)
    assert anew.run_id != request.run_id
    prepared = provision.Prepared(FileCluster(tmp_path), meshes.load(mesh), MADE_OF)
    chaos._refuse_another_question(prepared, anew)


@pytest.mark.parametrize("extensions", [None, [], [{"name": "other"}], [{"name": "meshdrill"}], "meshdrill"])
def test_an_experiment_of_someone_else_is_no_drill(extensions: object) -> None:
    """An experiment without our request in it is refused in words."""
    with pytest.raises(UsageError, match="experiment"):
        request_in({"extensions": extensions})


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind.value)
def test_every_fault_survives_the_way_there_and_back(fault: Fault, tmp_path: Path) -> None:
    """A fault of a node, or of no role, comes back from experiment.json as it was."""
    request = replace(asked("control-plane-outage", "none", tmp_path), fault=fault)
    assert request_in(as_stored(request)).fault == fault


@pytest.mark.parametrize("stored", sorted(REPORTS.rglob("experiment.json")), ids=lambda path: path.parent.name)
def test_experiments_of_committed_bundles_can_still_be_read(stored: Path) -> None:
    """What an earlier version wrote is a request of this one, and its steps are still those that it asks for."""
    experiment: Json = json.loads(stored.read_bytes())
    assert run_anew(experiment).fault == request_in(experiment).fault
