"""The issuer's certificate and key replaced under a running mesh, in the Secret from which its issuer has them.

What the API server stores proves nothing: the kubelet brings it to the pod up to 90 s later. So the receipt is the file
that the issuer's own process has before it, read on its node, and of an issuer whose life ends in service, that it is
over by now. The undo puts back what the cluster was installed with. It reads that from the state directory, where the
key lies for its owner alone: no key is on the undo log, in an event, or in a bundle.
"""

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509

from clusters.ca import DEFAULT_LIVES, foreign, installed, key_id, successor
from clusters.cluster import Cluster
from clusters.kube import Json
from clusters.model import Authority, Component, IssuerSecret
from clusters.runtime import HarnessError
from drills.run.faults import EXPIRED, ROTATED, STRANGER, processes
from drills.run.faults.injury import Hurt, Receipt
from drills.run.undo_entry import Undo

_OBSERVER = "files before the issuer's process, on its node"
_NODE_S = 10.0
_MOUNT_POINT = 4  # its field in /proc/PID/mountinfo
_PROJECTED_S = 75.0  # a kubelet looks at a pod's Secrets every 60 s to 90 s; an injury has 45 s anyway

_MADE: Mapping[str, Callable[[Path, float], Authority]] = {
    ROTATED: lambda state, _life_s: successor(state, DEFAULT_LIVES.issuer_s),
    EXPIRED: successor,
    STRANGER: lambda state, _life_s: foreign(state),
}


class ReplacedIssuer(Hurt):
    """Another issuer in the Secret; seen in the files of the issuer's processes, on every node that runs one."""

    def __init__(
        self, cluster: Cluster, component: Component, replicas: int, secret: IssuerSecret, kind: str, life_s: float
    ) -> None:
        super().__init__(cluster, component, replicas)
        self._secret = secret
        self._kind = kind
        self._before = installed(cluster.state)
        differs = _not_stored(cluster, _manifest(secret), (secret.certificate, secret.key))
        if differs:
            raise HarnessError(f"{differs}: it could not be put back. Reinstall the mesh, or delete the cluster.")
        self._processes = self._found()
        self._new = _MADE[kind](cluster.state, life_s)
        self._ends_s = x509.load_pem_x509_certificate(self._new.issuer.encode()).not_valid_after_utc.timestamp()
        self._is_taken_up_alive = False
        self.land_extra_s = max(_PROJECTED_S, life_s + 15.0 if kind == EXPIRED else 0.0)

    def undo(self, run_id: str) -> Undo:
        """Put the issuer of before back, and wait until its process has it before it."""
        return Undo(
            id="fault",
            run_id=run_id,
            action="reissue",
            subject=f"the issuer of before back in Secret {self._secret.namespace}/{self._secret.name}",
            component=self._component,
            replicas=self._replicas,
            manifest=_manifest(self._secret),
            files=(self._secret.certificate, self._secret.key),
            folder=self._secret.folder,
        )

    def inject(self) -> str:
        """Replace certificate and key in one change."""
        files = (self._secret.certificate, self._secret.key)
        self._cluster.kube.patch({**_manifest(self._secret), "data": _data(files, self._new)})
        return (
            f"Secret {self._secret.namespace}/{self._secret.name}: issuer {key_id(self._before.issuer)} replaced by "
            f"{key_id(self._new.issuer)}, {self._kind}"
        )

    @property
    def signer(self) -> str:
        """Key id of the new issuer."""
        return key_id(self._new.issuer)

    def observe(self) -> Receipt:
        """Landed: every process of the issuer has the new one before it, and it is over if its life was to end."""
        shown = _shown(self._cluster, self._processes, self._secret.folder, self._secret.certificate)
        if not shown:
            self._processes = self._found()  # a pod that was replaced
            shown = _shown(self._cluster, self._processes, self._secret.folder, self._secret.certificate)
        if not shown:
            raise HarnessError(f"No process of {self._title} has {self._secret.certificate} in {self._secret.folder}.")
        is_new = all(text == self._new.issuer.strip() for text in shown.values())
        words = "; ".join(f"{pod} has {self._named(text)}" for pod, text in shown.items())
        if self._kind != EXPIRED or not is_new:
            return Receipt(is_new, _OBSERVER, words)
        left_s = self._ends_s - time.time()
        self._is_taken_up_alive |= left_s > 0
        if not self._is_taken_up_alive:
            return Receipt(landed=False, observer=_OBSERVER, evidence=f"{words}, over before it came there")
        ended = f", {left_s:.0f} s before its end" if left_s > 0 else f", over for {-left_s:.0f} s"
        return Receipt(left_s <= 0, _OBSERVER, words + ended)

    def glance(self, turn: int) -> Receipt | None:
        """Look again: it is one small file of each process."""
        del turn
        return self.observe()

    def _named(self, text: str) -> str:
        known = {self._new.issuer.strip(): "the new issuer", self._before.issuer.strip(): "the issuer of before"}
        return known.get(text, "an issuer that nobody knows")


