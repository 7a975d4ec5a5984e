"""What Kubernetes itself promises, whatever the mesh."""

from collections.abc import Mapping

from clusters.mesh import Source

_KUBERNETES = "https://kubernetes.io/docs"
KUBERNETES_SOURCES: Mapping[str, Source] = {
    "apiserver-recovers": Source(
        "Whoever watches the API lists again once it is back, with at most a minute between two tries (reflector)",
        "https://github.com/kubernetes/client-go/blob/v0.34.0/tools/cache/reflector.go",
        "v0.34.0",
        "source",
    ),
    "readiness-tells": Source(
        "Kubernetes knows of a pod what its probes say; that they know of a lost identity is nobody's promise",
        f"{_KUBERNETES}/concepts/workloads/pods/pod-lifecycle/#container-probes",
        "v1.34",
        "not-promised",
    ),
    "reboot-traffic": Source(
        "A Service leads to the pods of a lost node until Kubernetes marks it, after 50 s by default",
        f"{_KUBERNETES}/concepts/architecture/nodes/#node-status",
        "v1.34",
        "not-promised",
    ),
    "reboot-recovers": Source(
        "The kubelet restarts containers that failed",
        f"{_KUBERNETES}/concepts/architecture/self-healing/",
        "v1.34",
        "documented",
    ),
}
