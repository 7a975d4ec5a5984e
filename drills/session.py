"""What the fixtures of conftest.py do: which drills can be asked, of which mesh, where, and with what evidence."""

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from clusters import kind, meshes
from clusters.cluster import lacking
from clusters.install import ChartSource
from clusters.model import Capability, Mesh, Role
from clusters.provision import Options, Prepared, up
from clusters.runtime import CannotRunHereError, Progress, UsageError
from drills import catalogue, unasked
from drills.judge import known
from drills.keyring import signer_in
from drills.report import evidence
from drills.run.needs import EVERY_DRILL, INSTALL, MARK, unmet
from drills.run.runner import Drill
from drills.surroundings import surroundings

PROGRESS = pytest.StashKey[Progress]()
"""Where a run's lines of progress go; without it, to pytest's terminal."""
RUN = pytest.StashKey[Drill]()
"""On a test item: the drill that it runs."""

_PYTEST_KINDS_DEFAULT = "pytest-kind"  # of --cluster-name: nobody chose it
_NO_MESH = "no --mesh given: a drill asks one mesh on a real cluster, e.g. --mesh {}"


def mesh_of(config: pytest.Config) -> Mesh | None:
    """Return the mesh that --mesh names, None without the option; UsageError when there is none of that name."""
    name: str | None = config.getoption("--mesh")
    return None if name is None else catalogue.find_mesh(name)


def named_mesh(config: pytest.Config) -> Mesh:
    """Return the mesh that --mesh names; UsageError when the option is absent."""
    mesh = mesh_of(config)
    if mesh is None:
        raise UsageError(_no_mesh())
    return mesh


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, with the reason, each drill that cannot be asked; with --mesh, deselect everything that is no drill."""
    mesh = mesh_of(config)
    drills = [item for item in items if _is_drill(item)]
    for item in drills:
        # A new release of a library that warns of something tells nothing about a mesh.
        item.add_marker(pytest.mark.filterwarnings("default"))
        if reason := _reason_to_skip(item, mesh):
            item.add_marker(pytest.mark.skip(reason=reason))
    if mesh is not None and len(drills) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if not _is_drill(item)])
        items[:] = drills


def choose_install(metafunc: pytest.Metafunc) -> None:
    """Let the cluster of a drill that is marked so be one whose certificates live as long as the drill wants."""
    mark = metafunc.definition.get_closest_marker(INSTALL)
    if mark is not None:
        leaf_s: int = mark.kwargs["leaf_s"]
        metafunc.parametrize("prepared", [leaf_s], indirect=True, ids=[f"leaf_s={leaf_s}"], scope="session")


@contextmanager
def prepared(config: pytest.Config, leaf_s: int = 0) -> Iterator[Prepared]:
    """Bring up a cluster with the mesh and the lab; remove it at the end unless it is to be kept.

    leaf_s: how long a workload's certificate lives there, 0 for the mesh's default.
    """
    mesh = named_mesh(config)
    try:
        with up(mesh.name, _options(config, leaf_s), progress_of(config)) as ready:
            yield ready
    except CannotRunHereError as lack:
        asked = [entry.name for entry in catalogue.entries() if not unmet(entry.needs, mesh)]
        drills = f"Drills of {mesh.name} that therefore cannot run: {', '.join(asked)}."
        raise type(lack)(f"{lack}\n{drills}") from lack


@contextmanager
def drill(request: pytest.FixtureRequest, prepared: Prepared) -> Iterator[Drill]:
    """Make the drill of one test; when the test is over and a verdict exists, write its evidence.

    A drill that needs what the cluster does not have is skipped, with the reason.
    """
    needs = (*EVERY_DRILL, *_needs_of(request.node))
    if reason := lacking(prepared.cluster, needs):
        pytest.skip(reason)
    reports: Path = request.config.getoption("--reports")
    signer = signer_in(request.config.getoption("--key"))
    hypothesis = inspect.cleandoc(request.function.__doc__ or "")
    ready = Drill(
        cluster=prepared.cluster,
        mesh=prepared.mesh,
        name=catalogue.drill_name(request.function.__name__),
        hypothesis=hypothesis,
        reports_dir=reports,
        progress=progress_of(request.config),
    )
    request.node.stash[RUN] = ready
    yield ready
    if ready.bundle is not None and ready.verdict is not None:
        command = f"meshdrill run {ready.verdict.drill} --mesh {prepared.mesh.name}"
        evidence.write(ready.bundle, ready.verdict, surroundings(prepared, hypothesis, command), signer)
        evidence.write_index(reports, unasked.reasons())
        progress_of(request.config)(_told(ready.bundle))


def expect_known(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Make of a drill's report an expected failure where all that it violates is known; fail it where no more is.

    A drill that ended otherwise than by its verdict stays what it is.
    """
    run = item.stash.get(RUN, None)
    by_verdict = call.excinfo is None or isinstance(call.excinfo.value, AssertionError)
    if call.when != "call" or run is None or run.verdict is None or not by_verdict:
        return
    words = known.told(run.verdict, run.deviates)
    if known.is_expected(run.verdict, run.deviates):
        report.outcome, report.wasxfail = "skipped", words
    elif words:
        report.outcome, report.longrepr = "failed", f"{words}\n{report.longreprtext}"


