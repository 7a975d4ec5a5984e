"""The cluster interface of drills: Kubernetes API, programs on nodes, node power, shared records."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from clusters.kube import Kube
from clusters.model import Capability, Role
from clusters.runtime import HarnessError

PLACED = "meshdrill/placed"
"""The node label whose value is VICTIM or BYSTANDER."""


class Cluster(Protocol):
    """One cluster that a drill may break.

    Errors: each method raises HarnessError when it fails or passes its deadline. Capabilities that the cluster lacks
    are in `absent`; a drill that needs one is skipped before it starts.
    """

    @property
    def name(self) -> str:
        """The cluster's name, for messages."""

    @property
    def kube(self) -> Kube:
        """Its Kubernetes API."""

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file for kubectl and helm."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, sorted."""

    @property
    def uplink(self) -> str:
        """The interface through which a node reaches the other nodes."""

    @property
    def share(self) -> Path:
        """The host side of the directory that holds the lab programs' plan and logs (`logs/`)."""

    @property
    def state(self) -> Path:
        """The directory that survives this process: undo log, lock, the mesh's authority."""

    @property
    def absent(self) -> Mapping[Capability, str]:
        """The capabilities of `model.OF_CLUSTER` that it lacks, each with the reason."""

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Run a program on a node without the Kubernetes API and return its standard output; needs NODE_EXEC.

        check: also raise HarnessError when the program fails.
        """

    def power_off(self, node: str) -> None:
        """Kill everything on a node at once; needs NODE_POWER."""

    def power_on(self, node: str) -> None:
        """Start a node; no effect on a running one; needs NODE_POWER."""


def find_node(cluster: Cluster, part: str) -> str:
    """Return the one node that is the VICTIM or BYSTANDER given as part; HarnessError unless it is exactly one."""
    found: list[str] = [
        node["metadata"]["name"] for node in cluster.kube.find("v1", "Node", selector=f"{PLACED}={part}")
    ]
    if len(found) != 1 or found[0] not in cluster.nodes:
        raise HarnessError(
            f"Label {PLACED}={part} is on {', '.join(found) or 'no node'} of {cluster.name}; expected exactly one of "
            f"{', '.join(cluster.nodes)}. Deploy the lab again, or label the node."
        )
    return found[0]


def lacking(cluster: Cluster, needs: Iterable[Role | Capability]) -> str:
    """Return a sentence that names each unmet need with its reason, or "" when the cluster meets all."""
    reasons = ((need, cluster.absent.get(need)) for need in needs if isinstance(need, Capability))
    missing = [f"{need.value} ({why})" for need, why in reasons if why is not None]
    return f"Cluster {cluster.name} has no {' and no '.join(missing)}" if missing else ""
