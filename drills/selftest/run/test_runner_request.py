"""What a run is asked for follows from the experiment, is refused in words when it cannot be, and survives storage."""

import inspect
import json
from pathlib import Path
from typing import cast

import msgspec
import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from msgspec.structs import replace

from clusters import meshes
from clusters.model import Role
from clusters.runtime import UsageError
from drills.judge import checks
from drills.judge.claims import Claim, always, eventually, never, reached, restored, sometimes, stored
from drills.judge.files import FileError
from drills.judge.measure import Check, Invariant
from drills.judge.records import StoredCheck, StoredClaim
from drills.run import catalogue, faults
from drills.run.chaos_toolkit import Json, experiment_of, request_in, run_anew
from drills.run.declare import unmet
from drills.run.experiment import Experiment, NewPods, Request, request_of
from drills.run.faults import Fault
from drills.run.lab import BYSTANDER, FRONT_DOOR, ROUTES, VICTIM, calls, traffic
from drills.run.runner import Drill
from drills.selftest.doubles.cluster_double import PROMISED, FileCluster, mesh
from drills.selftest.doubles.node_double import FAULTS

EDGE = ("checkout", "payment")
WORKLOAD = (calls(*EDGE, every_ms=10),)
STOP = faults.scale_to_zero(Role.CONTROL_PLANE, hold_s=0.3)
FLOWS = always(checks.success_rate(EDGE, at_least=0.9))
SEEN = sometimes(checks.signal_seen("brain-down"))
ASKABLE = [
    (entry.name, name)
    for entry in catalogue.entries()
    for name in meshes.names()
    if not unmet(entry.requires, meshes.load(name))
]
PARAMETERS: dict[str, object] = {
    "at_least": 0.9,
    "at_most_s": 5.0,
    "max_outage_s": 2.0,
    "name": "brain-down",
    "version": "v2",
    "weight": 0.1,
    "within": ("victim", "bystander"),
    "within_s": 4.0,
}
"""Values for the parameters without which a check cannot be made."""
OPTIONAL: dict[str, object] = {
    "at_most": 3,
    "by_call": True,
    "connection": "reused",
    "max_gap_s": 3.5,
    "max_unasked_s": 6.5,
    "min_left_s": 9.0,
    "min_samples": 7,
    "on": VICTIM,
    "resolves": 0.1,
    "reasons": ("allow policies exist, but none allowed", "unknown"),
    "tolerance": 0.04,
}
"""Values for the others, each unlike its default."""


def request(claims: dict[str, Claim], **changes: object) -> Request:
    """Return what a run is asked for that makes these claims."""
    experiment = Experiment(method=STOP, workload=WORKLOAD, claims=claims, **changes)  # type: ignore[arg-type]
    return request_of(
        experiment, mesh(), drill="brain-outage", hypothesis="It holds.", cluster="double", run_id="0" * 12
    )


def test_mesh_without_the_role_is_a_usage_error(tmp_path: Path) -> None:
    """A fault of a part that the mesh does not have is refused in words before anything starts."""
    drill = Drill(cluster=FileCluster(tmp_path), mesh=mesh(), name="d", hypothesis="", reports_dir=tmp_path / "reports")
    with pytest.raises(UsageError, match="has no l7-proxy"):
        drill.conduct(Experiment(method=faults.pause(Role.L7_PROXY), workload=WORKLOAD, claims={"flows": FLOWS}))
    assert drill.bundle is None


def test_no_probe_runs_that_no_claim_needs() -> None:
    """Claims about calls alone need no observer beside the lab."""
    probes = request({"flows": FLOWS}).probes
    assert (probes.wire, probes.new_pods, probes.policy_change, probes.signals) == (False, None, None, ())


def test_each_claim_brings_the_observers_that_it_needs() -> None:
    """Claims about the wire, new pods and policy changes have them watched and tried."""
    probes = request(
        {
            "no-plaintext": never(checks.plaintext(EDGE)),
            "new-pods-tried": reached(checks.new_pod_tried()),
            "policy-changes-tried": reached(checks.change_tried()),
        },
        new_pods=NewPods(every_s=7),
    ).probes
    assert probes.wire
    assert probes.new_pods == NewPods(every_s=7)
    assert probes.policy_change is not None
    assert (probes.policy_change.source, probes.policy_change.target) == FRONT_DOOR


def test_a_claim_about_one_node_has_a_pod_made_for_each_placed_node() -> None:
    """What happens on the victim means something only beside what happens on the bystander."""
    probes = request({"new-pods-join-on-victim": always(checks.new_pod_meshed(on=VICTIM))}).probes
    assert probes.new_pods is not None
    assert probes.new_pods.on == (VICTIM, BYSTANDER)
    anywhere = {"new-pods-join": always(checks.new_pod_meshed())}
    assert request(anywhere, new_pods=NewPods(on=(VICTIM,))).probes.new_pods == NewPods(on=(VICTIM,))