def _told(bundle: Path) -> str:
    size_bytes = evidence.size_bytes(bundle)
    note = "" if size_bytes <= evidence.MAX_BUNDLE_BYTES else ", too large to keep in a repository"
    return f"evidence ... {bundle}, {size_bytes / 1e6:.1f} MB{note}"


def progress_of(config: pytest.Config) -> Progress:
    """Return where lines of progress go: to `meshdrill run`, else to pytest's terminal past its capture."""
    told = config.stash.get(PROGRESS, None)
    return _terminal_progress(config) if told is None else told


def _terminal_progress(config: pytest.Config) -> Progress:
    capture = config.pluginmanager.getplugin("capturemanager")
    one_at_a_time = threading.Lock()  # probes report from threads of their own

    def say(line: str) -> None:
        with one_at_a_time, nullcontext() if capture is None else capture.global_and_fixture_disabled():
            sys.stderr.write(f"{line}\n")

    return say


def cluster_name(config: pytest.Config) -> str:
    """Return the name that --cluster-name gives, "" without the option; UsageError when it cannot be one."""
    name: str = config.getoption("--cluster-name")
    return "" if name == _PYTEST_KINDS_DEFAULT else kind.checked_name(name)


def _options(config: pytest.Config, leaf_s: int) -> Options:
    return Options(
        cluster_name=cluster_name(config),
        keep=config.getoption("--keep-cluster"),
        bootstrap=config.getoption("--bootstrap"),
        images=config.getoption("--images"),
        image_source=config.getoption("--image-source"),
        registry_mirror=config.getoption("--registry-mirror"),
        charts=ChartSource(config.getoption("--chart-dir"), config.getoption("--chart-repository")),
        kubeconfig=_path(config, "--kubeconfig"),
        node_image=config.getoption("--kind-image"),
        kind_bin=_path(config, "--kind-bin"),
        kubectl_bin=_path(config, "--kind-kubectl-bin"),
        leaf_s=leaf_s,
    )


def _path(config: pytest.Config, option: str) -> Path | None:
    value: str | None = config.getoption(option)
    return None if value is None else Path(value)


def _is_drill(item: pytest.Item) -> bool:
    return "drill" in getattr(item, "fixturenames", ())


def _reason_to_skip(item: pytest.Item, mesh: Mesh | None) -> str:
    if mesh is None:
        return _no_mesh()
    return unmet(_needs_of(item), mesh)


def _needs_of(item: pytest.Item) -> tuple[Role | Capability, ...]:
    return tuple(need for mark in item.iter_markers(MARK) for need in mark.args)


def _no_mesh() -> str:
    return _NO_MESH.format(" or ".join(meshes.names()))
