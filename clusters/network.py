"""The network of a kind cluster: where its DNS runs, and plain pods with routes between all nodes.

The plain pod network is the same on every node image and has no policy engine: only the mesh can deny a call.
"""

import json
from concurrent.futures import ThreadPoolExecutor

from clusters.cluster import Cluster
from clusters.runtime import wait_until

_ON_NODE_S = 20.0
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
"""The label that kubeadm gives to the control plane's node, whose taint CoreDNS tolerates."""
_CONFLIST = "/etc/cni/net.d/10-meshdrill.conflist"


def place_dns(cluster: Cluster) -> None:
    """Keep the cluster's DNS on the node of the control plane, which no drill takes away.

    Called before the nodes have a pod network, while its pods wait for a node. Kubernetes would place them anywhere: in
    one run both were on the node that a drill rebooted, and callers on all other nodes could resolve no name.
    """
    cluster.kube.patch(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "spec": {"template": {"spec": {"nodeSelector": {_CONTROL_PLANE: ""}}}},
        }
    )


def configure(cluster: Cluster) -> None:
    """Configure the pod network on every node and wait until all nodes are Ready."""
    ranges = _pod_ranges(cluster)
    with ThreadPoolExecutor(len(cluster.nodes)) as pool:
        list(pool.map(lambda node: _configure(cluster, node, ranges), cluster.nodes))
    _wait_ready(cluster)


def restore_routes(cluster: Cluster) -> None:
    """Restore the routes on each node with the plain network, which a restarted node has lost.

    No effect where a mesh brings the network. The CNI configuration is not rewritten: it survives on disk, and a mesh
    may have added its plugin to it.
    """
    ranges = _pod_ranges(cluster)
    for node in cluster.nodes:
        routes = [f"ip route replace {route}" for route in _routes(node, ranges)]
        script = "\n".join(["set -e", f"test -e {_CONFLIST} || exit 0", *routes])
        cluster.exec(node, ["sh", "-c", script], timeout_s=_ON_NODE_S)


def missing_routes(cluster: Cluster) -> str:
    """Return a phrase that names a node's missing routes; "" when none is missing or a mesh brings the network."""
    ranges = _pod_ranges(cluster)
    for node in cluster.nodes:
        script = f"test ! -e {_CONFLIST} || ip -o route show"
        table = cluster.exec(node, ["sh", "-c", script], timeout_s=_ON_NODE_S).splitlines()
        lost = [route for route in _routes(node, ranges) if not any(line.startswith(f"{route} ") for line in table)]
        if table and lost:
            return f"node {node} has no route {', '.join(lost)}"
    return ""


def _routes(node: str, ranges: dict[str, tuple[str, str]]) -> list[str]:
    return [f"{cidr} via {address}" for other, (cidr, address) in ranges.items() if other != node]


def _configure(cluster: Cluster, node: str, ranges: dict[str, tuple[str, str]]) -> None:
    text = json.dumps(_conflist(ranges[node][0]))
    routes = [f"ip route replace {route}" for route in _routes(node, ranges)]
    script = "\n".join(["set -e", "mkdir -p /etc/cni/net.d", f"printf %s '{text}' > {_CONFLIST}", *routes])
    cluster.exec(node, ["sh", "-c", script], timeout_s=_ON_NODE_S)


def _conflist(pod_range: str) -> dict[str, object]:
    return {
        "cniVersion": "0.4.0",
        "name": "meshdrill",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-ipam-state",
                    "ranges": [[{"subnet": pod_range}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _pod_ranges(cluster: Cluster) -> dict[str, tuple[str, str]]:
    """Return node -> (pod CIDR, address); the controller manager assigns the CIDR shortly after a node joins."""

    def look() -> dict[str, tuple[str, str]]:
        found = {}
        for node in cluster.kube.find("v1", "Node"):
            addresses = {item["type"]: item["address"] for item in node["status"]["addresses"]}
            found[node["metadata"]["name"]] = (node["spec"].get("podCIDR", ""), addresses["InternalIP"])
        return found

    return wait_until(
        look,
        lambda found: set(found) == set(cluster.nodes) and all(cidr for cidr, _ in found.values()),
        what=f"A pod CIDR for each node of {cluster.name}",
        within_s=90.0,
    )


def _wait_ready(cluster: Cluster) -> None:
    def unready() -> list[str]:
        return [
            node["metadata"]["name"]
            for node in cluster.kube.find("v1", "Node")
            if not any(held["type"] == "Ready" and held["status"] == "True" for held in node["status"]["conditions"])
        ]

    wait_until(
        unready,
        lambda names: not names,
        what=f"All nodes of {cluster.name} Ready",
        within_s=90.0,
        next_step="Look at `docker exec NODE journalctl -u kubelet`.",
    )
