"""What a drill needs of a cluster, whatever made it: its API, a way onto its nodes, their power, and shared records."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from clusters.kube import Kube
from clusters.model import Capability, Role

PLACED = "meshdrill/placed"
"""The label of a node that says which part it plays in drills on one node."""


class Cluster(Protocol):
    """One cluster that a drill may break.

    Errors: each method raises HarnessError when it could not do its work, in time or at all. What a cluster cannot do
    at all is in `absent`, and a drill that needs it is skipped before it starts.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def kube(self) -> Kube:
        """Its Kubernetes API."""

    @property
    def kubeconfig(self) -> Path:
        """The file by which kubectl and helm find that API."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, sorted."""

    @property
    def uplink(self) -> str:
        """The interface by which a node reaches the other nodes."""

    @property
    def share(self) -> Path:
        """Our side of the directory in which each lab program finds its plan and leaves its records (`logs/`)."""

    @property
    def state(self) -> Path:
        """The directory of what must survive this process: undo log, lock, the mesh's authority."""

    @property
    def absent(self) -> Mapping[Capability, str]:
        """Which of `model.OF_CLUSTER` it does not have, each with the reason."""

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Run a program on a node, past the Kubernetes API, and return what it printed; needs NODE_EXEC.

        HarnessError also, with check, when the program fails.
        """

    def power_off(self, node: str) -> None:
        """End everything on a node at once, without warning; needs NODE_POWER."""

    def power_on(self, node: str) -> None:
        """Start a node that is off, and leave one that is on as it is; needs NODE_POWER."""


def elsewhere(part: str) -> str:
    """Return the label, without a value, of every node that does not play the part."""
    return f"meshdrill/not-{part}"


def lacking(cluster: Cluster, needs: Iterable[Role | Capability]) -> str:
    """Return which of these needs the cluster does not meet, and why, as a sentence; "" when it lacks none of them."""
    reasons = ((need, cluster.absent.get(need)) for need in needs if isinstance(need, Capability))
    missing = [f"{need.value} ({why})" for need, why in reasons if why is not None]
    return f"Cluster {cluster.name} has no {' and no '.join(missing)}" if missing else ""
