"""The only module that calls the Kubernetes API. Every call has a deadline; every answer is plain JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient, Resource
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from clusters.model import Component
from clusters.runtime import HarnessError

Json = dict[str, Any]  # no narrower type fits every kind

_READ_S = 10.0
_WRITE_S = 35.0  # a mutating and a validating webhook that do not answer take 10 s to 15 s each
_FIELD_MANAGER = "meshdrill"
_NOT_FOUND = 404
_MESSAGE_LIMIT = 2000  # characters; a validation error can quote a whole schema
_BAD_REQUEST, _FORBIDDEN, _UNPROCESSABLE = 400, 403, 422


@dataclass(frozen=True)
class Admission:
    """The API server's answer to a write: accepted, refused (it said no), or failed (it did not answer)."""

    outcome: Literal["accepted", "refused", "failed"]
    message: str = ""
    object: Mapping[str, object] = field(default_factory=dict)

    def demand(self, deed: str) -> None:
        """Raise HarnessError unless accepted; deed: the beginning of its message, e.g. "Applying Pod lab/x"."""
        if self.outcome != "accepted":
            raise HarnessError(f"{deed} was {self.outcome}: {self.message}")


def _message(error: ApiException) -> str:
    """Return the message of the API server's Status object."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        said = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        said = body
    return f"{error.status} {error.reason}: {said}"[:_MESSAGE_LIMIT]


def _judge_refusal(error: ApiException) -> Admission:
    """Classify an API error: a webhook's denial or timeout is `refused`, a failing API server is `failed`."""
    text = _message(error)
    refused = "webhook" in text or error.status in {_BAD_REQUEST, _FORBIDDEN, _UNPROCESSABLE}
    return Admission("refused" if refused else "failed", text)


class Kube(Protocol):
    """The Kubernetes API of one cluster. Each call has a deadline.

    Errors: a call raises HarnessError when the API does not answer or refuses, unless it returns an `Admission`.
    """

    def apply(self, manifest: Mapping[str, object]) -> Admission:
        """Create or update one object by server-side apply, forcing our fields."""

    def apply_all(self, manifests: Sequence[Mapping[str, object]]) -> None:
        """Apply every object in order; HarnessError names the first that was not accepted."""

    def create(self, manifest: Mapping[str, object]) -> Admission:
        """Create one object; an object of that name that exists already is `failed`."""

    def delete(self, manifest: Mapping[str, object], *, grace_s: int | None = None) -> Admission:
        """Delete one object; gone already counts as accepted."""

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge the changes into the object that they name, None removing a field (RFC 7386)."""

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json | None:
        """Return one object as JSON, or None when it does not exist."""

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """Return the objects of a kind, narrowed by namespace and label selector."""

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """Return the pods of a namespace, narrowed by label selector."""

    def create_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Create a pod; the object of the answer is the pod as admitted, after every webhook."""

    def try_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Ask what would become of a pod: it passes every webhook as if created, and is not kept (a dry run)."""

    def delete_pod(self, namespace: str, name: str, *, grace_s: int | None = None) -> Admission:
        """Delete a pod; gone already counts as accepted."""

    def replicas(self, component: Component) -> tuple[int, int]:
        """Return (desired, ready) of the component's workload; HarnessError when it does not exist."""

    def scale(self, component: Component, replicas: int) -> None:
        """Set the number of replicas of a Deployment or StatefulSet."""


