"""The place where a drill runs: a cluster, the directory it shares with us, and a way onto its nodes."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.command import run
from clusters.errors import HarnessError
from clusters.kube import Kube

_POWER_S = 60.0


@dataclass(frozen=True)
class Place:
    """One cluster that a drill may break."""

    name: str
    kubeconfig: Path
    share: Path  # our side of the directory that every node mounts at SHARE_ON_NODE
    state: Path  # what must survive this process: undo log, lock
    nodes: tuple[str, ...]
    kube: Kube

    def on_node(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Run a program on a node, past the Kubernetes API, and return what it printed.

        A kind node is a container, so this is `docker exec`; it works while the API server is dead.
        Raises HarnessError when the node does not answer in time or, with check, when the program fails.
        """
        try:
            done = subprocess.run(
                ["docker", "exec", node, *argv], capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise HarnessError(
                f"Node {node} did not finish {' '.join(argv)!r} in {timeout_s:g} s. Is the container engine overloaded?"
            ) from error
        if check and done.returncode != 0:
            raise HarnessError(
                f"Node {node}: {' '.join(argv)!r} ended with {done.returncode}: {done.stderr.strip() or 'no message'}"
            )
        return done.stdout

    def power_off(self, node: str) -> None:
        """End everything on a node at once, without goodbye; HarnessError when the engine could not."""
        run(["docker", "kill", "--signal", "KILL", node], timeout_s=_POWER_S)

    def power_on(self, node: str) -> None:
        """Start a node that is off; one that is on stays as it is. HarnessError when the engine could not."""
        run(["docker", "start", node], timeout_s=_POWER_S)


SHARE_ON_NODE = "/var/lib/meshdrill"

PLACED = "meshdrill/placed"
"""The label of a node that says which part it plays in drills on one node."""

VICTIM, BYSTANDER = "victim", "bystander"


def elsewhere(part: str) -> str:
    """Return the label, without a value, of every node that does not play the part."""
    return f"meshdrill/not-{part}"
