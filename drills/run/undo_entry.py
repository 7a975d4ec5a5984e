"""One entry of the undo log, as data: enough for a process that knows nothing of the run that wrote it."""

from typing import Literal

import msgspec

from clusters.model import Component
from clusters.runtime import HarnessError

Action = Literal[
    "scale",
    "await-ready",
    "resume",
    "delete",
    "stop-workload",
    "patch",
    "await-rollout",
    "return-apiserver",
    "boot-node",
    "boot-node-after-api",
    "heal",
    "reach-api",
    "create",
    "reinject",
    "reissue",
    "retract",
]


class Undo(msgspec.Struct, frozen=True, kw_only=True):
    """One pending undo.

    scale: put `replicas` back. await-ready: nothing to reverse, but wait until `replicas` are ready again.
    resume: SIGCONT whatever is stopped. delete: remove the object in `manifest`. stop-workload: end the calls.
    patch: merge the fields of `manifest` into the component's workload and wait until `replicas` are ready.
    await-rollout: as await-ready, and none of `pods` may be left if the restart marked by `stamp` was asked for.
    return-apiserver: let the API server of `node` run again.
    boot-node: start `node`, and lay again what the harness laid there.
    boot-node-after-api: both, the API server of `api_node` first.
    create: create the component's workload in `manifest` unless it exists, and wait until `replicas` are ready.
    heal: remove the rules by which packets are dropped, wherever they are.
    reach-api: remove the rule by which `node` reaches no API.
    reinject: merge the fields of `manifest` into the object that it names, put `replicas` back where there is a
        component, and wait until a new pod gets `containers` again.
    reissue: put the issuer that the cluster was installed with into `files` (certificate, key) of the Secret that
        `manifest` names, and wait until the component's processes have it in `folder`. The entry holds no key.
    retract: merge each of `patches` into the object that it names, and remove each object in `manifests`.
    """

    id: str
    run_id: str
    action: Action
    subject: str  # for people: what this puts right
    component: Component | None = None
    replicas: int = 0
    manifest: dict[str, object] = msgspec.field(default_factory=dict)
    pods: tuple[str, ...] = ()  # UIDs
    stamp: str = ""
    node: str = ""
    api_node: str = ""
    containers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    folder: str = ""
    manifests: tuple[dict[str, object], ...] = ()
    patches: tuple[dict[str, object], ...] = ()

    @property
    def target(self) -> Component:
        """The component that is put right; HarnessError when the entry names none."""
        if self.component is None:
            raise HarnessError(f"The undo {self.id} ({self.subject}) names no component; its file was edited.")
        return self.component
