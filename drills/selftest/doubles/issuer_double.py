"""The double of a cluster whose component signs with what lies in a Secret, and of the kubelet that brings it there.

Like the double under it, it is no mesh and proves nothing about one.
"""

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from clusters.ca import DEFAULT_LIVES, authority, installed
from clusters.kube import Json
from clusters.model import Authority, Certificates, Issuance, IssuerSecret, Mesh, Role
from drills.run import faults
from drills.run.faults import Fault
from drills.selftest.doubles.cluster_double import COMPONENT, FileCluster, mesh
from drills.selftest.doubles.node_double import merged

NAME = "identity.double.cluster.local"
SECRET = IssuerSecret("system", "brain-issuer", "crt.pem", "key.pem", "/var/run/issuer")
ROTATION = faults.rotate_issuer(faults.ROTATED, hold_s=1.0)
FAULTS: dict[str, Fault] = {ROTATION.kind: ROTATION}
STORED = f"Secret/{SECRET.namespace}/{SECRET.name}"
_PROJECTED = f"projected/{STORED}"


class IssuedCluster(FileCluster):
    """The double with an authority of the harness, a Secret, and files before the component's processes."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        made = authority(self.state, NAME, DEFAULT_LIVES)
        world = self.load()
        if STORED not in world.objects:
            world.objects[STORED] = {"data": encoded(made)}
            world.objects[_PROJECTED] = world.objects[STORED]
            self.save(world)

    @property
    def stored(self) -> str:
        """The certificate in the Secret."""
        return base64.b64decode(cast("Json", self.load().objects[STORED])["data"][SECRET.certificate]).decode()

    def patch(self, changes: Mapping[str, object]) -> None:
        """Merge changes into the Secret; a kubelet that is not held up brings them to the processes."""
        world = self._alive()
        assert changes["kind"] == "Secret"
        world.objects[STORED] = merged(world.objects[STORED], {"data": changes["data"]})
        if not world.survives:
            world.objects[_PROJECTED] = world.objects[STORED]
        self.save(world)

    def project(self) -> None:
        """Let the kubelet bring what is stored."""
        world = self.load()
        world.objects[_PROJECTED] = world.objects[STORED]
        self.save(world)

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float, check: bool = True) -> str:
        """Show a process the file that was brought to it, and answer the programs of the double under it."""
        if argv[0] != "cat":
            return super().exec(node, argv, timeout_s=timeout_s, check=check)
        world = self.load()
        assert not check, shlex.join(argv)
        # As in images of mesh parts: /var/run is a link to /run, which only the process's own root would resolve.
        mounted = SECRET.folder.removeprefix("/var")
        if argv[1] in {f"/proc/{brain.pid}/mountinfo" for brain in world.brains()}:
            return f"21 20 0:19 / / rw - overlay overlay rw\n22 21 0:20 / {mounted} ro - tmpfs tmpfs ro\n"
        files = {f"/proc/{brain.pid}/root{mounted}/{SECRET.certificate}" for brain in world.brains()}
        data = cast("Json", world.objects[_PROJECTED])["data"]
        return base64.b64decode(data[SECRET.certificate]).decode() if argv[1] in files else ""


def encoded(made: Authority) -> Json:
    """Return the data of the Secret as a chart writes them: without the last line's end."""
    texts = {SECRET.certificate: made.issuer, SECRET.key: made.issuer_key}
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def key_of(double: FileCluster) -> str:
    """Return the middle of the issuer's key, which nothing but two files may hold."""
    return installed(double.state).issuer_key.splitlines()[1]


def issued_mesh(**changes: object) -> Mesh:
    """Return the double's mesh with an issuer given by its installer."""
    issuer = replace(COMPONENT, role=Role.IDENTITY)
    certificates = Certificates(leaf_ttl_s=0, issuance=Issuance(NAME, lambda _made: {}, SECRET))
    return mesh(**{"components": (issuer,), "certificates": certificates, **changes})
