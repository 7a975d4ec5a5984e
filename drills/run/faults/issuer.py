"""`rotate_issuer`: replaces the issuer's certificate and key in the Secret that its process mounts.

The stored Secret proves nothing: the kubelet updates the pod's volume up to 90 s later. So the receipt is the file as
the issuer's own process sees it, read on its node, and for an EXPIRED issuer also that its certificate has expired.
The revert restores the issuer of the installation from the state directory, which only its owner can read: no key is in
the undo log, in an event, or in a bundle.
"""

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from cryptography import x509

from clusters.ca import DEFAULT_LIVES, foreign, installed, key_id, successor
from clusters.cluster import Cluster
from clusters.model import Authority, Mesh, Role
from clusters.runtime import HarnessError, UsageError
from drills.run.faults import process_table
from drills.run.faults.base import BaseFault, ComponentFault, Receipt, healthy
from drills.run.faults.process_table import Process
from drills.run.timing import Timing
from drills.run.undo_entry import Name, ObjectRef, Patch

Variant = Literal["rotated", "expired", "untrusted"]
ROTATED: Variant = "rotated"
"""A valid issuer under the same trust anchor."""
EXPIRED: Variant = "expired"
"""A valid issuer under the same trust anchor that expires during the fault."""
UNTRUSTED: Variant = "untrusted"
"""An issuer under an anchor that no peer trusts."""

_OBSERVER = "files of the issuer's process, on its node"
_NODE_S = 10.0
_MOUNT_POINT = 4  # its field in /proc/PID/mountinfo

_MADE: Mapping[Variant, Callable[[Path, float], Authority]] = {
    ROTATED: lambda state, _life_s: successor(state, DEFAULT_LIVES.issuer_s),
    EXPIRED: successor,
    UNTRUSTED: lambda state, _life_s: foreign(state),
}


class RotateIssuer(BaseFault, tag="rotate-issuer", frozen=True, kw_only=True):
    """Replace the mesh's issuer."""

    role: Role = Role.IDENTITY
    issuer: Variant
    life_s: float = 0.0  # lifetime of the new issuer in seconds, 0 when it does not matter

    @property
    def variant(self) -> str:
        """The kind of the new issuer."""
        return self.issuer

    def resolve(self, cluster: Cluster, mesh: Mesh, run_id: str) -> "ReplacedIssuer":
        """Find the Secret and the issuer's processes; HarnessError when its content could not be restored."""
        component = self.component(mesh)
        replicas = healthy(cluster, component, self.title)
        if mesh.certificates.issuance is None:
            raise UsageError(
                f"{mesh.title} makes its own issuer: the drill must say @requires(Capability.GIVEN_ISSUER)."
            )
        secret = mesh.certificates.issuance.secret
        replaced = ReplacedIssuer(
            run_id=run_id,
            component=component,
            replicas=replicas,
            namespace=secret.namespace,
            name=secret.name,
            files=(secret.certificate, secret.key),
            folder=secret.folder,
            issuer=self.issuer,
            life_s=self.life_s,
        )
        replaced.demand_restorable(cluster)
        replaced.processes = replaced.found(cluster)
        return replaced


