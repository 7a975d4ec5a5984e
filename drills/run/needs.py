"""What a drill needs of a mesh and of a cluster before its question makes sense."""

from collections.abc import Iterable

import pytest

from clusters.model import OF_CLUSTER, Capability, Mesh, Role

EVERY_DRILL = (Capability.NODE_EXEC, Capability.WIRE)
"""What each drill needs of its cluster: receipts are taken on the nodes, and each run watches the wire."""

MARK = "requires"
INSTALL = "install"


def requires(*needs: Role | Capability) -> pytest.MarkDecorator:
    """Mark a drill with the roles and capabilities without which it is skipped, with the reason."""
    return pytest.mark.requires(*needs)


def install(*, leaf_s: int) -> pytest.MarkDecorator:
    """Mark a drill that wants the mesh installed its own way: workloads' certificates live leaf_s seconds."""
    return pytest.mark.install(leaf_s=leaf_s)


def unmet(needs: Iterable[Role | Capability], mesh: Mesh) -> str:
    """Return why the mesh cannot be asked, as a sentence, or "" when it can.

    What a drill needs of the cluster is not asked here: see `clusters.cluster.lacking`.
    """
    missing = [need for need in needs if not _has(mesh, need)]
    if not missing:
        return ""
    return f"{mesh.title} has no {' and no '.join(_named(need, mesh) for need in missing)}"


def _named(need: Role | Capability, mesh: Mesh) -> str:
    """Return the need, with the reason why the mesh does not meet it here where its facts tell one."""
    reason = mesh.absent.get(need, "")
    return f"{need.value} ({reason})" if reason else need.value


def _has(mesh: Mesh, need: Role | Capability) -> bool:
    if need in OF_CLUSTER:
        return True
    return need in mesh.capabilities if isinstance(need, Capability) else mesh.component(need) is not None
