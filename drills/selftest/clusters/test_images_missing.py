"""An image that no source has: the run is inconclusive at once and names it and the cure."""

from pathlib import Path

import pytest

from clusters.images import archive, build, engine, resolve
from clusters.images.catalogue import Image, image
from clusters.runtime import HarnessError, InconclusiveError, MissingImagesError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's cache."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))


def test_an_image_that_cannot_be_had_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is inconclusive; it names each missing image in full, each source with its reason, and the cure."""
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = [Image(name, f"registry.example/some/{name}:1.2.3") for name in ("proxy", "agent")]
    with pytest.raises(InconclusiveError) as raised:
        resolve.resolve_all(
            [image("node"), *wanted],
            source=None,
            archive_dir=tmp_path / "none",
            registry_mirror="127.0.0.1:1",
            progress=print,
        )
    said = str(raised.value)
    assert raised.value.exit_code == 2
    for part in (
        "registry.example/some/proxy:1.2.3",
        "registry.example/some/agent:1.2.3",
        "engine: no ",
        f"archive: {tmp_path / 'none'} does not exist",
        "registry: 127.0.0.1:1 does not answer",
        "build: ",
        "docker save",
        "--images",
        "--registry-mirror",
    ):
        assert part in said
    assert "kindest/node" not in said


@pytest.mark.parametrize("given", ["registry that answers", "engine with a mirror of its own"])
def test_an_image_that_a_registry_may_have_is_asked_for_before_anything_is_built(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a pull shows it, and comes first: an image that a registry refuses is named before any build."""
    pulled: list[str] = []

    def pull(ref: str) -> None:
        pulled.append(ref)
        raise HarnessError("manifest unknown")

    monkeypatch.setattr(engine, "pull", pull)
    monkeypatch.setattr(engine, "inspect_image", lambda _ref: None)
    monkeypatch.setattr(engine, "has_mirror_or_proxy", lambda: given.startswith("engine"))
    monkeypatch.setattr(resolve, "registry_answers", lambda *_: given.startswith("registry"))
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("something was built"))
    wanted = Image("proxy", "registry.example/some/proxy:1.2.3")
    with pytest.raises(MissingImagesError, match="registry: manifest unknown"):
        resolve.resolve_all(
            [image("node"), wanted], source=None, archive_dir=tmp_path, registry_mirror=None, progress=print
        )
    assert pulled == [wanted.official]


def test_an_image_in_an_archive_is_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image in an archive is loaded without a probe of registries."""
    monkeypatch.setattr(resolve, "registry_answers", lambda *_: pytest.fail("a registry was asked"))
    monkeypatch.setattr(engine, "inspect_image", lambda _ref: None)
    monkeypatch.setattr(archive, "load", lambda _path: None)
    monkeypatch.setattr(archive, "find", lambda *_: tmp_path / "a.tar")
    with pytest.raises(MissingImagesError, match="after loading it the engine has no such image"):
        resolve.resolve_all(
            [Image("proxy", "registry.example/some/proxy:1")],
            source="archive",
            archive_dir=tmp_path,
            registry_mirror=None,
            progress=print,
        )


def test_one_source_may_be_forced(tmp_path: Path) -> None:
    """With a forced source no other is tried, not even for an image that could be built."""
    with pytest.raises(MissingImagesError) as raised:
        resolve.resolve(image("node"), source="archive", archive_dir=tmp_path, registry_mirror=None, progress=print)
    assert "archive: " in str(raised.value)
    assert "registry: " not in str(raised.value)
