"""The catalogue and recipes agree; a missing image has a reason; archives are indexed by content."""

import hashlib
import io
import os
import re
import tarfile
import tomllib
from pathlib import Path

import msgspec
import pytest

from clusters.images import archive, build, engine, golang, origins, recipe, resolve
from clusters.images.catalogue import all_images, image, images_for, versions
from clusters.images.origins import Origin
from clusters.runtime import HarnessError, UsageError, run, state_dir

RECIPES = recipe.names()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the user's cache."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_followed(name: str) -> None:
    """A recipe parses, its sources exist in other recipes, and what its Dockerfile copies is in its context."""
    described = recipe.load(name)
    for source in described.context.values():
        assert recipe.source_key(source)
    folder = recipe.recipes_dir() / name
    if described.go is not None:
        assert (folder / "go.sum").stat().st_size > 0
    dockerfile = folder / "Dockerfile"
    if dockerfile.exists():
        copied = re.findall(r"^(?:COPY|ADD) (.+) \S+$", dockerfile.read_text(), re.MULTILINE)
        names = {word.rstrip("/") for words in copied for word in words.split()}
        assert names == described.context.keys() | (recipe.own_files(name).keys() - {"Dockerfile"})


def test_every_image_names_a_recipe_that_exists() -> None:
    """An image is built by a recipe that is there, under a reference that no registry can answer to."""
    for found in all_images():
        assert (found.recipe is None) == (found.built is None)
        if found.recipe is not None and found.built is not None:
            assert found.recipe in RECIPES
            assert found.built.startswith(build.OUR_REGISTRY)


def test_every_mesh_lists_images_that_exist() -> None:
    """The images of every mesh are in the catalogue; a mesh that is not is a usage error."""
    for mesh in versions().meshes:
        assert all(found in all_images() for found in images_for(mesh))
    with pytest.raises(UsageError, match="no-such-mesh"):
        images_for("no-such-mesh")


def test_pins_agree() -> None:
    """The versions that versions.toml pins are those that the recipes compile and stamp."""
    pins = versions().tools
    for name, module in (
        ("kind", "sigs.k8s.io/kind"),
        ("helm", "helm.sh/helm/v3"),
        ("kubernetes", "k8s.io/kubernetes"),
    ):
        required = f"{module} v{pins['kubectl' if name == 'kubernetes' else name]}"
        assert required in (recipe.recipes_dir() / name / "go.mod").read_text()
    kubernetes = recipe.load("kubernetes").go
    assert kubernetes is not None
    stamped = {value for key, value in kubernetes.variables.items() if key.endswith("gitVersion")}
    assert stamped == {f"v{pins['kubectl']}"} == {recipe.load("node").arguments["KUBERNETES_VERSION"]}
    assert image("node").built == f"{build.OUR_REGISTRY}/kindest/node:v{pins['kubectl']}"
    cilium = versions().charts["cilium"].version
    assert f"github.com/cilium/cilium v{cilium}" in (recipe.recipes_dir() / "cilium" / "go.mod").read_text()
    spire = (recipe.recipes_dir() / "spire" / "go.mod").read_text()
    for name in ("spire-server", "spire-agent"):
        assert f"github.com/spiffe/spire v{(image(name).built or '').rpartition(':')[2]} " in spire
    for name in ("cilium", "cilium-operator"):
        assert {ref.rpartition(":")[2] for ref in (image(name).official, image(name).built or "")} == {f"v{cilium}"}


def test_charts_come_from_a_pinned_module() -> None:
    """Each chart's module, where one carries it, is one that the go.mod of the named recipe requires."""
    modules = [row.module for row in versions().charts.values() if row.module is not None]
    assert modules
    for carrier in modules:
        _, name, module, _ = carrier.split(":")
        assert f"{module} v" in (recipe.recipes_dir() / name / "go.mod").read_text()


