"""Meshes of installed packages: found by name like our own, with a clear error when one does not load."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters import meshes
from clusters.images.catalogue import chart, image, images_for, versions
from clusters.runtime import UsageError
from drills.run import catalogue

MESH = """
from dataclasses import replace
from pathlib import Path

from clusters.meshes.none import MESH as NONE

MESH = replace(NONE, name="kuma", title="Kuma", manifests=Path(__file__).with_name("manifests"))
"""
VERSIONS = """
[images]
kuma-cp = {official = "docker.io/kumahq/kuma-cp:2.12.0"}
cilium = {official = "example.org/not-cilium:1"}

[meshes]
kuma = ["kuma-cp"]

[charts.kuma]
repository = "https://kumahq.github.io/charts"
chart = "kuma"
version = "2.12.0"
"""
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return what installs a package with one entry point, its module being the text that is given."""

    def installed(point: str, module: str) -> None:
        name = f"plugged_in_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(module)
        info = tmp_path / "kuma_drills-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kuma-drills\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{meshes.GROUP}]\n{point.format(module=name)}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        forget()

    yield installed
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Clear the caches, so that the next call reads what is installed now."""
    meshes._plug_ins.cache_clear()
    versions.cache_clear()


def test_a_mesh_of_a_package_is_found_by_name(install: Install) -> None:
    """It is listed with our own meshes, on the command line, too."""
    install("kuma = {module}:MESH", MESH)
    assert meshes.load("kuma").title == "Kuma"
    assert {"kuma", "linkerd"} <= set(meshes.names())
    assert "kuma" in meshes.products()
    assert catalogue.find_mesh("kuma").name == "kuma"
    assert meshes.broken() == {}


def test_it_brings_its_images_and_charts_and_replaces_none_of_ours(install: Install, tmp_path: Path) -> None:
    """A versions.toml among its manifests adds rows to the catalogue; a row of ours stays what it is."""
    official = image("cilium").official
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "versions.toml").write_text(VERSIONS)
    install("kuma = {module}:MESH", MESH)
    assert [it.official for it in images_for("kuma")] == ["docker.io/kumahq/kuma-cp:2.12.0"]
    assert chart("kuma").version == "2.12.0"
    assert image("cilium").official == official


def test_its_catalogue_must_be_readable(install: Install, tmp_path: Path) -> None:
    """A table that no catalogue has is named with its file."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "versions.toml").write_text("[tools]\nkind = '1'\n")
    install("kuma = {module}:MESH", MESH)
    with pytest.raises(UsageError, match=r"versions\.toml of mesh kuma cannot be read: .*tools"):
        images_for("kuma")


@pytest.mark.parametrize(
    ("point", "module", "reason"),
    [
        ("kuma = {module}:MESH", "import no_such_module", "does not load: ModuleNotFoundError: .*no_such_module"),
        ("kuma = {module}:MESH", "1 / 0", "does not load: ZeroDivisionError"),
        ("kuma = {module}:OTHER", MESH, "does not load: AttributeError"),
        ("kuma = {module}:NONE", MESH, "calls itself 'none'; expected the name of its entry point"),
        ("kuma = {module}:MESH.name", MESH, "is str; expected a Mesh"),
    ],
)
def test_a_package_that_gives_no_mesh_is_named_with_the_reason(
    point: str, module: str, reason: str, install: Install
) -> None:
    """Loading its mesh names package, version and cause; the other meshes load as before."""
    install(point, module)
    for find in (meshes.load, catalogue.find_mesh):
        with pytest.raises(UsageError, match=rf"Mesh 'kuma' of kuma-drills 1\.2 .*{reason}"):
            find("kuma")
    assert "kuma" not in meshes.names()
    assert meshes.load("linkerd").name == "linkerd"


def test_a_package_cannot_replace_a_mesh_of_ours(install: Install) -> None:
    """A plug-in with the name of one of our meshes does not load."""
    install("linkerd = {module}:MESH", MESH)
    assert meshes.load("linkerd").title == "Linkerd"
    assert "has the name of a mesh of meshdrill" in meshes.broken()["linkerd"]