def test_signals_are_recorded_when_a_claim_or_its_alert_names_one() -> None:
    """One named signal has all of the mesh's recorded, or the named ones alone where the evidence must stay small."""
    every = tuple(sorted(mesh().signals))
    excused = always(checks.success_rate(EDGE, at_least=0.9), alert="brain-down", within_s=5)
    silent = always(checks.signal_absent("brain-down"))
    assert request({"silent": silent}).probes.signals == every
    assert request({"seen": SEEN}).probes.signals == every
    assert request({"flows": excused}).probes.signals == every
    assert request({"flows": excused}, only_named_signals=True).probes.signals == ("brain-down",)
    lacking = sometimes(checks.signal_seen("smoke"))
    assert request({"smoke-alerts": lacking}, only_named_signals=True).probes.signals == ()


def test_the_recovery_is_watched_beyond_the_longest_bound() -> None:
    """A late recovery differs from none: the watch is 20 s longer than the longest claim about it."""
    back, late = (eventually(cast("Invariant", FLOWS.check), within_s=bound_s) for bound_s in (40, 90))
    in_fault = eventually(cast("Invariant", FLOWS.check), 300, "fault")
    assert request({"flows": FLOWS}).recovery_s == 45
    assert request({"back": back, "late": late, "in-fault": in_fault}).recovery_s == 110
    assert request({"back": back}, recovery_at_least_s=70).recovery_s == 70
    assert request({"back": back}, recovery_s=5).recovery_s == 5


def test_the_promise_is_found_by_the_id_of_the_claim() -> None:
    """What the mesh's documents say stands beside the claim; that a situation was reached is no promise."""
    asked = request({"routes-keep-working": FLOWS, "calls-made": reached(checks.attempted(EDGE)), "unknown": FLOWS})
    assert [it.promise for it in asked.claims] == [PROMISED, None, None]


def test_experiment_is_one_that_chaos_toolkit_accepts() -> None:
    """`chaos validate` accepts the experiment, and it carries the whole request as data, claims included."""
    asked = request({"routes-keep-working": FLOWS, "brain-down-alerts": SEEN})
    made = json.loads(json.dumps(experiment_of(asked)))
    ensure_experiment_is_valid(made)
    assert request_in(made) == asked
    assert [it["id"] for it in made["extensions"][0]["request"]["claims"]] == [
        "routes-keep-working",
        "brain-down-alerts",
    ]


@pytest.mark.parametrize("is_whole", [False, True])
@pytest.mark.parametrize("name", checks.__all__)
def test_every_check_survives_storage(name: str, is_whole: bool) -> None:
    """A claim about any check comes back as it was, and asks the same: no parameter is lost on the way."""
    check = made(name, is_whole=is_whole)
    quantify = always if isinstance(check, Invariant) else never
    claim = quantify(check, must_hold=True)  # type: ignore[arg-type]
    text = json.dumps(msgspec.to_builtins(stored({"it": claim})))
    again = restored(msgspec.convert(json.loads(text), list[StoredClaim]))["it"]
    assert (again.sentence(), again.check.params, again.check.edges) == (
        claim.sentence(),
        claim.check.params,
        claim.check.edges,
    )
    assert type(again.check) is type(check)
    assert not is_whole or set(check.params) == set(inspect.signature(getattr(checks, name)).parameters) - {"edges"}


def made(name: str, *, is_whole: bool) -> Check:
    """Return a check with a value for each parameter that it demands, or for all, and edges where it takes some."""
    make = getattr(checks, name)
    parameters = inspect.signature(make).parameters.values()
    edges = ROUTES[:2] if any(it.kind is it.VAR_POSITIONAL for it in parameters) else ()
    named = [it for it in parameters if it.kind is not it.VAR_POSITIONAL]
    given = {it.name: (PARAMETERS | OPTIONAL)[it.name] for it in named if is_whole or it.default is it.empty}
    found: Check = make(*edges, **given)
    return found


GOOD = StoredClaim(id="it", quantifier="never", check=StoredCheck("outside_mesh"), during="fault")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"check": StoredCheck("no_such_check")}, "there is no check 'no_such_check'"),
        ({"check": StoredCheck("__name__")}, "there is no check"),
        ({"check": StoredCheck("new_pod_tried", (), {"on": "moon"})}, "moon"),
        ({"check": StoredCheck("new_pod_tried", (), {"colour": 1})}, "colour"),
        ({"check": StoredCheck("signal_seen", (), {"name": True})}, "parameter name is True: Expected `str`"),
        ({"quantifier": "maybe"}, "'maybe' is not a quantifier"),
        ({"quantifier": "always"}, "always takes an Invariant"),
    ],
)
def test_a_stored_claim_that_cannot_be_asked_is_refused(changes: dict[str, object], words: str) -> None:
    """An unknown check, parameter, value or quantifier is one sentence that names the claim."""
    with pytest.raises(FileError, match=words) as error:
        restored([replace(GOOD, **changes)])
    assert "'it'" in str(error.value)


