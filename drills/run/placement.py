"""Which node plays which part: the fault's effect on one node is told apart from the state of another."""

from clusters.errors import HarnessError
from clusters.place import BYSTANDER, PLACED, VICTIM, Place

__all__ = ["BYSTANDER", "PLACED", "VICTIM", "bystander_node", "find_node", "victim_node"]


def victim_node(place: Place) -> str:
    """Return the node that faults of one node hit; HarnessError unless exactly one carries the part."""
    return find_node(place, VICTIM)


def bystander_node(place: Place) -> str:
    """Return the node on which nothing may change meanwhile; HarnessError unless exactly one carries the part."""
    return find_node(place, BYSTANDER)


def find_node(place: Place, part: str) -> str:
    """Return the one node that carries the part; HarnessError unless it is exactly one of the place's nodes."""
    found: list[str] = [node["metadata"]["name"] for node in place.kube.find("v1", "Node", selector=f"{PLACED}={part}")]
    if len(found) != 1 or found[0] not in place.nodes:
        raise HarnessError(
            f"Label {PLACED}={part} is on {', '.join(found) or 'no node'} of {place.name}; expected exactly one of "
            f"{', '.join(place.nodes)}. Deploy the lab again, or label the node."
        )
    return found[0]
