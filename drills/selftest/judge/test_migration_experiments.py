"""Experiments of the first edition: every stored one is an experiment of this edition, and says the same."""

import json
from pathlib import Path
from typing import cast

import msgspec
import pytest

from clusters.model import Role
from drills.judge import migration
from drills.run import faults
from drills.run.chaos_toolkit import Json, experiment_of, request_in, run_anew
from drills.run.faults import Fault
from drills.selftest.doubles.fault_doubles import KINDS

REPORTS = Path(__file__).resolve().parents[3] / "reports"
STORED = sorted(REPORTS.rglob("experiment.json"))


def upgraded(experiment: Json) -> Json:
    """Return the experiment as this edition has it, of a run that made no claim."""
    return migration.upgrade_experiment(experiment, [])


def flat(fault: Json, *names: str) -> Json:
    """Return what the first edition stored of a fault, and the names of its steps."""
    extension = {"name": "meshdrill", "request": {"fault": fault}}
    return {"extensions": [extension], "method": [{"name": name} for name in names]}


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        ({"kind": "stop", "role": "control-plane", "hold_s": 3}, faults.scale_to_zero(Role.CONTROL_PLANE, hold_s=3)),
        ({"kind": "crash", "role": "cni", "node": "victim", "hold_s": 3}, faults.kill(Role.CNI, "victim", hold_s=3)),
        ({"kind": "hang", "role": "injector", "hold_s": 3}, faults.pause(Role.INJECTOR, hold_s=3)),
        ({"kind": "keep-off", "role": "cni", "node": "victim", "hold_s": 3}, faults.keep_off_node(Role.CNI, hold_s=3)),
        ({"kind": "stop-apiserver", "role": None, "hold_s": 3}, faults.stop_api_server(hold_s=3)),
        ({"kind": "cut-api", "role": None, "node": "victim", "hold_s": 3}, faults.block_api(hold_s=3)),
        ({"kind": "remove", "role": "cni", "hold_s": 3}, faults.delete_workload(Role.CNI, hold_s=3)),
        ({"kind": "break-webhook", "role": "injector", "hold_s": 3}, faults.replace_webhook_ca(hold_s=3)),
        ({"kind": "unlabel", "role": None, "hold_s": 3}, faults.remove_enrolment(hold_s=3)),
        (
            {"kind": "restart-without", "role": "policy", "node": "victim", "app": "ledger", "hold_s": 3},
            faults.restart_enforcer_without(Role.POLICY, "ledger", hold_s=3),
        ),
        (
            {"kind": "rotate-issuer", "role": "identity", "issuer": "stranger", "hold_s": 3},
            faults.rotate_issuer(faults.UNTRUSTED, hold_s=3),
        ),
        ({"kind": "declare", "role": None, "declared": "x", "hold_s": 3}, faults.apply_objects("x", hold_s=3)),
        (
            {"kind": "withdraw", "role": None, "declared": "x", "stands_s": 2, "hold_s": 3},
            faults.apply_then_delete("x", stands_s=2, hold_s=3),
        ),
    ],
)
def test_flat_fault_is_the_tagged_one(stored: Json, now: Fault) -> None:
    """Each kind of the first edition is the fault of this one that does the same."""
    extensions = cast("list[Json]", upgraded(flat(stored))["extensions"])
    made = cast("Json", extensions[0]["request"])["fault"]
    assert msgspec.convert(made, cast("type[Fault]", Fault)) == now


@pytest.mark.parametrize("path", STORED, ids=lambda path: "/".join(path.parts[-4:-1]))
def test_every_stored_experiment_is_read_and_its_steps_are_its_own(path: Path) -> None:
    """`chaos run` knows each once it is upgraded; nothing but the fault and the names of two steps is changed."""
    stored: Json = json.loads(path.read_bytes())
    before = json.dumps(stored)
    made = upgraded(stored)
    assert json.dumps(stored) == before
    request = request_in(made)
    assert request.fault.kind in KINDS
    assert run_anew(made).fault == request.fault
    assert made["method"] == experiment_of(request)["method"]
    same = {key for key in stored if made[key] == stored[key]}
    assert set(stored) - same <= {"extensions", "method"}


def test_there_are_stored_experiments() -> None:
    """The test above reads something."""
    assert len(STORED) >= 90


def test_steps_that_a_person_renamed_stay_renamed() -> None:
    """Only a name that the first edition gave is replaced: an edited step must be seen to be edited."""
    made = upgraded(flat({"kind": "stop", "role": "cni", "hold_s": 3}, "stop cni", "undo stop cni", "stop it"))
    names = [step["name"] for step in cast("list[Json]", made["method"])]
    assert names == ["scale-to-zero cni", "undo scale-to-zero cni", "stop it"]


def test_rollbacks_have_the_names_of_today() -> None:
    """Only names that meshdrill once gave are replaced, and what is no list of steps is left alone."""
    stored: Json = {
        "rollbacks": [5, {"name": "put everything back", "provider": {"func": "put_back"}}, {"name": "mine"}]
    }
    made = migration.rename_rollbacks(stored)
    assert made["rollbacks"] == [5, {"name": "roll back", "provider": {"func": "roll_back"}}, {"name": "mine"}]
    strange: tuple[Json, ...] = ({}, {"rollbacks": 5})
    assert [migration.rename_rollbacks(it) for it in strange] == [*strange]


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"extensions": None},
        {"extensions": [5, {"name": "meshdrill"}, {"name": "meshdrill", "request": 5}]},
        {"extensions": [{"name": "meshdrill", "request": {"fault": {"kind": 5}}}], "method": 5},
        {"extensions": [{"name": "meshdrill", "request": {"fault": {"kind": "stop"}}}], "method": [5, {}]},
    ],
)
def test_what_is_no_experiment_of_ours_is_left_alone(strange: Json) -> None:
    """The reader after it says what is wrong."""
    made = upgraded(strange)
    assert made.keys() == strange.keys()