def test_an_id_that_is_stored_twice_is_refused() -> None:
    """Two answers under one id would be indistinguishable."""
    with pytest.raises(FileError, match="two claims 'it'"):
        restored([GOOD, GOOD])


@pytest.mark.parametrize(("name", "mesh_name"), ASKABLE)
def test_every_drill_can_be_run_again_from_its_experiment(name: str, mesh_name: str) -> None:
    """The request comes back whole, its steps and claims are its own, and its id is a new one."""
    entry, facts = catalogue.find(name), meshes.load(mesh_name)
    asked = request_of(entry.build(facts), facts, drill=name, hypothesis="x", cluster="c", run_id="0" * 12)
    stored_experiment = as_stored(asked)
    assert request_in(stored_experiment) == asked
    again = run_anew(stored_experiment)
    assert again.run_id != asked.run_id
    assert replace(again, run_id=asked.run_id) == asked


@pytest.mark.parametrize("extensions", [None, [], [{"name": "other"}], [{"name": "meshdrill"}], "meshdrill"])
def test_an_experiment_of_another_tool_is_no_drill(extensions: object) -> None:
    """An experiment without our request in it is refused in words."""
    with pytest.raises(UsageError, match="experiment"):
        request_in({"extensions": extensions})


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.kind)
def test_every_fault_survives_the_way_there_and_back(fault: Fault) -> None:
    """A fault of a node, or of no role, comes back from experiment.json as it was."""
    asked = replace(request({"flows": FLOWS}), fault=fault)
    assert request_in(as_stored(asked)).fault == fault


def as_stored(asked: Request) -> Json:
    """Return the experiment as a bundle has it."""
    found: Json = json.loads(json.dumps(experiment_of(asked)))
    return found


def test_no_pace_lets_a_check_miss_a_caller() -> None:
    """However seldom a drill wants its calls, there is one on each edge before a check calls it a gap."""
    asked = (checks.success_rate(FRONT_DOOR, at_least=0.999), checks.denied(FRONT_DOOR))
    shortest_ms = 1000 * min(float(str(it.params["max_gap_s"])) for it in asked)
    slow = {(it.source, it.target): it.every_ms for it in traffic(pace=100)}
    assert slow.keys() == {(it.source, it.target) for it in traffic()}
    assert max(slow.values()) < 0.8 * shortest_ms
    assert max(it.every_ms for it in traffic(pace=2)) == 1000


def test_a_slow_pace_makes_phases_longer() -> None:
    """At a tenth of the rate each route still has the calls that decide a share of 99.9 %."""
    entry, mesh = catalogue.find("identity-outage-beyond-life"), meshes.load("linkerd")
    slow = request_of(entry.build(mesh), mesh, drill="d", hypothesis="", cluster="c", run_id="r")
    every_ms = max(it.every_ms for it in slow.workload if (it.source, it.target) in ROUTES)
    for length_s in (slow.baseline_s, slow.recovery_at_least_s, slow.recovery_s):
        assert 2 * length_s * 1000 / every_ms >= 60
    quick = request_of(
        catalogue.find("control-plane-outage").build(mesh), mesh, drill="d", hypothesis="", cluster="c", run_id="r"
    )
    assert quick.baseline_s == 10


def edges_of(asked: Request) -> set[tuple[str, str]]:
    """Return the edges of the calls of a request."""
    return {(it.source, it.target) for it in asked.workload}


def test_claims_bring_the_calls_that_they_need() -> None:
    """Membership by call needs outsiders that call each service; new pods call, and are called in both ways."""
    alone = request({"flows": FLOWS})
    members = request({"members": always(checks.mesh_membership(by_call=True))})
    joins = request({"joins": always(checks.new_pod_meshed(by_call=True))})
    assert alone.workload == tuple(WORKLOAD)
    outside = {("outsider", it.target) for it in WORKLOAD} | {("outsider", "outsider")}
    assert edges_of(members) == edges_of(alone) | outside
    new = {("new-pod", "frontend"), ("new-pod", "ledger")}
    new |= {(source, it) for source in ("checkout", "outsider") for it in ("new-pod", "new-pod-address")}
    assert new | outside <= edges_of(joins)
    assert len(edges_of(joins)) == len(joins.workload)


def test_no_call_is_planned_twice() -> None:
    """An edge from outside that the drill loads itself keeps its own rate."""
    own = Experiment(method=STOP, claims={"members": always(checks.mesh_membership(by_call=True))})
    asked = request_of(own, mesh(), drill="d", hypothesis="", cluster="double", run_id="0" * 12)
    rates = [it.every_ms for it in asked.workload if (it.source, it.target) == ("outsider", "ledger")]
    assert rates == [500]
    assert ("outsider", "fraud") in edges_of(asked)
