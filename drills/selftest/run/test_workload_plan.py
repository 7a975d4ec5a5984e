"""The workload: the plan says exactly what the drill asked for, and only when every pod can carry it out."""

from dataclasses import replace

import msgspec
import pytest

from clusters.kube import Json
from clusters.model import VICTIM, Certificates, Handshake
from clusters.runtime import HarnessError
from drills.run import inventory
from drills.run.context import Context
from drills.run.experiment import Probes, Request
from drills.run.facts import pods_ended_by
from drills.run.faults import Fault, reboot, scale_to_zero
from drills.run.lab import calls
from drills.run.phase import CurrentPhase
from drills.run.plan import Plan, read_plan, stop_plan, write_plan
from drills.run.recorder import Recorder
from drills.run.tail import Tail
from drills.run.timing import Timing
from drills.run.undo import UndoLog, leftovers
from drills.run.workload import Workload
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, lab_pod, mesh
from drills.selftest.doubles.cluster_world import NODES

LAB = [
    lab_pod("checkout-1", "checkout"),
    lab_pod("checkout-2", "checkout", node=NODES[1]),
    lab_pod("payment-1", "payment"),
    lab_pod("outsider-1", "outsider", namespace="outside"),
    *(lab_pod(f"observer-{node}", "observer", namespace="meshdrill", node=node) for node in NODES),
]


@pytest.fixture
def double(tmp_path_factory: pytest.TempPathFactory) -> FileCluster:
    """Return a healthy component and a lab."""
    cluster = FileCluster(tmp_path_factory.mktemp("place"))
    fill(cluster, LAB)
    return cluster


def fill(double: FileCluster, pods: list[Json]) -> None:
    """Let these be the pods of the lab."""
    world = double.load()
    world.pods = pods
    double.save(world)


def prepared(double: FileCluster, fault: Fault | None = None, **facts: object) -> Workload:
    """Return a workload that is not started, and that waits for nothing."""
    context = Context(
        "r1",
        double,
        mesh(**facts),
        Recorder(),
        UndoLog(double.state),
        CurrentPhase(),
        Tail(double.share, "r1"),
        timing=Timing(workload_ready_within_s=0.0, calls_end_within_s=0.0),
    )
    request = Request(
        run_id="r1",
        cluster="double",
        drill="d",
        mesh="double",
        hypothesis="",
        workload=(calls("checkout", "payment", every_ms=20), calls("outsider", "payment", every_ms=100)),
        fault=fault or scale_to_zero(COMPONENT.role),
        probes=Probes(wire=True, signals=("brain-down", "brain-missed")),
        baseline_s=1,
        recovery_s=1,
    )
    return Workload(context, request, replace(inventory.take(double), placed={VICTIM: NODES[1]}))


def test_plan_is_what_the_drill_asked_for(double: FileCluster) -> None:
    """One caller per edge and connection, a canary of the agreed form, metrics of meshed pods only, undo first."""
    with pytest.raises(HarnessError, match="plan not read by checkout-1, checkout-2, payment-1, outsider-1"):
        prepared(double).start()
    plan = read_plan(double.share)
    assert plan is not None
    assert [(caller.source, caller.target, caller.connection, caller.every_ms) for caller in plan.callers] == [
        ("checkout", "payment", "new", 20),
        ("checkout", "payment", "reused", 20),
        ("outsider", "payment", "new", 100),
        ("outsider", "payment", "reused", 100),
    ]
    assert plan.callers[0].host == "payment.lab.svc.cluster.local"
    assert plan.canary.startswith("mdc")
    assert len(plan.canary) == 19
    assert plan.capture
    assert plan.identity_header == "x-peer"
    assert {(scrape.pod, scrape.node, scrape.url, scrape.metrics) for scrape in plan.scrapes} == {
        (name, node, "http://10.0.1.1:9/m", ("misses",))
        for name, node in (("checkout-1", NODES[0]), ("checkout-2", NODES[1]), ("payment-1", NODES[0]))
    }
    assert [entry.kind for entry in leftovers(double.state)] == ["lab-calls"]


def test_certificates_are_looked_at_where_the_mesh_shows_them(double: FileCluster) -> None:
    """Every meshed pod, by the observer of its node, at the port and with the protocols of the mesh; else none."""
    plan = prepared(double, certificates=Certificates(60, handshake=Handshake(15, ("a", "b"))))._plan
    assert [(it.pod, it.node, it.host, it.port, it.alpn) for it in plan.certificates] == [
        (name, node, "10.0.1.1", 15, ("a", "b"))
        for name, node in (("checkout-1", NODES[0]), ("checkout-2", NODES[1]), ("payment-1", NODES[0]))
    ]
    assert min(it.every_s for it in plan.certificates) >= 10
    assert {it.server_name for it in plan.certificates} == {""}
    named = prepared(double, certificates=Certificates(60, handshake=Handshake(15, (), by_name=True)))._plan
    assert {(it.pod, it.server_name) for it in named.certificates} == {
        (name, "lab/") for name in ("checkout-1", "checkout-2", "payment-1")
    }
    assert prepared(double)._plan.certificates == ()


