"""A stand-in for a cluster, in one JSON file that outlives a process. It is no mesh and proves nothing about one."""

import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec

from clusters.kube import Admission, Json
from clusters.model import (
    Certificates,
    Component,
    Identity,
    Install,
    Membership,
    Mesh,
    PolicyModel,
    Promises,
    Reference,
    Role,
    SignalKind,
    SignalSpec,
    by_name,
)
from clusters.runtime import MANIFESTS, HarnessError
from drills.selftest.doubles.cluster_world import NODES, Process, World
from drills.selftest.doubles.strict_double import StrictCluster, StrictKube

COMPONENT = Component(
    role=Role.CONTROL_PLANE,
    kind="Deployment",
    namespace="system",
    name="brain",
    selector="app=brain",
    process="brain-server",
    service="brain",
    port=8080,
)
SERVICE_ADDRESS = "10.96.0.1"
SOURCE = Reference("test", "https://example.org", "v0", "inferred")
PROMISED = Reference("promise", "https://example.org/flow", "v0", "documented")


class FileCluster(StrictKube, StrictCluster):
    """A `Cluster` that is its own `Kube`, as far as its tests ask; to ask it for more is an error of the test."""

    name = "double"
    nodes = NODES

    def __init__(self, root: Path) -> None:
        super().__init__(self, root)
        self.root = root
        (self.share / "logs").mkdir(parents=True, exist_ok=True)
        self.state.mkdir(exist_ok=True)
        self._file = root / "world.json"
        self._lock = threading.RLock()  # probes change the state from threads of their own
        if not self._file.exists():
            world = World()
            world.start_brain()
            self.save(world)

    def load(self) -> World:
        """Return the state as the file has it."""
        return msgspec.json.decode(self._file.read_bytes(), type=World)

    def save(self, world: World) -> None:
        """Replace the state, whole."""
        draft = self._file.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(world))
        draft.replace(self._file)

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Answer the few programs that are run on nodes."""
        del timeout_s, check
        world = self.load()
        here = [process for process in world.processes if process.node == node]
        match argv[0]:
            case "ps" if "-p" in argv:
                return "".join(f"{process.state}l\n" for process in here if str(process.pid) == argv[-1])
            case "sh":
                rows = "".join(f"{process.pid:>7} {process.state}l {process.args}\n" for process in here)
                groups = "".join(map(_cgroup, here))
                folders = "".join(f"{process.namespace}_{process.pod}_{process.uid}\n" for process in here)
                return f"{rows}----\n{groups}----\n{folders}"
            case "kill":
                self._kill(world, argv[1].removeprefix("-"), {int(pid) for pid in argv[2:]})
                return ""
            case "curl":
                return _curl(world, argv[-1].split("/")[2].split(":")[0])
        raise AssertionError(shlex.join(argv))

    def replicas(self, component: Component) -> tuple[int, int]:
        """Return desired and ready."""
        del component
        world = self._alive()
        return world.desired, sum(process.state == "S" for process in world.brains())

    def scale(self, component: Component, replicas: int) -> None:
        """Start or end pods of the component."""
        del component
        world = self._alive()
        world.desired = replicas
        if replicas == 0 and not world.survives:
            world.processes = [process for process in world.processes if process not in world.brains()]
        world.reconcile_brains()
        self.save(world)

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, object]]:
        """List pods as the API does."""
        del selector
        world = self._alive()
        if namespace != "system":
            return [pod for pod in world.pods if cast("dict[str, str]", pod["metadata"])["namespace"] == namespace]
        return [_pod(process) for process in world.brains()]

    def find(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Json]:
        """List the ReplicaSet of the component, and nothing else: no test asks for more than pods."""
        del api_version, namespace, selector
        world = self._alive()
        owner = [{"kind": COMPONENT.kind, "name": COMPONENT.name}]
        sets: Json = {"metadata": {"name": "brain-5f", "ownerReferences": owner}, "spec": {"replicas": world.desired}}
        return [sets] if kind == "ReplicaSet" else []

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, object] | None:
        """Return the component's Service or workload, or an object that was created."""
        del api_version
        world = self._alive()
        if (kind, name) == ("Service", COMPONENT.service):
            return {"spec": {"clusterIP": SERVICE_ADDRESS}}
        if (kind, name) == (COMPONENT.kind, COMPONENT.name) and not world.is_removed:
            desired, ready = self.replicas(COMPONENT)
            labels = {"app": "brain"}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main"}]}}
            return {
                "kind": kind,
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"replicas": desired, "selector": {"matchLabels": labels}, "template": template},
                "status": {"readyReplicas": ready},
            }
        return world.objects.get(f"{kind}/{namespace}/{name}")

    def apply(self, manifest: Mapping[str, object]) -> Admission:
        """Store an object; it is ready at once."""
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        with self._lock:
            world = self.load()
            if world.is_api_dead:
                return Admission("failed", "dead")
            world.objects[_key(manifest)] = {**manifest, "status": ready}
            self.save(world)
        return Admission("accepted", object=manifest)

    create_pod = apply

    def apply_all(self, manifests: Sequence[Mapping[str, object]]) -> None:
        """Store every object."""
        for manifest in manifests:
            self.apply(manifest).demand("Applying it")

    def try_pod(self, manifest: Mapping[str, object]) -> Admission:
        """Refuse a pod of a workload that an admission policy of the harness keeps away."""
        world = self.load()
        if world.is_api_dead:
            return Admission("failed", "dead")
        pod: Json = dict(manifest)
        app, affinity = pod["metadata"]["labels"]["app"], pod["spec"].get("affinity", {})
        if world.is_refused(app, _node_of(affinity)):
            return Admission(
                "refused", f"ValidatingAdmissionPolicy 'meshdrill-unavailable-system-{app}' denied request"
            )
        return Admission("accepted", object=manifest)

    def patch(self, changes: Mapping[str, object]) -> None:
        """Let the controller of the component try again: a touched ReplicaSet is the one change that it knows."""
        world = self._alive()
        assert changes["kind"] == "ReplicaSet"
        world.reconcile_brains()
        self.save(world)

    def delete(self, manifest: Mapping[str, object], *, grace_s: int | None = None) -> Admission:
        """Forget an object."""
        del grace_s
        with self._lock:
            world = self.load()
            if world.is_api_dead:
                return Admission("failed", "dead")
            world.objects.pop(_key(manifest), None)
            self.save(world)
        return Admission("accepted")

    def delete_pod(self, namespace: str, name: str, *, grace_s: int | None = None) -> Admission:
        """End a pod of the component; its controller starts another."""
        del namespace, grace_s
        world = self._alive()
        if not world.survives:
            world.processes = [process for process in world.processes if process.pod != name]
        world.reconcile_brains()
        self.save(world)
        return Admission("accepted")

    def _alive(self) -> World:
        world = self.load()
        if world.is_api_dead:
            raise HarnessError("the API server is dead")
        return world

    def _kill(self, world: World, name: str, pids: set[int]) -> None:
        for process in [process for process in world.processes if process.pid in pids and not world.survives]:
            if name == "STOP":
                process.state = "T"
            elif name == "CONT":
                process.state = "S"
            else:
                self._crash(world, process)
        self.save(world)

    @staticmethod
    def _crash(world: World, process: Process) -> None:
        """Let the kubelet start the container again in its pod."""
        world.next_pid += 1
        process.ended, process.exit_code = f"containerd://{process.pid}", 137
        process.pid, process.restarts = world.next_pid, process.restarts + 1
        process.state = "Z" if world.stays_dead else "S"


