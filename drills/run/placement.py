"""Finds the nodes with a part in the lab's placement: VICTIM, which faults of one node hit, and BYSTANDER."""

from clusters.cluster import PLACED, Cluster
from clusters.model import BYSTANDER, VICTIM
from clusters.runtime import HarnessError

__all__ = ["BYSTANDER", "PLACED", "VICTIM", "bystander_node", "find_node", "victim_node"]


def victim_node(cluster: Cluster) -> str:
    """Return the node that faults of one node hit; HarnessError unless exactly one has the label."""
    return find_node(cluster, VICTIM)


def bystander_node(cluster: Cluster) -> str:
    """Return the node that such faults must not affect; HarnessError unless exactly one has the label."""
    return find_node(cluster, BYSTANDER)


def find_node(cluster: Cluster, part: str) -> str:
    """Return the one node with the part's label; HarnessError unless it is exactly one of the cluster's nodes."""
    found: list[str] = [
        node["metadata"]["name"] for node in cluster.kube.find("v1", "Node", selector=f"{PLACED}={part}")
    ]
    if len(found) != 1 or found[0] not in cluster.nodes:
        raise HarnessError(
            f"Label {PLACED}={part} is on {', '.join(found) or 'no node'} of {cluster.name}; expected exactly one of "
            f"{', '.join(cluster.nodes)}. Deploy the lab again, or label the node."
        )
    return found[0]