class KubeApi:
    """`Kube` by the API server that a kubeconfig names."""

    def __init__(self, kubeconfig: Path, *, discovery_cache: Path) -> None:
        settings = client.Configuration()
        config.load_kube_config(config_file=str(kubeconfig), client_configuration=settings)
        settings.retries = False  # a retry inside the library would outlive our deadline and hide an outage
        settings.connection_pool_maxsize = 16  # probes, observers and the runner call concurrently
        # The library's default cache file is shared by all clusters with the same address.
        self._client = DynamicClient(client.ApiClient(settings), cache_file=str(discovery_cache))

    def apply(self, manifest: Mapping[str, object]) -> Admission:
        """Create or update one object by server-side apply, forcing our fields."""
        return self._write("server_side_apply", manifest, field_manager=_FIELD_MANAGER, force_conflicts=True)

    def create(self, manifest: Mapping[str, object]) -> Admission:
        """Create one object; an object of that name that exists already is `failed`."""
        return self._write("create", manifest)

    def apply_all(self, manifests: Sequence[Mapping[str, object]]) -> None:
        """Apply every object in order; HarnessError names the first that was not accepted."""
        for manifest in manifests:
            answer = self.apply(manifest)
            if answer.outcome != "accepted":
                raise HarnessError(f"The API server did not accept {describe(manifest)}: {answer.message}")

    def delete(self, manifest: Mapping[str, object], *, grace_s: int | None = None) -> Admission:
        """Delete one object; gone already counts as accepted."""
        body = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        metadata = _metadata(manifest)
        try:
            resource = self._resource(manifest)
            resource.delete(
                name=metadata["name"], namespace=metadata.get("namespace"), body=body, _request_timeout=_WRITE_S
            )
        except ApiException as error:
            return Admission("accepted") if error.status == _NOT_FOUND else _judge_refusal(error)
        except (urllib3.exceptions.HTTPError, OSError, ResourceNotFoundError) as error:
            return Admission("failed", f"{type(error).__name__}: {error}")
        return Admission("accepted")

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json | None:
        """Return one object as JSON, or None when it does not exist."""
        try:
            found = self._ask(api_version, kind, name=name, namespace=namespace)
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise HarnessError(
                f"The API server did not return {kind} {namespace or ''}/{name}: {_message(error)}"
            ) from error
        return found

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """Return the objects of a kind, narrowed by namespace and label selector."""
        try:
            found = self._ask(api_version, kind, namespace=namespace, label_selector=selector)
        except ApiException as error:
            raise HarnessError(
                f"The API server did not list {kind} in {namespace or 'all namespaces'}: {_message(error)}"
            ) from error
        items = found.get("items")
        return list(items) if isinstance(items, list) else []

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """Return the pods of a namespace, narrowed by label selector."""
        return self.find("v1", "Pod", namespace, selector)

    def create_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Create a pod; the object of the answer is the pod as admitted, after every webhook."""
        return self.create(manifest)

    def try_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Ask what would become of a pod: it passes every webhook as if created, and is not kept (a dry run)."""
        return self._write("create", manifest, dry_run="All")

    def delete_pod(self, namespace: str, name: str, *, grace_s: int | None = None) -> Admission:
        """Delete a pod; gone already counts as accepted."""
        metadata = {"name": name, "namespace": namespace}
        return self.delete({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}, grace_s=grace_s)

    def replicas(self, component: Component) -> tuple[int, int]:
        """Return (desired, ready) of the component's workload; HarnessError when it does not exist."""
        found = self.get("apps/v1", component.kind, component.name, component.namespace)
        if found is None:
            raise HarnessError(
                f"{component.kind} {component.namespace}/{component.name} does not exist. Is the mesh installed?"
            )
        return wanted_and_ready(found)

    def scale(self, component: Component, replicas: int) -> None:
        """Set the number of replicas of a Deployment or StatefulSet; HarnessError when the API refuses."""
        self.patch(
            {
                "apiVersion": "apps/v1",
                "kind": component.kind,
                "metadata": {"name": component.name, "namespace": component.namespace},
                "spec": {"replicas": replicas},
            }
        )

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge the changes into the object that they name, None removing a field (RFC 7386).

        Raises HarnessError when the API server did not accept them.
        """
        answer = self._write("patch", changes, content_type="application/merge-patch+json")
        answer.demand(f"Changing {describe(changes)}")

    def _ask(self, api_version: str, kind: str, **arguments: str | None) -> Json:
        try:
            resource = self._client.resources.get(api_version=api_version, kind=kind)
            answer: Json = resource.get(**arguments, _request_timeout=_READ_S).to_dict()
        except (urllib3.exceptions.HTTPError, OSError, ResourceNotFoundError) as error:
            raise HarnessError(
                f"The API server did not answer a read of {kind} within {_READ_S:g} s: {type(error).__name__}: {error}"
            ) from error
        return answer

    def _resource(self, manifest: Mapping[str, object]) -> Resource:
        found: Resource = self._client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        return found

    def _write(self, verb: str, manifest: Mapping[str, object], **arguments: object) -> Admission:
        metadata = _metadata(manifest)
        try:
            resource = self._resource(manifest)
            named = {} if verb == "create" else {"name": metadata["name"]}
            answer = getattr(resource, verb)(
                body=manifest, namespace=metadata.get("namespace"), _request_timeout=_WRITE_S, **named, **arguments
            )
        except ApiException as error:
            return _judge_refusal(error)
        except (urllib3.exceptions.HTTPError, OSError, ResourceNotFoundError) as error:
            return Admission("failed", f"{type(error).__name__}: {error}")
        return Admission("accepted", object=answer.to_dict())


def describe(manifest: Mapping[str, object]) -> str:
    """Return `Kind namespace/name` for messages."""
    metadata = _metadata(manifest)
    return f"{manifest.get('kind')} {metadata.get('namespace', '')}/{metadata.get('name')}"


def wanted_and_ready(workload: Mapping[str, object]) -> tuple[int, int]:
    """Return the numbers of desired and ready pods of a Deployment, StatefulSet or DaemonSet."""
    spec, status = _mapping(workload.get("spec")), _mapping(workload.get("status"))
    if workload.get("kind") == "DaemonSet":
        return _count(status.get("desiredNumberScheduled")), _count(status.get("numberReady"))
    return _count(spec.get("replicas")), _count(status.get("readyReplicas"))


def is_ready(pod: Mapping[str, object]) -> bool:
    """Return whether the pod's Ready condition is True and it is not being deleted."""
    if "deletionTimestamp" in _metadata(pod):
        return False
    conditions = _mapping(pod.get("status")).get("conditions")
    listed = conditions if isinstance(conditions, list) else []
    return any(found.get("type") == "Ready" and found.get("status") == "True" for found in listed)


def _metadata(manifest: Mapping[str, object]) -> Mapping[str, str]:
    found = manifest.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