def reissue(cluster: Cluster, undo: Undo) -> None:
    """Put the issuer with which the cluster was installed back into its Secret."""
    cluster.kube.patch({**undo.manifest, "data": _data(undo.files, installed(cluster.state))})


def unissued(cluster: Cluster, undo: Undo) -> str:
    """Say where the issuer of before is not back yet: in the Secret, or before a process; "" when it is."""
    before = installed(cluster.state).issuer.strip()
    differs = _not_stored(cluster, undo.manifest, undo.files)
    if differs:
        return differs
    shown = _shown(cluster, processes.find(cluster, undo.target), undo.folder, undo.files[0])
    stale = [pod for pod, text in shown.items() if text != before]
    if stale or not shown:
        return f"the issuer of before is not yet in {undo.folder} of {', '.join(stale) or 'any process'}"
    return ""


def _not_stored(cluster: Cluster, manifest: Mapping[str, object], files: tuple[str, ...]) -> str:
    """Say how the Secret differs from what the cluster was installed with, "" when it does not."""
    named: Json = dict(manifest)
    where = named["metadata"]
    found = cluster.kube.get("v1", "Secret", where["name"], where["namespace"])
    title = f"Secret {where['namespace']}/{where['name']}"
    if found is None:
        return f"{title} does not exist"
    data, wanted = found.get("data") or {}, _data(files, installed(cluster.state))
    is_same = all(_decoded(data.get(name, "")) == _decoded(text) for name, text in wanted.items())
    return "" if is_same else f"{title} does not hold the issuer with which the cluster was installed"


def _shown(cluster: Cluster, found: tuple[processes.Process, ...], folder: str, name: str) -> dict[str, str]:
    """Return what each pod's process has before it; a process of the pod that has no such file is left out."""
    shown = {}
    for process in found:
        path = f"/proc/{process.pid}/root{_mounted(cluster, process, folder)}/{name}"
        text = cluster.exec(process.node, ["cat", path], timeout_s=_NODE_S, check=False).strip()
        if text:
            shown[process.pod] = text
    return shown


def _mounted(cluster: Cluster, process: processes.Process, folder: str) -> str:
    """Return where a process really has the folder: in many images /var/run is a link, and it would lead to the node's.

    Its mounts are listed by their own place, whatever link leads there.
    """
    table = cluster.exec(process.node, ["cat", f"/proc/{process.pid}/mountinfo"], timeout_s=_NODE_S, check=False)
    points = [line.split()[_MOUNT_POINT] for line in table.splitlines()]
    return next((it for it in points if it.removeprefix("/var") == folder.removeprefix("/var")), folder)


def _manifest(secret: IssuerSecret) -> Json:
    metadata = {"name": secret.name, "namespace": secret.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def _data(files: tuple[str, ...], authority: Authority) -> dict[str, str]:
    certificate, key = files
    texts = {certificate: authority.issuer, key: authority.issuer_key}
    # With the line's end after the last one: an issuer may put files together, and PEM texts without it run into one.
    return {name: base64.b64encode((text.strip() + "\n").encode()).decode() for name, text in texts.items()}


def _decoded(text: str) -> bytes:
    return base64.b64decode(text).strip()