def test_every_wheel_has_a_hash() -> None:
    """A wheel without a sha256 cannot enter an image."""
    for name in RECIPES:
        described = recipe.load(name).wheel
        if described is not None:
            lines = (recipe.recipes_dir() / name / described.requirements).read_text().splitlines()
            assert lines
            assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_a_key_changes_with_whatever_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of an image changes with what its base, its program and the program's own modules are made of."""
    for name, text in (
        ("base/recipe.toml", '[debian]\npackages = ["jq"]\n[context]\n"root.tar" = "debian:base"\n'),
        ("base/Dockerfile", "FROM scratch\nADD root.tar /\n"),
        (
            "app/recipe.toml",
            'base = "base"\n[context]\napp = "go:app:app"\n[go.programs]\napp = { package = "a.b/c" }\n',
        ),
        ("app/Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY app /\n"),
        ("app/go.mod", "module app\n"),
        ("app/go.sum", "a.b/c v1.0.0 h1:x\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(recipe, "recipes_dir", lambda: tmp_path)
    recipe.load.cache_clear()
    keys = [recipe.image_key("app"), recipe.image_key("app")]
    for name, text in (
        ("app/Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY app /bin/\n"),
        ("app/go.sum", "a.b/c v1.0.0 h1:y\n"),
        ("base/recipe.toml", '[debian]\npackages = ["jq", "curl"]\n[context]\n"root.tar" = "debian:base"\n'),
        ("base/recipe.toml", '[debian]\npackages = ["jq"]\nkeep = ["usr"]\n[context]\n"root.tar" = "debian:base"\n'),
        ("app/local/local.go", "package local\n"),
        (
            "app/recipe.toml",
            'base = "base"\n[context]\napp = "go:app:app"\n[go]\ncgo = true\nprograms.app = { package = "a.b/c" }\n',
        ),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        recipe.load.cache_clear()
        keys.append(recipe.image_key("app"))
    recipe.load.cache_clear()
    assert len(set(keys)) == 7


@pytest.mark.parametrize(
    ("ref", "mirror", "expected"),
    [
        ("docker.io/some/pilot:1", None, "docker.io/some/pilot:1"),
        ("docker.io/some/pilot:1", "127.0.0.1:5000", "127.0.0.1:5000/some/pilot:1"),
        ("docker.io/library/python:3@sha256:0f", "mirror.example", "mirror.example/library/python:3@sha256:0f"),
    ],
)
def test_a_mirror_replaces_the_host_alone(ref: str, mirror: str | None, expected: str) -> None:
    """A mirrored reference keeps path, tag and digest."""
    assert resolve.mirrored(ref, mirror) == expected


def test_a_record_of_origin_is_kept_and_the_first_one_stays() -> None:
    """The origin of an image is recorded once by its id."""
    assert origins.recall("sha256:aa") is None
    first = Origin("registry", "docker.io", digest="sha256:d")
    origins.remember("sha256:aa", first)
    origins.remember("sha256:aa", Origin("archive", "a.tar"))
    assert origins.recall("sha256:aa") == first


def test_the_origins_that_meshdrill_0_1_remembered_are_read() -> None:
    """Its records are sentences; what they leave out stays empty, and the next record keeps them."""
    (state_dir() / "image-origins.json").write_text(
        """{"sha256:1": {"origin": "registry docker.io/a:1", "digest": "sha256:d"},
            "sha256:2": {"origin": "archive a.tar", "digest": null},
            "sha256:3": {"origin": "built here by recipe istio-pilot (fc09da90582b)", "digest": null},
            "sha256:4": {"origin": "brought by hand"}}"""
    )
    origins.remember("sha256:5", Origin("archive", "b.tar", sha256="00"))
    assert [origins.recall(f"sha256:{number}") for number in range(1, 7)] == [
        Origin("registry", "docker.io", digest="sha256:d"),
        Origin("archive", "a.tar"),
        Origin("build", "istio-pilot", recipe_key="fc09da90582b"),
        Origin("unknown"),
        Origin("archive", "b.tar", sha256="00"),
        None,
    ]


def resolved(facts: engine.ImageFacts, name: str = "istio-pilot") -> resolve.Resolved:
    """Return an image of the catalogue as one that is in the engine under its official name."""
    wanted = image(name)
    return resolve._resolved(wanted, wanted.official.partition("@")[0], "engine", facts)


def test_the_engine_never_hides_where_an_image_came_from() -> None:
    """A build of ours is one by its label, whatever its name; a digest counts only from a registry, by record."""
    digests = ("docker.io/istio/pilot@sha256:d",)
    assert resolved(engine.ImageFacts("sha256:1", digests)).origin == Origin("unknown")
    assert resolved(engine.ImageFacts("sha256:1", digests)).digest is None
    labels = engine._Config({engine.KEY_LABEL: recipe.image_key("istio-pilot")})
    ours = resolved(engine.ImageFacts("sha256:2", None, labels)).origin
    assert (ours.kind, ours.name, ours.recipe_key) == ("build", "istio-pilot", recipe.image_key("istio-pilot"))
    assert ours.inputs == recipe.inputs("istio-pilot")
    origins.remember("sha256:2", Origin("build", "istio-pilot", recipe_key=recipe.image_key("istio-pilot")))
    assert resolved(engine.ImageFacts("sha256:2", None, labels)).origin == ours
    older = resolved(engine.ImageFacts("sha256:3", None, engine._Config({engine.KEY_LABEL: "0123456789ab"})))
    assert older.origin == Origin("build", recipe_key="0123456789ab")


@pytest.mark.parametrize(
    ("origin", "is_official"),
    [
        (Origin("registry", "docker.io", digest="sha256:d"), True),
        (Origin("registry", "docker.io"), False),
        (Origin("registry", "127.0.0.1:5000", digest="sha256:d"), False),
        (Origin("archive", "docker.io", sha256="00"), False),
    ],
)
def test_official_is_what_its_publisher_gave_by_digest(origin: Origin, *, is_official: bool) -> None:
    """Not what a mirror or an archive gave, nor what has no digest."""
    origins.remember("sha256:1", origin)
    got = resolved(engine.ImageFacts("sha256:1"))
    assert (got.is_official, got.digest) == (is_official, origin.digest or None)


@pytest.mark.parametrize("name", RECIPES)
def test_the_inputs_of_a_build_are_listed(name: str) -> None:
    """Every file with its hash, every part of the context and every argument; equal whenever it is asked."""
    described, found = recipe.load(name), recipe.inputs(name)
    assert found == recipe.inputs(name)
    assert {f"context {target}" for target in described.context} <= found.keys()
    assert {f"argument {key}": value for key, value in described.arguments.items()}.items() <= found.items()
    dockerfile = recipe.recipes_dir() / name / "Dockerfile"
    if dockerfile.exists():
        digest = hashlib.sha256(dockerfile.read_bytes()).hexdigest()
        assert found[f"{name}/Dockerfile"] == f"sha256:{digest}"
    if any(source.startswith("go:istio:") for source in described.context.values()):
        assert found["istio/go.sum"].startswith("sha256:")


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
    """A truncated archive is an error that names the file."""
    path = write_archive(tmp_path / "cut.tar", "some/a:1")
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(HarnessError, match=r"cut\.tar.*Copy it again"):
        archive.find("docker.io/some/a:1", tmp_path)


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("sigs.k8s.io/kind", "kind"),
    ],
)
def test_go_names_a_program_by_its_package(package: str, name: str) -> None:
    """A major version at the end of a package is not its program's name."""
    assert golang.executable_name(package) == name


def test_a_host_without_go_says_which_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the version that is needed and the flag that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    golang.go_program.cache_clear()
    with pytest.raises(HarnessError, match=r"Go 1\.26.*--bootstrap"):
        golang.go_program()


def test_go_needed_is_the_newest_that_a_recipe_names() -> None:
    """The toolchain that an old Go fetches serves every recipe."""
    named = [
        re.search(r"^go (\d+)\.(\d+)", path.read_text(), re.MULTILINE) for path in recipe.recipes_dir().glob("*/go.mod")
    ]
    assert max((int(found[1]), int(found[2])) for found in named if found) == golang.MIN_GO
    assert f"go{golang.MIN_GO[0]}.{golang.MIN_GO[1]}." in golang.TOOLCHAIN_MODULE


def test_a_second_builder_is_refused() -> None:
    """Two builders on one cache would compile everything twice: the second fails at once and says to wait."""
    with build._only_builder(), pytest.raises(UsageError, match="Another meshdrill builds"):
        build.program("go:kind:kind", print)


def test_what_a_killed_builder_left_is_cleared(tmp_path: Path) -> None:
    """The next builder removes the unfinished work of a killed one, and unmounts its mounts."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    mounted = tmp_path / "cache" / "build" / "work" / "killed" / "root" / "proc"
    mounted.mkdir(parents=True)
    run(["mount", "-t", "proc", "proc", mounted], timeout_s=10)
    assert (mounted / "self").exists()
    with build._only_builder():
        assert not (tmp_path / "cache" / "build" / "work").exists()
    assert str(mounted) not in Path("/proc/mounts").read_text()


def test_recipes_are_shipped_with_the_package() -> None:
    """Every file under recipes is data of the wheel: nothing that a build would leave behind lies there."""
    allowed = {
        "Dockerfile",
        "recipe.toml",
        "go.mod",
        "go.sum",
        "requirements.txt",
        "runc",
        "controllers.go",
        "nc",
        "pgrep",
    }
    assert {path.name for path in recipe.recipes_dir().rglob("*") if path.is_file()} <= allowed
    assert tomllib.loads((recipe.recipes_dir() / "node" / "recipe.toml").read_text())
