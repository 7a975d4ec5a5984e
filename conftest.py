"""Options and fixtures of the drills; what they do is in drills/session.py. Installed, this is drills/conftest.py."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from clusters.cluster import Cluster
from clusters.images.resolve import SOURCES
from clusters.model import Mesh
from clusters.provision import Prepared
from clusters.runtime import UsageError
from drills import session
from drills.keyring import KEY_VARIABLE, signer_in
from drills.run.needs import INSTALL, MARK
from drills.run.runner import Drill


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options beside pytest-kind's own, all of which hold for our cluster too."""
    group = parser.getgroup("meshdrill")
    group.addoption("--mesh", help="mesh to ask; without it drills are listed as skipped")
    group.addoption("--bootstrap", action="store_true", help="make a Debian or Ubuntu host able first, as root")
    group.addoption("--images", type=Path, help="directory of `docker save` archives")
    group.addoption("--image-source", choices=SOURCES, help="take images only from this source")
    group.addoption("--registry-mirror", help="HOST[:PORT] to ask in place of each official registry")
    group.addoption("--chart-dir", type=Path, help="directory of Helm charts")
    group.addoption("--chart-repository", help="URL of a Helm repository to take charts from")
    group.addoption("--reports", type=Path, default=Path("reports"), help="where evidence bundles are written")
    group.addoption("--key", default=os.environ.get(KEY_VARIABLE), help="private key that signs the evidence")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an unknown mesh, a key or a name of a cluster that is none before anything is collected or started."""
    config.addinivalue_line("markers", f"{INSTALL}(leaf_s): how the drill wants the mesh installed")
    config.addinivalue_line("markers", f"{MARK}(*needs): roles and capabilities without which a drill cannot be asked")
    try:
        session.mesh_of(config)
        session.cluster_name(config)
        signer_in(config.getoption("--key"))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a drill that wants the mesh installed its own way a cluster that is."""
    session.choose_install(metafunc)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, with the reason, each drill that cannot be asked; with --mesh, run the drills and nothing else."""
    session.select(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a drill that shows exactly what is known to be violated be an expected failure, strictly."""
    report = yield
    session.expect_known(item, call, report)
    return report


@pytest.fixture(scope="session")
def prepared(request: pytest.FixtureRequest) -> Iterator[Prepared]:
    """Provide a cluster with the mesh and the lab, torn down at the end unless --keep-cluster is given."""
    with session.prepared(request.config, getattr(request, "param", 0)) as ready:
        yield ready


@pytest.fixture(scope="session")
def cluster(prepared: Prepared) -> Cluster:
    """Provide the cluster alone."""
    return prepared.cluster


@pytest.fixture(scope="session")
def mesh(prepared: Prepared) -> Mesh:
    """Provide the facts of the mesh that is asked."""
    return prepared.mesh


@pytest.fixture
def drill(request: pytest.FixtureRequest, prepared: Prepared) -> Iterator[Drill]:
    """Provide the means to run one drill and to judge it; its evidence is written when it is over."""
    with session.drill(request, prepared) as ready:
        yield ready