class ReplacedIssuer(ComponentFault, tag="rotate-issuer", kw_only=True):
    """Another issuer in the Secret; observed in the files of the issuer's processes, on every node that runs one."""

    namespace: Name  # of the Secret
    name: Name
    files: tuple[Name, Name]  # names of certificate and key in its data, and so of the files
    folder: Name  # where the issuer's process mounts the files
    issuer: Variant
    life_s: float
    processes: tuple[Process, ...] = ()
    certificate: str = ""  # the new one in PEM, once it is injected
    is_taken_up_alive: bool = False

    every_s = 3.0

    def land_extra_s(self, timing: Timing) -> float:
        """The kubelet updates the volume late, and an EXPIRED issuer lands only when it expires."""
        expired_s = self.life_s + timing.issuer_expired_extra_s if self.issuer == EXPIRED else 0.0
        return max(timing.secret_updated_extra_s, expired_s)

    @property
    def subject(self) -> str:
        """The issuer of the installation is in the Secret."""
        return f"the issuer of the installation back in Secret {self.namespace}/{self.name}"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on which the issuer runs."""
        return tuple(process.node for process in self.processes)

    def demand_restorable(self, cluster: Cluster) -> None:
        """Raise HarnessError unless the Secret holds what the state directory can restore."""
        successor(cluster.state, 1.0) if self.issuer != UNTRUSTED else foreign(cluster.state)
        differs = self._not_stored(cluster)
        if differs:
            raise HarnessError(f"{differs}: it could not be restored. Reinstall the mesh, or delete the cluster.")

    def inject(self, cluster: Cluster, timing: Timing) -> str:
        """Replace certificate and key in one patch."""
        made = _MADE[self.issuer](cluster.state, self.life_s)
        self.certificate = made.issuer
        self._store(cluster, made)
        return (
            f"Secret {self.namespace}/{self.name}: issuer {key_id(installed(cluster.state).issuer)} replaced by "
            f"{key_id(made.issuer)}, {self.issuer}"
        )

    @property
    def signer(self) -> str:
        """Key id of the new issuer: certificates that it signs name it."""
        return key_id(self.certificate)

    def receipt(self, cluster: Cluster, turn: int | None = None) -> Receipt:
        """Landed: every process of the issuer has the new one, which has expired if it is EXPIRED."""
        # With a turn, too, it observes everything: one small file of each process.
        shown = self._shown(cluster, self.processes)
        if not shown:
            self.processes = self.found(cluster)  # a pod that was replaced
            shown = self._shown(cluster, self.processes)
        if not shown:
            raise HarnessError(f"No process of {self.title} has {self.files[0]} in {self.folder}.")
        is_new = bool(self.certificate) and all(text == self.certificate.strip() for text in shown.values())
        words = "; ".join(f"{pod} has {self._named(cluster, text)}" for pod, text in shown.items())
        if self.issuer != EXPIRED or not is_new:
            return Receipt(is_new, _OBSERVER, words)
        ends_s = x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc.timestamp()
        left_s = ends_s - time.time()
        self.is_taken_up_alive |= left_s > 0
        if not self.is_taken_up_alive:
            return Receipt(landed=False, observer=_OBSERVER, evidence=f"{words}, expired before the process had it")
        ended = f", {left_s:.0f} s before it expires" if left_s > 0 else f", expired {-left_s:.0f} s ago"
        return Receipt(left_s <= 0, _OBSERVER, words + ended)

    def revert(self, cluster: Cluster) -> None:
        """Restore the issuer of the installation in the Secret."""
        self._store(cluster, installed(cluster.state))

    def reverted(self, cluster: Cluster) -> str:
        """Return where that issuer is not back yet (Secret or process), or which replicas are not ready."""
        differs = self._not_stored(cluster)
        if differs:
            return differs
        before = installed(cluster.state).issuer.strip()
        shown = self._shown(cluster, process_table.find(cluster, self.component))
        stale = [pod for pod, text in shown.items() if text != before]
        if stale or not shown:
            where = ", ".join(stale) or "any process"
            return f"the issuer of the installation is not yet in {self.folder} of {where}"
        return super().reverted(cluster)

    @property
    def _secret(self) -> ObjectRef:
        return ObjectRef("v1", "Secret", self.name, self.namespace)

    def _store(self, cluster: Cluster, authority: Authority) -> None:
        Patch(self._secret, {"data": self._data(authority)}).apply(cluster)

    def _named(self, cluster: Cluster, text: str) -> str:
        if self.certificate and text == self.certificate.strip():
            return "the new issuer"
        is_own = text == installed(cluster.state).issuer.strip()
        return "the issuer of the installation" if is_own else "an unknown issuer"

    def _not_stored(self, cluster: Cluster) -> str:
        """Return how the Secret differs from the issuer of the installation, "" when it does not."""
        found, title = self._secret.find(cluster), f"Secret {self.namespace}/{self.name}"
        if found is None:
            return f"{title} does not exist"
        data, wanted = found.get("data") or {}, self._data(installed(cluster.state))
        is_same = all(_decoded(data.get(name, "")) == _decoded(text) for name, text in wanted.items())
        return "" if is_same else f"{title} does not hold the issuer with which the cluster was installed"

    def _shown(self, cluster: Cluster, found: tuple[Process, ...]) -> dict[str, str]:
        """Return pod -> the certificate file of its process; a process without such a file is left out."""
        shown = {}
        for process in found:
            path = f"/proc/{process.pid}/root{_mounted(cluster, process, self.folder)}/{self.files[0]}"
            text = cluster.exec(process.node, ["cat", path], timeout_s=_NODE_S, check=False).strip()
            if text:
                shown[process.pod] = text
        return shown

    def _data(self, authority: Authority) -> dict[str, str]:
        certificate, key = self.files
        texts = {certificate: authority.issuer, key: authority.issuer_key}
        # With a trailing newline: an issuer may concatenate the files, and two PEM texts must not share a line.
        return {name: base64.b64encode((text.strip() + "\n").encode()).decode() for name, text in texts.items()}


def rotate_issuer(issuer: Variant = ROTATED, *, life_s: float = 0.0, hold_s: float) -> RotateIssuer:
    """Replace the mesh's issuer until the undo; the hold begins when the issuer's process has the new files.

    ROTATED: a valid one under the same trust anchor. UNTRUSTED: one under an anchor that no peer trusts. EXPIRED: a
    valid one that expires after life_s; the fault lands only then, and life_s must exceed the 90 s until it is loaded.
    """
    return RotateIssuer(issuer=issuer, life_s=life_s, hold_s=hold_s)


def _mounted(cluster: Cluster, process: Process, folder: str) -> str:
    """Return the mount point of the folder in a process's own mount table.

    In many images /var/run is a symbolic link, and followed from the node it would lead to the node's folder.
    """
    table = cluster.exec(process.node, ["cat", f"/proc/{process.pid}/mountinfo"], timeout_s=_NODE_S, check=False)
    points = [line.split()[_MOUNT_POINT] for line in table.splitlines()]
    return next((it for it in points if it.removeprefix("/var") == folder.removeprefix("/var")), folder)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text).strip()
