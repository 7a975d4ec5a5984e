"""The entries of the undo log: tagged structs that any later process can decode and revert."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import msgspec

from clusters.cluster import Cluster
from clusters.kube import Json, describe
from drills.run.plan import stop_plan

# \Z and not $, which would accept a trailing newline.
RunId = Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,64}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[\w.:/=-]{0,253}\Z")]


class UndoEntry(msgspec.Struct, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """A change that a run makes to the cluster, and how to revert it. Reverting twice is harmless."""

    run_id: RunId

    comes_first: ClassVar[bool] = False
    """Whether this entry must be reverted before all others."""
    every_s: ClassVar[float] = 0.0
    """The shortest interval between two calls of `reverted` in seconds: each takes processor time."""

    @property
    def kind(self) -> str:
        """The tag of the class in the log."""
        return str(self.__struct_config__.tag)

    @property
    def subject(self) -> str:
        """The state of the cluster after the revert, in words."""
        raise NotImplementedError

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which the revert acts; an entry that names a node of another cluster is rejected."""
        return ()

    def revert(self, cluster: Cluster) -> None:
        """Revert the change, once; HarnessError when this attempt fails, and a later one may succeed."""
        raise NotImplementedError

    def reverted(self, cluster: Cluster) -> str:
        """Return what still differs from the reverted state, "" when nothing does."""
        raise NotImplementedError


class ObjectRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The address of one Kubernetes object."""

    api_version: Name
    kind: Name
    name: Name
    namespace: Name = ""

    @classmethod
    def of(cls, manifest: Mapping[str, object]) -> Self:
        """Return the address of the object that a manifest describes."""
        metadata = _metadata(manifest)
        namespace = str(metadata.get("namespace") or "")
        return cls(str(manifest["apiVersion"]), str(manifest["kind"]), str(metadata["name"]), namespace)

    @property
    def manifest(self) -> Json:
        """A manifest with the object's address and nothing else."""
        metadata = {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata}

    @property
    def title(self) -> str:
        """Return `Kind namespace/name`."""
        return describe(self.manifest)

    def find(self, cluster: Cluster) -> Json | None:
        """Return the object, None when it does not exist; HarnessError when the API does not answer."""
        return cluster.kube.get(self.api_version, self.kind, self.name, self.namespace or None)

    def delete(self, cluster: Cluster, *, grace_s: int | None = None) -> None:
        """Delete the object, if it exists; HarnessError when the API server does not accept the request."""
        cluster.kube.delete(self.manifest, grace_s=grace_s).demand(f"Deleting {self.title}")


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A merge patch (RFC 7386) of one object."""

    target: ObjectRef
    changes: dict[str, Any]  # without the object's address

    @classmethod
    def of(cls, manifest: Mapping[str, object]) -> Self:
        """Return the patch that sets the fields of a partial manifest."""
        metadata = {key: value for key, value in _metadata(manifest).items() if key not in {"name", "namespace"}}
        fields = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind", "metadata"}}
        return cls(ObjectRef.of(manifest), fields | ({"metadata": metadata} if metadata else {}))

    @property
    def manifest(self) -> Json:
        """The changes with the object's address, as a partial manifest."""
        address = self.target.manifest
        return {**address, **self.changes, "metadata": {**self.changes.get("metadata", {}), **address["metadata"]}}

    def apply(self, cluster: Cluster) -> None:
        """Send the patch; HarnessError when the API server does not accept it."""
        cluster.kube.patch(self.manifest)


class CreatedObject(UndoEntry, tag="created-object", kw_only=True):
    """An object that a probe creates: a pod, a Service, a policy. The revert deletes it."""

    created: ObjectRef

    @property
    def subject(self) -> str:
        """The object is gone."""
        return f"{self.created.title} deleted"

    def revert(self, cluster: Cluster) -> None:
        """Delete the object without a grace period."""
        self.created.delete(cluster, grace_s=0)

    def reverted(self, cluster: Cluster) -> str:
        """Return that the object still exists, "" when it does not."""
        return f"{self.created.title} still exists" if self.created.find(cluster) is not None else ""


class LabCalls(UndoEntry, tag="lab-calls", kw_only=True):
    """The calls that the lab's programs make for a run. The revert publishes a plan that stops them."""

    @property
    def subject(self) -> str:
        """No program of the lab calls another."""
        return "calls of the lab stopped"

    def revert(self, cluster: Cluster) -> None:
        """Set `stop` in the current plan."""
        stop_plan(cluster.share)

    def reverted(self, cluster: Cluster) -> str:
        """Return "": the programs read the plan by themselves, and the run waits elsewhere for the end line of each."""
        del cluster
        return ""


def _metadata(manifest: Mapping[str, object]) -> Mapping[str, object]:
    found = manifest.get("metadata")
    return found if isinstance(found, Mapping) else {}
