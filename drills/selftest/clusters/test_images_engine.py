"""Images through a real Docker Engine and a real registry on loopback; skipped with the reason where there is none."""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from clusters.images import archive, build, engine, resolve
from clusters.images.catalogue import Image
from clusters.images.origins import Origin
from clusters.runtime import HarnessError, MissingImagesError, answers, run

DEADLINE_S = 20.0


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Need an engine, and keep every test away from the user's cache."""
    if answers(["docker", "info"], timeout_s=10) is None:
        pytest.skip("no Docker Engine answers")
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Image]:
    """A tiny image in the engine, under an official name that no registry knows."""
    wanted = Image("tiny", f"registry.invalid/meshdrill/tiny:{uuid.uuid4().hex[:12]}")
    context: dict[str, Path | bytes] = {"Dockerfile": b"FROM scratch\nCOPY tiny /tiny\n", "tiny": b"some bytes"}
    engine.build_image(wanted.official, context, {}, {engine.KEY_LABEL: "none"}, tmp_path / "build.log")
    yield wanted
    answers(["docker", "image", "rm", "--force", wanted.official], timeout_s=30)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry on loopback: its HOST:PORT."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (Debian package docker-registry)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = tmp_path / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'blobs'}}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    with (tmp_path / "registry.log").open("w") as log:
        server = subprocess.Popen([program, "serve", settings], stdout=log, stderr=log)
    try:
        wait_for(host, tmp_path / "registry.log")
        yield host
    finally:
        server.terminate()
        server.wait(timeout=10)


def wait_for(host: str, log: Path) -> None:
    """Wait until the registry answers."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        try:
            if requests.get(f"http://{host}/v2/", timeout=1).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail(f"docker-registry did not answer on {host} within {DEADLINE_S:.0f} s: {log.read_text()}")


def remove(ref: str) -> None:
    """Remove an image from the engine."""
    run(["docker", "image", "rm", "--force", ref], timeout_s=30)


def get(wanted: Image, tmp_path: Path, **how: object) -> resolve.Resolved:
    """Resolve one image with an archive directory of the test's own."""
    settings: dict[str, object] = {"source": None, "archive_dir": tmp_path / "images", "registry_mirror": None} | how
    return resolve.resolve(wanted, progress=print, **settings)  # type: ignore[arg-type] # one place for all defaults


def test_an_image_in_the_engine_is_used_first(tiny: Image, tmp_path: Path) -> None:
    """An image in the engine needs no other source."""
    got = get(tiny, tmp_path)
    assert (got.source, got.ref, got.origin) == ("engine", tiny.official, Origin("build", recipe_key="none"))


def test_an_archive_carries_an_image_from_engine_to_engine(tiny: Image, tmp_path: Path) -> None:
    """An image saved, removed, found by its reference and loaded is the same image, and its origin is recorded."""
    before = get(tiny, tmp_path)
    (path,) = archive.save([tiny.official], tmp_path / "images", print)
    remove(tiny.official)
    got = get(tiny, tmp_path)
    assert (got.source, got.image_id) == ("archive", before.image_id)
    again = get(tiny, tmp_path)
    assert again.origin == Origin("archive", path.name, sha256=archive.sha256(path), recipe_key="none")
    assert (again.source, again.is_official) == ("engine", False)


def test_a_registry_gives_the_image_under_its_official_name(tiny: Image, registry: str, tmp_path: Path) -> None:
    """Pulled through a mirror, tagged back to the official reference, with the registry's digest."""
    before = get(tiny, tmp_path)
    mirrored = resolve.mirrored(tiny.official, registry)
    engine.tag(tiny.official, mirrored)
    run(["docker", "push", mirrored], timeout_s=60)
    remove(mirrored)
    remove(tiny.official)
    try:
        got = get(tiny, tmp_path, registry_mirror=registry)
        assert (got.source, got.ref, got.image_id) == ("registry", tiny.official, before.image_id)
        assert got.digest is not None
        assert got.digest.startswith("sha256:")
        again = get(tiny, tmp_path)
        assert (again.source, again.digest) == ("engine", got.digest)
        assert again.origin == Origin("registry", registry, digest=got.digest)
        assert not again.is_official  # a mirror is not the publisher
    finally:
        remove(mirrored)


def test_a_pinned_digest_is_held(tiny: Image, registry: str, tmp_path: Path) -> None:
    """An official reference with a digest is pulled by it and used by its tag; another digest is not accepted."""
    mirrored = resolve.mirrored(tiny.official, registry)
    engine.tag(tiny.official, mirrored)
    run(["docker", "push", mirrored], timeout_s=60)
    facts = engine.inspect_image(mirrored)
    assert facts is not None
    remove(mirrored)
    remove(tiny.official)
    pinned = Image("tiny", f"{tiny.official}@{facts.digest}")
    try:
        got = get(pinned, tmp_path, registry_mirror=registry)
        assert (got.source, got.ref, got.digest) == ("registry", tiny.official, facts.digest)
        assert get(pinned, tmp_path).source == "engine"
        with pytest.raises(MissingImagesError, match="expected sha256:0000"):
            get(Image("tiny", f"{tiny.official}@sha256:{'0' * 64}"), tmp_path, source="engine")
    finally:
        answers(["docker", "image", "rm", "--force", facts.Id], timeout_s=30)


def test_a_registry_without_the_image_is_a_reason(registry: str, tmp_path: Path) -> None:
    """The registry's own refusal stands in the error."""
    with pytest.raises(MissingImagesError, match=r"registry: .*(not found|unknown)"):
        get(Image("absent", "registry.invalid/meshdrill/absent:1"), tmp_path, registry_mirror=registry)


def test_a_failed_build_says_why(tmp_path: Path) -> None:
    """The end of the builder's own output stands in the error, and nothing is left in the engine."""
    context: dict[str, Path | bytes] = {"Dockerfile": b"FROM scratch\nCOPY absent /\n"}
    ref = f"{build.OUR_REGISTRY}/selftest:{uuid.uuid4().hex[:12]}"
    with pytest.raises(HarnessError, match="absent"):
        engine.build_image(ref, context, {}, {}, tmp_path / "build.log")
    assert engine.inspect_image(ref) is None