_MESH = Mesh(
    name="double",
    title="the double",
    manifests=MANIFESTS / "none",
    components=(COMPONENT,),
    capabilities=frozenset(),
    install=Install(),
    membership=Membership(proves=lambda _pod, _witness: True),
    certificates=Certificates(leaf_ttl_s=0),
    policy=PolicyModel(kinds=()),
    identity=Identity(of=lambda namespace, account: f"{namespace}/{account}", header="x-peer"),
    signals=by_name(
        SignalSpec("brain-down", SignalKind.CONDITION, "system/Deployment/brain", SOURCE),
        SignalSpec("brain-missed", SignalKind.METRIC_INCREASES, "misses", SOURCE, scrape_port=9, scrape_path="/m"),
    ),
    promises=Promises({"flow": PROMISED}, {"routes-keep-working": "flow"}),
)


def mesh(**changes: object) -> Mesh:
    """Return a mesh of no product around the double's component."""
    return replace(_MESH, **changes)  # type: ignore[arg-type]  # each value is what its field asks for


def lab_pod(name: str, service: str, *, namespace: str = "lab", node: str = NODES[0]) -> dict[str, object]:
    """Return a ready pod of the lab as the API shows it."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": service}},
        "spec": {"nodeName": node, "containers": [{"image": "lab:1"}]},
        "status": {"podIP": "10.0.1.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _key(manifest: Mapping[str, object]) -> str:
    metadata = cast("Mapping[str, str]", manifest["metadata"])
    return f"{manifest['kind']}/{metadata.get('namespace')}/{metadata['name']}"


def _node_of(affinity: Json) -> str:
    """Return the node that the DaemonSet controller writes into a pod's affinity, "" for none."""
    if not affinity:
        return ""
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return str(term["matchFields"][0]["values"][0])


def _cgroup(process: Process) -> str:
    return f"/proc/{process.pid}/cgroup:0::/kubelet.slice/kubelet-pod{process.uid.replace('-', '_')}.slice/c.scope\n"


def status_of(process: Process) -> dict[str, object]:
    """Return what the API shows of the address of a pod and of the container that the process is."""
    ended = {"terminated": {"exitCode": process.exit_code, "containerID": process.ended}} if process.ended else {}
    status = {"name": "main", "restartCount": process.restarts, "state": {"running": {}}, "lastState": ended}
    return {"podIP": process.address, "containerStatuses": [status]}


def _pod(process: Process) -> dict[str, object]:
    return {"metadata": {"name": process.pod, "uid": process.uid}, "status": status_of(process)}


def _curl(world: World, address: str) -> str:
    behind = [process for process in world.brains() if address in (SERVICE_ADDRESS, process.address)]
    if any(process.state == "S" for process in behind):
        return "400 0 0.000123"
    return "000 28 0.000123" if behind else "000 7 0.000000"
