"""When a kept cluster is used unchanged, and when the mesh and the lab are installed again."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters import lab, provision
from clusters.images.resolve import Resolved
from clusters.meshes import load

BAKED = Resolved("node", "node:1", "engine", "sha256:1")


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with manifests of the lab and of two meshes."""
    for name in ("lab/frontend.yaml", "linkerd/policy/authorization.yaml", "cilium/policy/authorization.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("a: 1")
    monkeypatch.setattr(lab, "FOLDER", tmp_path / "lab")
    return tmp_path


def fingerprint(manifests: Path, mesh: str = "linkerd", baked: Resolved = BAKED) -> str:
    """Return the fingerprint of a cluster with that mesh, its manifests taken from the folder."""
    return provision._fingerprint(replace(load(mesh), manifests=manifests / mesh), baked)


def test_a_change_to_another_mesh_reinstalls_nothing(manifests: Path) -> None:
    """Cilium's policies are not part of a Linkerd cluster's fingerprint."""
    before = fingerprint(manifests)
    (manifests / "cilium" / "policy" / "authorization.yaml").write_text("a: 2")
    (manifests / "cilium" / "values.yaml").write_text("a: 2")
    assert fingerprint(manifests) == before


@pytest.mark.parametrize(
    "changed", ["lab/frontend.yaml", "lab/new.yaml", "linkerd/policy/authorization.yaml", "linkerd/values.yaml"]
)
def test_a_change_to_the_lab_or_the_mesh_itself_does(changed: str, manifests: Path) -> None:
    """A file that is changed or added must reach the cluster before the next drill."""
    before = fingerprint(manifests)
    (manifests / changed).write_text("a: 2")
    assert fingerprint(manifests) != before


def test_another_name_of_the_same_file_counts(manifests: Path) -> None:
    """What is applied depends on the names of files, too."""
    before = fingerprint(manifests)
    (manifests / "lab" / "frontend.yaml").rename(manifests / "lab" / "other.yaml")
    assert fingerprint(manifests) != before


def test_another_mesh_or_image_counts(manifests: Path) -> None:
    """The same files under another mesh or on other images are another cluster."""
    found = {fingerprint(manifests), fingerprint(manifests, "cilium")}
    found.add(fingerprint(manifests, baked=Resolved("node", "node:1", "engine", "sha256:2")))
    assert len(found) == 3
