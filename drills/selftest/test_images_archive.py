"""Archives of `docker save` are read for what they hold, whatever their names, and never taken for whole when cut."""

import io
import tarfile
from pathlib import Path

import msgspec
import pytest

from clusters.errors import HarnessError
from clusters.images import archive


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's cache."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))


def write_archive(path: Path, *refs: str) -> Path:
    """Write what `docker save` writes, as far as finding an image reads it: a layer, then the manifest."""
    manifest = msgspec.json.encode([{"Config": "c.json", "RepoTags": list(refs), "Layers": ["layer.tar"]}])
    with tarfile.open(path, "w") as whole:
        for name, data in (("layer.tar", b"x" * 40_000), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            whole.addfile(entry, io.BytesIO(data))
    return path


def test_an_archive_is_found_by_what_it_holds(tmp_path: Path) -> None:
    """File names do not matter: an official or a built reference is found in any archive, Docker's short form too."""
    path = write_archive(tmp_path / "whatever.tar", "some/pilot:1", "python:3", "meshdrill.local/x:2")
    for ref in ("docker.io/some/pilot:1", "docker.io/library/python:3", "meshdrill.local/x:2"):
        assert archive.find(ref, tmp_path) == path
    assert archive.find("docker.io/some/pilot:2", tmp_path) is None


def test_a_changed_archive_is_read_again(tmp_path: Path) -> None:
    """The index never outlives the file that it describes."""
    path = write_archive(tmp_path / "a.tar", "some/a:1")
    assert archive.find("docker.io/some/a:1", tmp_path) == path
    write_archive(path, "some/a:22")
    assert archive.find("docker.io/some/a:1", tmp_path) is None
    path.unlink()
    assert archive.find("docker.io/some/a:22", tmp_path) is None


@pytest.mark.parametrize("kept_bytes", [0, 700, 20_000])
def test_a_truncated_archive_is_an_error_not_an_absence(tmp_path: Path, kept_bytes: int) -> None:
    """A copy that was cut short names its file and says so."""
    path = write_archive(tmp_path / "cut.tar", "some/a:1")
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(HarnessError, match=r"cut\.tar.*Copy it again"):
        archive.find("docker.io/some/a:1", tmp_path)
