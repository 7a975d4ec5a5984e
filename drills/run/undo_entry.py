"""One entry of the undo log: a tagged struct that a process which knows nothing of the run can decode and revert."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import msgspec

from clusters.cluster import Cluster
from clusters.kube import Json, describe
from drills.run.plan import stop_plan

# \Z and not $, which would let a line's end pass.
RunId = Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,64}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[\w.:/=-]{0,253}\Z")]


class UndoEntry(msgspec.Struct, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """What a run did, or is about to do, to the cluster, and how it is reverted. Reverting twice is harmless."""

    run_id: RunId

    comes_first: ClassVar[bool] = False
    """Whether no other entry can be reverted before this one."""
    every_s: ClassVar[float] = 0.0
    """How often `reverted` is asked, 0 for as often as usual: each look takes processor time from the calls."""

    @property
    def kind(self) -> str:
        """The tag by which the log knows the class."""
        return str(self.__struct_config__.tag)

    @property
    def subject(self) -> str:
        """Say in words for people what the cluster is like once this is reverted."""
        raise NotImplementedError

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which reverting acts by name; the log refuses an entry that names a node of no such cluster."""
        return ()

    def revert(self, cluster: Cluster) -> None:
        """Put the cluster back, once; HarnessError when it cannot be done now, which a later try may."""
        raise NotImplementedError

    def reverted(self, cluster: Cluster) -> str:
        """Say what still differs from the reverted state, "" when nothing does."""
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
        """The object's address as a manifest without content."""
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
        """Delete the object, which may be gone already; HarnessError when the API server does not accept it."""
        cluster.kube.delete(self.manifest, grace_s=grace_s).demand(f"Deleting {self.title}")


class Patch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A merge patch (RFC 7386) of one object."""

    target: ObjectRef
    changes: dict[str, Any]  # without what addresses the object

    @classmethod
    def of(cls, manifest: Mapping[str, object]) -> Self:
        """Return the patch that a manifest of some fields stands for."""
        metadata = {key: value for key, value in _metadata(manifest).items() if key not in {"name", "namespace"}}
        fields = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind", "metadata"}}
        return cls(ObjectRef.of(manifest), fields | ({"metadata": metadata} if metadata else {}))

    @property
    def manifest(self) -> Json:
        """The patch with the address of its object."""
        address = self.target.manifest
        return {**address, **self.changes, "metadata": {**self.changes.get("metadata", {}), **address["metadata"]}}

    def apply(self, cluster: Cluster) -> None:
        """Merge the changes into the object; HarnessError when the API server does not accept them."""
        cluster.kube.patch(self.manifest)


class CreatedObject(UndoEntry, tag="created-object", kw_only=True):
    """An object that a probe creates: a pod, a Service, a policy. It is reverted by deleting it."""

    created: ObjectRef

    @property
    def subject(self) -> str:
        """The object is gone."""
        return f"{self.created.title} deleted"

    def revert(self, cluster: Cluster) -> None:
        """Delete it at once."""
        self.created.delete(cluster, grace_s=0)

    def reverted(self, cluster: Cluster) -> str:
        """Say that it still exists."""
        return f"{self.created.title} still exists" if self.created.find(cluster) is not None else ""


class LabCalls(UndoEntry, tag="lab-calls", kw_only=True):
    """The calls that the lab's programs make for a run. They are reverted by the plan that says stop."""

    @property
    def subject(self) -> str:
        """No program of the lab calls another."""
        return "calls of the lab stopped"

    def revert(self, cluster: Cluster) -> None:
        """Publish that the plan in force is to stop."""
        stop_plan(cluster.share)

    def reverted(self, cluster: Cluster) -> str:
        """Return "": each program reads the plan by itself, and the run waits for the last line of each elsewhere."""
        del cluster
        return ""


def _metadata(manifest: Mapping[str, object]) -> Mapping[str, object]:
    found = manifest.get("metadata")
    return found if isinstance(found, Mapping) else {}
