"""The pytest plugin of meshdrill: its options, the skip reasons of drills, and the fixtures that run them."""

import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from clusters import kind, meshes
from clusters.cluster import Cluster, lacking
from clusters.install import ChartSource
from clusters.model import Mesh
from clusters.provision import Options, Prepared, up
from clusters.runtime import CannotRunHereError, Progress, UsageError
from drills.cli import options
from drills.cli.environment import run_environment
from drills.cli.keyring import signer_in
from drills.judge import known
from drills.report import evidence
from drills.run import catalogue, controls
from drills.run.declare import EVERY_DRILL, declared, unmet
from drills.run.runner import Drill, NoFaultDrill

PROGRESS = pytest.StashKey[Progress]()
"""The sink of progress lines; without it they go to pytest's terminal."""
RUN = pytest.StashKey[Drill]()
"""The drill that a test item runs."""

_PYTEST_KINDS_DEFAULT = "pytest-kind"  # of --cluster-name, so the option was not given
_NO_MESH = "no --mesh given: a drill runs on one mesh in a real cluster, e.g. --mesh {}"


def mesh_of(config: pytest.Config) -> Mesh | None:
    """Return the mesh that --mesh names, None without the option; UsageError for an unknown name."""
    name: str | None = config.getoption("--mesh")
    return None if name is None else catalogue.find_mesh(name)


def _named_mesh(config: pytest.Config) -> Mesh:
    """Return the mesh that --mesh names; UsageError when the option is absent."""
    mesh = mesh_of(config)
    if mesh is None:
        raise UsageError(_no_mesh())
    return mesh


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options; pytest-kind's own apply to our cluster, too."""
    group = parser.getgroup("meshdrill")
    group.addoption("--mesh", help="mesh to ask; without it drills are listed as skipped")
    for option in options.OPTIONS:
        option.add_to(group)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an unknown mesh, cluster name or key, and a control that makes no sense, before anything is started."""
    try:
        mesh = mesh_of(config)
        if mesh is not None and config.getoption(options.NO_FAULT.dest):
            controls.demand_possible(mesh)
        cluster_name(config)
        signer_in(config.getoption("--key"))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip each drill that cannot run on the mesh, with the reason; with --mesh, deselect every other test."""
    mesh = mesh_of(config)
    drills = [item for item in items if _is_drill(item)]
    for item in drills:
        # A deprecation warning of a library says nothing about a mesh, so it must not fail a drill.
        item.add_marker(pytest.mark.filterwarnings("default"))
        if reason := _reason_to_skip(item, mesh):
            item.add_marker(pytest.mark.skip(reason=reason))
    if mesh is not None and len(drills) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if not _is_drill(item)])
        items[:] = drills


@pytest.fixture(scope="session")
def prepared(request: pytest.FixtureRequest) -> Iterator[Prepared]:
    """Provide a cluster with the mesh and the lab, removed at the end unless --keep-cluster is given.

    Its parameter is the life of workload certificates in seconds, 0 for the mesh's default.
    """
    config = request.config
    mesh = _named_mesh(config)
    try:
        with up(mesh.name, _options(config, getattr(request, "param", 0)), progress_of(config)) as ready:
            yield ready
    except CannotRunHereError as lack:
        asked = [entry.name for entry in catalogue.entries() if not unmet(entry.requires, mesh)]
        drills = f"Drills of {mesh.name} that therefore cannot run: {', '.join(asked)}."
        raise type(lack)(f"{lack}\n{drills}") from lack


@pytest.fixture(scope="session")
def cluster(prepared: Prepared) -> Cluster:
    """Provide the cluster that the drill runs on."""
    return prepared.cluster


@pytest.fixture(scope="session")
def mesh(prepared: Prepared) -> Mesh:
    """Provide the mesh that the drill runs on."""
    return prepared.mesh


@pytest.fixture
def drill(request: pytest.FixtureRequest, prepared: Prepared) -> Iterator[Drill]:
    """Provide what runs one experiment and judges it; the evidence is written when the test is over.

    A drill whose requirements the cluster does not meet is skipped, with the reason.
    """
    config = request.config
    reports: Path = config.getoption("--reports")
    entry = declared(request.function)
    if entry is None:
        raise UsageError(
            f"{request.node.nodeid} uses the fixture `drill` and declares no drill: put @drill(...) on it."
        )
    if reason := lacking(prepared.cluster, (*EVERY_DRILL, *entry.requires)):
        pytest.skip(reason)
    ready = (NoFaultDrill if config.getoption(options.NO_FAULT.dest) else Drill)(
        cluster=prepared.cluster,
        mesh=prepared.mesh,
        name=entry.name,
        hypothesis=entry.hypothesis,
        reports_dir=reports,
        progress=progress_of(config),
        strict=config.getoption(options.STRICT.dest),
    )
    request.node.stash[RUN] = ready
    yield ready
    if ready.bundle is not None and ready.verdict is not None:
        command = f"meshdrill run {ready.verdict.drill} --mesh {prepared.mesh.name}"
        command += f" {options.NO_FAULT.flag}" if ready.without_fault else ""
        signer = signer_in(config.getoption("--key"))
        evidence.write(ready.bundle, ready.verdict, run_environment(prepared, entry.hypothesis, command), signer)
        evidence.write_index(reports, catalogue.skipped(), catalogue.controls())
        progress_of(config)(_evidence_line(ready.bundle))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a drill that violates exactly its known issues as a strict xfail."""
    report = yield
    _expect_known(item, call, report)
    return report


def _expect_known(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Turn the report of a drill that violates exactly its known issues into an xfail; fail it if one of them holds.

    The report of a drill that did not end by its verdict stays as it is.
    """
    run = item.stash.get(RUN, None)
    by_verdict = call.excinfo is None or isinstance(call.excinfo.value, AssertionError)
    if call.when != "call" or run is None or run.verdict is None or not by_verdict:
        return
    words = known.describe(run.verdict, run.known_issues, strict=run.strict)
    if known.is_expected(run.verdict, run.known_issues, strict=run.strict):
        report.outcome, report.wasxfail = "skipped", words
    elif words:
        report.outcome, report.longrepr = "failed", f"{words}\n{report.longreprtext}"


def _evidence_line(bundle: Path) -> str:
    size_bytes = evidence.size_bytes(bundle)
    note = "" if size_bytes <= evidence.MAX_BUNDLE_BYTES else ", too large to keep in a repository"
    return f"evidence ... {bundle}, {size_bytes / 1e6:.1f} MB{note}"


def progress_of(config: pytest.Config) -> Progress:
    """Return the sink of progress lines: that of `meshdrill run`, else pytest's terminal past its capture."""
    given = config.stash.get(PROGRESS, None)
    return _terminal_progress(config) if given is None else given


def _terminal_progress(config: pytest.Config) -> Progress:
    capture = config.pluginmanager.getplugin("capturemanager")
    one_at_a_time = threading.Lock()  # probes report from threads of their own

    def say(line: str) -> None:
        with one_at_a_time, nullcontext() if capture is None else capture.global_and_fixture_disabled():
            sys.stderr.write(f"{line}\n")

    return say


def cluster_name(config: pytest.Config) -> str:
    """Return the name that --cluster-name gives, "" without the option; UsageError when it is no valid name."""
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
    entry = declared(getattr(item, "function", None))
    return "" if entry is None else unmet(entry.requires, mesh)


def _no_mesh() -> str:
    return _NO_MESH.format(" or ".join(meshes.names()))
