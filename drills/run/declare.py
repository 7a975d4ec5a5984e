"""The decorator `drill`: makes a function from a mesh to an experiment a pytest test that runs the experiment."""

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clusters.model import OF_CLUSTER, Capability, Mesh, Role

if TYPE_CHECKING:  # they load the judge and the Kubernetes client, which a fast command line does not need
    from drills.run.experiment import Experiment
    from drills.run.runner import Drill

EVERY_DRILL = (Capability.NODE_EXEC, Capability.WIRE)
"""What every drill requires of its cluster: receipts are taken on the nodes, and every run watches the wire."""

Build = Callable[[Mesh], "Experiment"]
Test = Callable[["Drill"], None]

_PREFIX = "test_"
_DECLARED = "__meshdrill__"
_INSTALLED_FOR = "prepared"
"""The fixture whose parameter says how long a workload's certificate lives."""


@dataclass(frozen=True)
class Declared:
    """One drill, as its function declares it.

    name: control-plane-outage for test_control_plane_outage. hypothesis: the docstring. requires: roles and
    capabilities without which the drill is skipped. leaf_s: lifetime of a workload's certificate in seconds, 0 for the
    mesh's default; any other lifetime needs a cluster of its own. build: returns the experiment for a mesh.
    """

    name: str
    file: Path
    function: str
    hypothesis: str
    requires: tuple[Role | Capability, ...]
    leaf_s: int
    build: Build

    @property
    def node_id(self) -> str:
        """The test's node id in pytest."""
        return f"{self.file}::{self.function}"

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that a mesh must have."""
        return tuple(need.value for need in self.requires if isinstance(need, Role))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities that a mesh must have."""
        return tuple(need.value for need in self.requires if isinstance(need, Capability))

    @property
    def has_own_install(self) -> bool:
        """Whether the drill needs a cluster of its own."""
        return self.leaf_s > 0


def drill(*, requires: Iterable[Role | Capability] = (), leaf_s: int = 0) -> Callable[[Build], Test]:
    """Turn a function from a mesh to an experiment into a pytest test that runs it with the fixture `drill`.

    requires: roles and capabilities without which the drill is skipped, with the reason. leaf_s: lifetime of a
    workload's certificate in seconds. The function's docstring is the drill's hypothesis.
    """

    def declare(build: Build) -> Test:
        @functools.wraps(build)
        def test(drill: "Drill") -> None:
            verdict = drill.conduct(build(drill.mesh))
            assert verdict.accepts(strict=drill.strict), verdict.explain()

        # Pytest reads the fixtures from the signature, and file and line from the wrapped function.
        parameter = inspect.Parameter("drill", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
        setattr(
            test,
            _DECLARED,
            Declared(
                name=drill_name(build.__name__),
                file=Path(inspect.getfile(build)),
                function=build.__name__,
                hypothesis=inspect.cleandoc(build.__doc__ or ""),
                requires=tuple(requires),
                leaf_s=leaf_s,
                build=build,
            ),
        )
        if leaf_s:
            installed = pytest.mark.parametrize(
                _INSTALLED_FOR, [leaf_s], indirect=True, ids=[f"leaf_s={leaf_s}"], scope="session"
            )
            test = installed(test)
        return test

    return declare


def declared(test: object) -> Declared | None:
    """Return the drill that a test declares, None when it is not a drill."""
    found = getattr(test, _DECLARED, None)
    return found if isinstance(found, Declared) else None


def drill_name(function: str) -> str:
    """Return the drill's name for a function's name: test_control_plane_outage -> control-plane-outage."""
    return function.removeprefix(_PREFIX).replace("_", "-")


def unmet(needs: Iterable[Role | Capability], mesh: Mesh) -> str:
    """Return as a sentence why the mesh does not meet the needs, "" when it does.

    For capabilities of the cluster see `clusters.cluster.lacking`.
    """
    missing = [need for need in needs if not _has(mesh, need)]
    if not missing:
        return ""
    return f"{mesh.title} has no {' and no '.join(_named(need, mesh) for need in missing)}"


def _named(need: Role | Capability, mesh: Mesh) -> str:
    """Return the need, with the reason why the mesh does not meet it if its facts give one."""
    reason = mesh.absent.get(need, "")
    return f"{need.value} ({reason})" if reason else need.value


def _has(mesh: Mesh, need: Role | Capability) -> bool:
    if need in OF_CLUSTER:
        return True
    return need in mesh.capabilities if isinstance(need, Capability) else mesh.component(need) is not None
