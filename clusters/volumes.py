"""Storage for a part of a mesh that must remember what it knew: a directory of a node that no drill takes away."""

from clusters.kube import Json
from clusters.mesh import Mesh
from clusters.place import BYSTANDER, PLACED, Place

STORAGE_CLASS = "meshdrill"
"""The class that a mesh's values ask for; nobody provisions it, each volume of it is laid here."""

_FOLDER = "/var/lib/meshdrill/volumes"  # on the node, in what survives its reboot
_NODE_S = 10.0


def lay(place: Place, mesh: Mesh) -> None:
    """Lay every volume that the mesh claims; HarnessError when a node or the API did not take it."""
    for name in mesh.volumes:
        path = f"{_FOLDER}/{name}"
        for node in place.nodes:  # only one of them plays the bystander, and only the API knows which
            place.on_node(node, ["install", "--directory", "--mode=0777", path], timeout_s=_NODE_S)
        place.kube.apply_all([_volume(name, path)])


def _volume(name: str, path: str) -> Json:
    on_bystander = {"key": PLACED, "operator": "In", "values": [BYSTANDER]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"meshdrill-{name}"},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": path},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_bystander]}]}},
        },
    }
