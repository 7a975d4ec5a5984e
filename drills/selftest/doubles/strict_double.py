"""A `Kube` and a `Cluster` that answer nothing: a test overrides what it asks, and all else is an error."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from clusters.kube import Admission, Json, Kube
from clusters.model import Capability, Component


def _unexpected(*asked: object) -> NoReturn:
    raise AssertionError(f"the test expects no such question: {asked}")


class StrictKube:
    """A Kubernetes API of which nothing is asked."""

    def apply(self, manifest: Mapping[str, object]) -> Admission:
        """Override it where it is asked."""
        _unexpected("apply", manifest)

    def apply_all(self, manifests: Sequence[Mapping[str, object]]) -> None:
        """Override it where it is asked."""
        _unexpected("apply_all", manifests)

    def create(self, manifest: Mapping[str, object]) -> Admission:
        """Override it where it is asked."""
        _unexpected("create", manifest)

    def delete(self, manifest: Mapping[str, object], *, grace_s: int | None = None) -> Admission:
        """Override it where it is asked."""
        _unexpected("delete", manifest, grace_s)

    def patch(self, changes: Mapping[str, object]) -> None:
        """Override it where it is asked."""
        _unexpected("patch", changes)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json | None:
        """Override it where it is asked."""
        _unexpected("get", api_version, kind, name, namespace)

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """Override it where it is asked."""
        _unexpected("find", api_version, kind, namespace, selector)

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """Override it where it is asked."""
        _unexpected("pods", namespace, selector)

    def create_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Override it where it is asked."""
        _unexpected("create_pod", manifest)

    def try_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Override it where it is asked."""
        _unexpected("try_pod", manifest)

    def delete_pod(self, namespace: str, name: str, *, grace_s: int | None = None) -> Admission:
        """Override it where it is asked."""
        _unexpected("delete_pod", namespace, name, grace_s)

    def replicas(self, component: Component) -> tuple[int, int]:
        """Override it where it is asked."""
        _unexpected("replicas", component)

    def scale(self, component: Component, replicas: int) -> None:
        """Override it where it is asked."""
        _unexpected("scale", component, replicas)


class StrictCluster:
    """A cluster of which nothing is asked but its name and its API."""

    name = "strict"
    uplink = "eth0"
    nodes: tuple[str, ...] = ()

    def __init__(self, kube: Kube, root: Path) -> None:
        self.kube = kube
        self.kubeconfig = root / "kubeconfig"
        self.share = root / "share"
        self.state = root / "state"
        self.absent: Mapping[Capability, str] = {}

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Override it where it is asked."""
        _unexpected("exec", node, argv, timeout_s, check)

    def power_off(self, node: str) -> None:
        """Override it where it is asked."""
        _unexpected("power_off", node)

    def power_on(self, node: str) -> None:
        """Override it where it is asked."""
        _unexpected("power_on", node)
