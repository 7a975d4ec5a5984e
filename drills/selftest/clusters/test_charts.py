"""Charts from a directory and from a real index on loopback."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from clusters.charts import chart, sha256
from clusters.images.catalogue import chart as chart_named
from clusters.install import ChartSource, InstalledChart, _installed
from clusters.model import ChartRelease
from clusters.runtime import HarnessError

WANTED = chart_named("istiod")
CONTENT = b"a chart's archive: only its bytes matter"
FILE = f"{WANTED.chart}-{WANTED.version}.tgz"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A chart repository over HTTP on loopback: its directory and its URL."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "site"
    root.mkdir()
    (root / FILE).write_bytes(CONTENT)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(timeout=5)


def write_index(root: Path, **entry: object) -> None:
    """Write an index.yaml with one version of the wanted chart."""
    whole = {"version": WANTED.version, "urls": [FILE], "digest": hashlib.sha256(CONTENT).hexdigest()} | entry
    (root / "index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": {WANTED.chart: [whole]}}))


def test_a_chart_comes_verified_from_a_repository(site: tuple[Path, str]) -> None:
    """The archive of the pinned version is fetched, and is the one whose digest the index carries."""
    root, url = site
    write_index(root)
    path = chart("istiod", chart_dir=None, repository=url, progress=print)
    assert path.read_bytes() == CONTENT


def test_a_changed_chart_is_refused(site: tuple[Path, str]) -> None:
    """An archive that does not match the index's digest is not used; the error has both digests."""
    root, url = site
    write_index(root, digest="0" * 64)
    with pytest.raises(HarnessError, match=r"0000.*not used"):
        chart("istiod", chart_dir=None, repository=url, progress=print)


def test_an_index_without_a_digest_is_refused(site: tuple[Path, str]) -> None:
    """A chart that cannot be verified is not used."""
    root, url = site
    write_index(root, digest=None)
    with pytest.raises(HarnessError, match="no digest"):
        chart("istiod", chart_dir=None, repository=url, progress=print)


def test_an_absent_version_is_named_with_what_there_is(site: tuple[Path, str]) -> None:
    """The error names the wanted version and the versions that the repository has."""
    root, url = site
    write_index(root, version="0.9.9")
    with pytest.raises(HarnessError, match=f"{WANTED.version}.*0.9.9"):
        chart("istiod", chart_dir=None, repository=url, progress=print)


def test_a_silent_repository_is_one_clear_error(site: tuple[Path, str]) -> None:
    """A repository without an index is an error that names the address."""
    with pytest.raises(HarnessError, match=r"index\.yaml could not be read"):
        chart("istiod", chart_dir=None, repository=site[1], progress=print)


@pytest.mark.parametrize("name", [WANTED.chart, FILE])
def test_a_directory_of_charts_is_used_as_it_is(tmp_path: Path, name: str) -> None:
    """An unpacked chart or an archive of the pinned version is found by its name."""
    (tmp_path / name).mkdir()
    assert chart("istiod", chart_dir=tmp_path, repository=None, progress=print) == tmp_path / name


def test_an_absent_chart_names_how_to_get_it(tmp_path: Path) -> None:
    """The error of an empty directory says which command fills it."""
    with pytest.raises(HarnessError, match="helm pull"):
        chart("istiod", chart_dir=tmp_path, repository=None, progress=print)


def test_a_carried_chart_wins_and_another_may_be_absent(tmp_path: Path) -> None:
    """Charts beside the image archives are used if present; a named directory or repository takes precedence."""
    (tmp_path / "istiod").mkdir()
    carried = ChartSource(carried=tmp_path)
    assert carried.directory_for("istiod") == tmp_path
    assert carried.directory_for("istio-base") is None
    named = tmp_path / "named"
    assert ChartSource(directory=named, carried=tmp_path).directory_for("istiod") == named
    assert ChartSource(repository="https://example.org", carried=tmp_path).directory_for("istiod") is None


def test_a_chart_without_a_module_says_where_to_take_it_from() -> None:
    """A chart that no Go module carries, asked for without a source, is an error that names its repository."""
    wanted = chart_named("linkerd-crds")
    with pytest.raises(HarnessError, match=rf"no Go module.*{wanted.repository} with --chart-repository"):
        chart("linkerd-crds", chart_dir=None, repository=None, progress=print)


def test_a_chart_has_one_hash_wherever_its_directory_lies(tmp_path: Path) -> None:
    """The hash of an archive is that of its bytes; of a directory, it changes with every name and every byte in it."""
    archive = tmp_path / FILE
    archive.write_bytes(CONTENT)
    assert sha256(archive) == hashlib.sha256(CONTENT).hexdigest()
    found = set()
    for place, name, text in (("a", "values.yaml", "a: 1"), ("b", "values.yaml", "a: 1"), ("c", "values.yaml", "a: 2")):
        (tmp_path / place / "templates").mkdir(parents=True)
        (tmp_path / place / "templates" / name).write_text(text)
        found.add(sha256(tmp_path / place))
    (tmp_path / "a" / "templates" / "values.yaml").rename(tmp_path / "a" / "values.yaml")
    assert len(found | {sha256(tmp_path / "a")}) == 3


def test_an_installed_chart_is_recorded_with_its_values(tmp_path: Path) -> None:
    """Name, version and source of the chart; the hash of its own section of the values changes with them alone."""
    archive = tmp_path / FILE
    archive.write_bytes(CONTENT)
    release = ChartRelease("istiod", "istiod", "istio-system", "istiod")

    def recorded(charts: ChartSource, **values: object) -> InstalledChart:
        return _installed(release, archive, charts, None, [{"istiod": values, "cni": tmp_path.name}])

    own = recorded(ChartSource(), pilot=1)
    assert (own.name, own.version, own.source) == (WANTED.chart, WANTED.version, WANTED.module)
    assert own.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert own.values_sha256 == recorded(ChartSource(), pilot=1).values_sha256
    assert own.values_sha256 != recorded(ChartSource(), pilot=2).values_sha256
    assert recorded(ChartSource(directory=tmp_path)).source == f"directory {tmp_path.name}"
    assert recorded(ChartSource(repository="https://charts.example")).source == "https://charts.example"
