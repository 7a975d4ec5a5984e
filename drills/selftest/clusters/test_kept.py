"""A kept cluster, found again by name: one of ours, in use by no other run, with the mesh that it carries."""

import fcntl
from pathlib import Path

import msgspec
import pytest

from clusters import host, kind, lab, provision
from clusters.install import InstalledChart
from clusters.model import Certificates, Mesh
from clusters.runtime import UsageError, silent
from clusters.tools import Tools
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.drill_double import MADE_OF


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileCluster:
    """Return what stands as cluster `kept` among our own state, made with mesh `double`."""
    double = FileCluster(tmp_path / "place")
    home = tmp_path / "state" / "kept"
    home.mkdir(parents=True)
    (home / "kind.yaml").write_text("")
    (double.state / "made-of.json").write_bytes(msgspec.json.encode(provision._MadeOf("double", MADE_OF)))

    class Standing:
        """Stands where clusters.kind.Maker stands."""

        def __init__(self, name: str, **_more: object) -> None:
            self.name = name

        def exists(self) -> bool:
            return not (home / "deleted").exists()

        def cluster(self) -> object:
            return double

        def delete(self) -> None:
            (home / "deleted").touch()

    monkeypatch.setattr(kind, "state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr(kind, "ensure_tools", lambda _progress: None)
    monkeypatch.setattr(kind, "Maker", Standing)
    monkeypatch.setattr(provision, "load", lambda name: mesh(name=name))
    monkeypatch.setattr(lab, "wait_ready", lambda *_arguments: None)
    return double


def test_a_kept_cluster_tells_what_it_was_made_of(cluster: FileCluster) -> None:
    """Mesh, cluster and provenance come back as the run that kept the cluster left them."""
    with provision.kept("kept", "double", silent) as ready:
        assert ready.cluster is cluster
        assert ready.mesh.name == "double"
        assert ready.provenance == MADE_OF


@pytest.mark.usefixtures("cluster")
def test_only_a_cluster_of_ours_is_found(tmp_path: Path) -> None:
    """A name that is none of our clusters is refused and leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="No cluster 'other' of ours"), kind.find("other", silent):
        pass
    assert sorted(tmp_path.rglob("*")) == before


BAD_NAMES = ["", ".", "..", "../state/kept", "a/b", "a.b", "A", "-a", "a-", "a\n", "a\0", "é", "a" * 50]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_be_another_path_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives it, for a new cluster, a kept one or one to delete: wrong usage, and nothing is made or deleted."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="cannot be the name of a cluster") as refused:
        kind.Maker(name, image="", tools=Tools(Path("kind"), Path("kubectl"), Path("helm"), {}))
    assert refused.value.exit_code == 64
    with pytest.raises(UsageError, match="cannot be the name of a cluster"), kind.find(name, silent):
        pass
    with pytest.raises(UsageError, match="cannot be the name of a cluster"):
        kind.remove(name, silent)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["a", "0", "a" * 49, "meshdrill-nightly-none"])
def test_a_plain_name_is_taken(name: str) -> None:
    """Small letters, digits and hyphens between them, as long as a node's host name allows."""
    assert kind.checked_name(name) == name


def test_a_bad_name_is_refused_before_the_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bringing up a cluster begins with its name: no engine is started and no image is fetched for a bad one."""
    monkeypatch.setattr(host, "missing_kernel_features", lambda _features: pytest.fail("the machine was looked at"))
    with (
        pytest.raises(UsageError, match="cannot be the name"),
        provision.up("none", provision.Options(cluster_name=".."), silent),
    ):
        pass


@pytest.mark.usefixtures("cluster")
def test_a_cluster_that_was_deleted_is_not_found(tmp_path: Path) -> None:
    """State of ours without a cluster in the engine is no cluster."""
    (tmp_path / "state" / "kept" / "deleted").touch()
    with pytest.raises(UsageError, match="No cluster 'kept'"), kind.find("kept", silent):
        pass


@pytest.mark.usefixtures("cluster")
def test_a_cluster_in_use_is_refused(tmp_path: Path) -> None:
    """While another run holds the cluster, it is not given a second time."""
    with (tmp_path / "state" / "kept.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="in use"), kind.find("kept", silent):
            pass


def test_a_cluster_with_another_mesh_is_refused(cluster: FileCluster) -> None:
    """The mesh that the cluster carries must be the one that the run asks for; one that does not tell is refused."""
    with pytest.raises(UsageError, match="has mesh double"), provision.kept("kept", "other", silent):
        pass
    (cluster.state / "made-of.json").unlink()
    with pytest.raises(UsageError, match="no readable record"), provision.kept("kept", "double", silent):
        pass


def test_the_charts_of_a_kept_cluster_are_those_that_were_installed(cluster: FileCluster) -> None:
    """A run that installs nothing records those of the run that did; another fingerprint, or no record, installs."""
    first, second = ((InstalledChart(name, "1", "a directory", "aa", "bb"),) for name in ("first", "second"))
    made_of = cluster.state / "made-of.json"
    record = provision._MadeOf("double", msgspec.structs.replace(MADE_OF, charts=first))
    made_of.write_bytes(msgspec.json.encode(record))
    for fingerprint, expected in (("1", second), ("1", first), ("2", second)):
        assert provision._unless_installed(cluster, fingerprint, lambda: second) == expected
    made_of.unlink()
    assert provision._unless_installed(cluster, "2", lambda: second) == second


def test_the_record_of_another_version_is_not_misread(cluster: FileCluster) -> None:
    """A cluster that meshdrill 0.1 kept is installed again, and until then refused: its record lacks the charts."""
    made_of = cluster.state / "made-of.json"
    record = msgspec.json.decode(made_of.read_bytes())
    record["provenance"]["images"][0]["origin"] = "built"
    made_of.write_bytes(msgspec.json.encode(record))
    assert provision._stored(cluster) is None
    with pytest.raises(UsageError, match="no readable record"), provision.kept("kept", "double", silent):
        pass


def short(name: str) -> Mesh:
    """Return a mesh whose certificates live as long as whoever installs it wants."""
    return mesh(name=name, certificates=Certificates(86400, leaf_values=lambda leaf_s: {"ttl": leaf_s}))


def test_a_kept_cluster_tells_how_long_its_certificates_live(
    cluster: FileCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mesh's facts are those of the mesh as installed, and the evidence tells of the deviation."""
    monkeypatch.setattr(provision, "load", short)
    (cluster.state / "made-of.json").write_bytes(msgspec.json.encode(provision._MadeOf("double", MADE_OF, 240)))
    with provision.kept("kept", "double", silent) as ready:
        assert ready.mesh.certificates.leaf_ttl_s == 240
        assert [(it.setting, it.value) for it in ready.mesh.overrides] == [
            ("life of a workload's certificate", "240 s")
        ]


def test_facts_without_short_certificates_are_those_of_the_file() -> None:
    """Nothing asked for, or nothing that could be set, leaves the mesh as it is."""
    assert provision.with_leaves(short("a"), 0).certificates.leaf_ttl_s == 86400
    bare = mesh()
    assert provision.with_leaves(bare, 240) is bare


@pytest.mark.parametrize(("stands", "asked"), [(0, 240), (240, 0), (240, 120)])
def test_a_cluster_with_other_certificates_is_refused(cluster: FileCluster, stands: int, asked: int) -> None:
    """What was measured on it would answer another question; the error says what to do."""
    (cluster.state / "made-of.json").write_bytes(msgspec.json.encode(provision._MadeOf("double", MADE_OF, stands)))
    with pytest.raises(UsageError, match=r"with certificates of .*; the drill asks for .*kind delete cluster"):
        provision._refuse_other_leaves(cluster, short("double"), asked)
    provision._refuse_other_leaves(cluster, short("double"), stands)
    provision._refuse_other_leaves(cluster, mesh(), asked)
    (cluster.state / "made-of.json").unlink()
    provision._refuse_other_leaves(cluster, short("double"), asked)


@pytest.mark.usefixtures("cluster")
def test_a_cluster_is_removed_by_its_name() -> None:
    """One of ours that stands is deleted; one that does not, or is none of ours, is nothing to delete."""
    assert not kind.remove("other", silent)
    assert kind.remove("kept", silent)
    assert not kind.remove("kept", silent)


@pytest.mark.usefixtures("cluster")
def test_a_cluster_in_use_is_not_removed(tmp_path: Path) -> None:
    """While a run holds the cluster's lock it stays, and the command that would delete it says so."""
    with (tmp_path / "state" / "kept.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="in use"):
            kind.remove("kept", silent)
    assert kind.remove("kept", silent)