def test_every_pod_of_the_source_is_expected_to_call(double: FileCluster) -> None:
    """Two replicas on two kinds of connection are four callers that must leave rows without a hole."""
    expected = prepared(double).expected
    assert [(caller.pod, caller.connection) for caller in expected if caller.source == "checkout"] == [
        ("checkout-1", "new"),
        ("checkout-1", "reused"),
        ("checkout-2", "new"),
        ("checkout-2", "reused"),
    ]


def test_two_runs_have_two_canaries(double: FileCluster) -> None:
    """Bytes of an earlier run can never be taken for this one's."""
    first, second = prepared(double), prepared(double)
    assert first._plan.canary != second._plan.canary


def test_plan_is_stopped_in_place(double: FileCluster) -> None:
    """Stopping keeps the run and its callers, so that programs know what to end; without a plan it is harmless."""
    stop_plan(double.share)
    assert read_plan(double.share) is None
    write_plan(double.share, Plan(run_id="r1", canary="c"))
    stop_plan(double.share)
    assert read_plan(double.share) == Plan(run_id="r1", canary="c", stop=True)
    assert msgspec.json.decode((double.share / "plan.json").read_bytes())["stop"] is True
    assert (double.share / "plan.json").stat().st_mode & 0o444 == 0o444


def test_edited_plan_is_named(double: FileCluster) -> None:
    """A plan that is none is an error with its path, not an empty plan."""
    (double.share / "plan.json").write_text("{}")
    with pytest.raises(HarnessError, match=r"plan\.json is not a plan"):
        read_plan(double.share)


def test_pod_that_is_not_ready_is_named(double: FileCluster) -> None:
    """A run needs every pod of the lab: one that is not ready is named before anything starts."""
    sick = lab_pod("ledger-1", "ledger")
    fill(double, [*LAB, {**sick, "status": {"podIP": "", "conditions": []}}])
    with pytest.raises(HarnessError, match="Pod lab/ledger-1 is not ready"):
        inventory.take(double)


def test_node_without_observer_is_named(double: FileCluster) -> None:
    """An unobserved node could carry plaintext unseen."""
    fill(double, LAB[:-1])
    with pytest.raises(HarnessError, match=f"No observer runs on {NODES[1]}"):
        inventory.take(double)


def test_new_pod_of_an_earlier_attempt_is_no_part_of_the_lab(double: FileCluster) -> None:
    """A pod that a probe made is expected neither to serve nor to end."""
    fill(double, [*LAB, lab_pod("new-pod-1", "new-pod")])
    assert "new-pod-1" not in inventory.take(double).names


def test_image_of_new_pods_is_read_where_nothing_is_injected(double: FileCluster) -> None:
    """The lab's image comes from the outsider's pod, whose first container is its own."""
    assert inventory.take(double).image == "lab:1"


def test_program_that_ended_with_its_node_owes_an_end_line_only_after_a_restart(double: FileCluster) -> None:
    """A pod that a reboot ended is not waited for; once it serves the run on, its count is. Others owe all of it."""
    (double.share / "logs").mkdir(exist_ok=True)
    log = double.share / "logs" / "all.jsonl"
    work = prepared(double, reboot(VICTIM))
    lines: list[dict[str, object]] = [
        {"type": "wire_end", "node": n, "packets": 1, "dropped": 0, "hits": []} for n in NODES
    ]
    ends = {"type": "end", "scheduled": 1, "written": 1}
    kinds = ("new", "reused")
    lines += [{**ends, "pod": "checkout-1", "target": "payment", "connection": kind} for kind in kinds]
    lines += [{**ends, "pod": "outsider-1", "target": "payment", "connection": kind} for kind in kinds]
    lines += [
        {"type": "served_end", "pod": p, "service": "", "served": 1} for p in ("checkout-1", "payment-1", "outsider-1")
    ]

    def write(*lines: dict[str, object]) -> None:
        with log.open("ab") as sink:
            sink.write(b"".join(msgspec.json.encode({**line, "run_id": "r1"}) + b"\n" for line in lines))

    write(*lines[1:])
    with pytest.raises(HarnessError, match=f"observers on {NODES[0]}"):
        work.await_ends()
    write(lines[0])
    work.await_ends()
    write({"type": "late", "pod": "checkout-2", "node": NODES[1]})
    with pytest.raises(HarnessError, match="servers checkout-2"):
        work.await_ends()
    write({"type": "served_end", "pod": "checkout-2", "service": "checkout", "served": 3})
    work.await_ends()


def test_a_fault_that_ends_its_node_ends_the_pods_on_it() -> None:
    """A reboot ends the lab's pods and the observer of the node; no other fault ends pods."""
    pods = inventory.Inventory(
        tuple(pod(name, node) for name, node in (("checkout-1", "n1"), ("checkout-2", "n2"))),
        (pod("observer-2", "n2"),),
        {VICTIM: "n2"},
    )
    assert pods_ended_by(reboot(VICTIM), pods) == ("checkout-2", "observer-2")
    assert pods_ended_by(scale_to_zero(COMPONENT.role), pods) == ()


def pod(name: str, node: str) -> inventory.LabPod:
    """Return a pod of the lab."""
    return inventory.LabPod(name, "lab", name.partition("-")[0], node, "10.0.0.1", "lab:1")
