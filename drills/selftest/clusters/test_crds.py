"""CRDs: from a directory, an address or a module, and never a file other than the pinned one."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from clusters import charts, install, meshes
from clusters.images import golang, recipe
from clusters.images.catalogue import Crd, crd, versions
from clusters.install import ChartSource
from clusters.runtime import HarnessError, Steps, UsageError
from drills.selftest.doubles.cluster_double import FileCluster

NAME = "gateways"
FILE = crd(NAME).file
MADE = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gateways.gateway.networking.k8s.io"},
}
TEXT = yaml.safe_dump(MADE).encode()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Give the address of a project that publishes the file, on loopback."""
    root = tmp_path / "site"
    root.mkdir()
    (root / FILE).write_bytes(TEXT)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{FILE}"
        server.shutdown()
        thread.join(timeout=5)


@pytest.fixture
def pinned(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pin that file, and return the one that the module has."""
    inside = tmp_path / "module" / FILE
    inside.parent.mkdir()
    inside.write_bytes(TEXT)
    row = Crd(NAME, address, hashlib.sha256(TEXT).hexdigest(), crd(NAME).module)
    monkeypatch.setattr(charts, "crd_named", lambda _name: row)
    monkeypatch.setattr(golang, "module_path", lambda _recipe, _module, _inside: inside)
    return inside


def test_official_images_go_with_the_published_file_and_ours_with_the_module(pinned: Path, address: str) -> None:
    """Each is the pinned file; a directory that has it comes first, and one that lacks it is skipped."""
    folder = pinned.parent
    assert charts.crd_manifest(NAME, directories=(), published=True) == TEXT
    assert charts.crd_manifest(NAME, directories=(), published=False) == TEXT
    pinned.rename(folder.parent / FILE)
    with pytest.raises(FileNotFoundError):
        charts.crd_manifest(NAME, directories=(folder,), published=False)
    assert charts.crd_manifest(NAME, directories=(folder, folder.parent), published=False) == TEXT
    (folder.parent / "site" / FILE).unlink()
    with pytest.raises(HarnessError, match=f"{address} could not be read"):
        charts.crd_manifest(NAME, directories=(), published=True)


def test_another_file_is_refused(pinned: Path) -> None:
    """From any source: the error has both hashes and the next step."""
    pinned.write_bytes(TEXT + b"\n")
    for published in (True, False):
        with pytest.raises(HarnessError, match=rf"(?s){FILE} has sha256 .*it is not used.*archive directory"):
            charts.crd_manifest(NAME, directories=(pinned.parent,), published=published)


def test_a_kind_is_defined_once_the_api_server_serves_it(
    pinned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installation waits for the Established condition; its absence is an error that names the CRD."""
    assert pinned.exists()
    double = FileCluster(tmp_path)
    stated: list[dict[str, str]] = [{"type": "Established", "status": "False"}]
    status = {**MADE, "status": {"conditions": stated}}
    seen: list[object] = []
    monkeypatch.setattr(double, "apply_all", seen.extend, raising=False)
    monkeypatch.setattr(double, "get", lambda *_named: status)

    def install_crds() -> None:
        install.install_crds(double, (NAME,), directories=(), published=False, steps=Steps(print), served_within_s=0.1)

    with pytest.raises(HarnessError, match=r"CRD gateways\.gateway\.networking\.k8s\.io served: not within"):
        install_crds()
    stated.append({"type": "Established", "status": "True"})
    install_crds()
    assert seen == [MADE, MADE]


def test_what_is_saved_is_found_again(pinned: Path, tmp_path: Path) -> None:
    """A site without access to the project or a module finds it among the charts."""
    archives = tmp_path / "archives" / "charts"
    assert charts.save_crds((NAME,), archives, print) == (archives / FILE,)
    pinned.unlink()
    source = ChartSource(carried=archives)
    assert charts.crd_manifest(NAME, directories=source.directories, published=False) == TEXT


def test_pins_are_those_of_the_recipe() -> None:
    """The release in the address is the one that the recipe's module is of, and both name one file."""
    for name, row in versions().crds.items():
        _, carrier, module, inside = row.module.split(":")
        (required,) = [
            line.split()[1]
            for line in (recipe.recipes_dir() / carrier / "go.mod").read_text().splitlines()
            if line.strip().startswith(f"{module} ")
        ]
        assert row.url.endswith(f"/{required}/{inside}")
        assert crd(name).file == Path(inside).name
    assert all(crd(name) for mesh in meshes.names() for name in meshes.load(mesh).install.crds)
    with pytest.raises(UsageError, match="no-such-crd"):
        crd("no-such-crd")
