"""A drill on the doubles: a healthy component, and a lab whose programs run."""

from pathlib import Path

from clusters import provision
from clusters.host import HostReport
from clusters.images.origins import Origin
from clusters.images.resolve import Resolved
from clusters.model import Role
from drills.run import faults
from drills.run.lab import calls
from drills.selftest.doubles.cluster_double import FileCluster, lab_pod
from drills.selftest.doubles.cluster_world import NODES
from drills.selftest.doubles.programs_double import Programs

ROUTE, FORBIDDEN = ("checkout", "payment"), ("frontend", "ledger")
SERVICES = ("frontend", "checkout", "payment", "ledger")
STOP = faults.scale_to_zero(Role.CONTROL_PLANE, hold_s=0.3)
WORKLOAD = (
    calls(*ROUTE, every_ms=10),
    calls("payment", "ledger", every_ms=10, connections=("new",)),
    calls(*FORBIDDEN, every_ms=10, connections=("new",)),
)
MADE_OF = provision.Provenance(
    host=HostReport("an os", "1", 2, 8.0, 20.0, None, "runc", 2, ("CAP_X",), {"BTF": True}, {"docker.io": False}, 512),
    images=(Resolved("lab", "lab:1", "build", "sha256:2", None, Origin("build", "python")),),
    node_image=Resolved("node", "node:1", "engine", "sha256:1"),
    tools={"kind": "1"},
    built=True,
)


def healthy(root: Path, made: type[FileCluster] = FileCluster) -> FileCluster:
    """Return a healthy component and a lab."""
    cluster = made(root)
    world = cluster.load()
    world.pods = [
        *(lab_pod(f"{service}-1", service) for service in SERVICES),
        lab_pod("outsider-1", "outsider", namespace="outside"),
        *(lab_pod(f"observer-{node}", "observer", namespace="meshdrill", node=node) for node in NODES),
    ]
    cluster.save(world)
    return cluster


def played(double: FileCluster, **how: object) -> Programs:
    """Return the lab's programs, ready to run."""
    pods = {f"{service}-1": service for service in (*SERVICES, "outsider")}
    given = {"denied": frozenset({FORBIDDEN, ("new-pod", "ledger")}), "new_pods": lambda: new_pods(double), **how}
    return Programs(double.share, pods, nodes=NODES, **given)  # type: ignore[arg-type]


def new_pods(double: FileCluster) -> list[str]:
    """Return the names of the new pods that exist in the double."""
    return [key.rpartition("/")[2] for key in double.load().objects if key.startswith("Pod/lab/new-pod-")]
