"""The double of a cluster with a Service that a declaration may change. It enforces nothing, and proves so little."""

from collections.abc import Mapping
from pathlib import Path

from clusters.kube import Json
from drills.run import faults
from drills.run.faults import Fault
from drills.selftest.doubles.cluster_double import FileCluster
from drills.selftest.doubles.node_double import merged

SERVICE = "Service/lab/frontend"
APPLIED = faults.apply_objects("l7-proxy-missing", hold_s=1.0)
DELETED = faults.apply_then_delete("l7-proxy-unready", stands_s=0.0, hold_s=1.0)
FAULTS: dict[str, Fault] = {APPLIED.kind: APPLIED, DELETED.kind: DELETED}


class DeclaredCluster(FileCluster):
    """The double with the lab's front door."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        world = self.load()
        if SERVICE not in world.objects:
            metadata = {"name": "frontend", "namespace": "lab", "labels": {"app": "frontend"}}
            world.objects[SERVICE] = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
            self.save(world)

    @property
    def labels(self) -> Json:
        """The Service's labels as they stand."""
        service: Json = self.load().objects[SERVICE]
        return dict(service["metadata"]["labels"])

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, object] | None:
        """Return the Service, or what the double under it has."""
        if kind == "Service":
            return self._alive().objects.get(f"{kind}/{namespace}/{name}")
        return super().get(api_version, kind, name, namespace)

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """Return the objects of the kind, which do not say their own kind."""
        del api_version, selector
        found = self._alive().objects.items()
        return [
            {key: value for key, value in item.items() if key != "kind"}
            for name, item in found
            if name.startswith(f"{kind}/{namespace}/")
        ]

    def own(self, kind: str, name: str, owner_kind: str, owner: str) -> None:
        """Store an object that a controller made of another one."""
        belongs = [{"kind": owner_kind, "name": owner}]
        metadata = {"name": name, "namespace": "lab", "ownerReferences": belongs}
        self.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata})

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge changes into an object."""
        world = self._alive()
        given: Json = dict(changes)
        key = f"{given['kind']}/{given['metadata']['namespace']}/{given['metadata']['name']}"
        if not world.survives:
            world.objects[key] = merged(world.objects[key], given)
        self.save(world)
