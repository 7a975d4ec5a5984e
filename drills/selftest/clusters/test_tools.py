"""Which kind, kubectl and helm fit."""

from pathlib import Path

import pytest

from clusters import tools
from clusters.images.catalogue import versions
from clusters.runtime import tools_dir


@pytest.mark.parametrize(
    ("name", "said", "fits"),
    [
        ("kind", "kind v0.33.0 go1.26.8 linux/amd64", True),
        ("kind", "kind v0.33.1 go1.26.8 linux/amd64", True),
        ("kind", "kind v0.32.0 go1.24.6 linux/amd64", False),
        ("kubectl", "Client Version: v1.34.4", True),
        ("kubectl", "Client Version: v1.35.0", True),
        ("kubectl", "Client Version: v1.32.9-dispatcher\nKustomize Version: v5.7.1", False),
        ("kubectl", "Client Version: v2.34.4", False),
        ("helm", "v3.18.6+gb76a950", True),
        ("helm", "v4.3.1", False),
        ("helm", "no version at all", False),
    ],
)
def test_a_tool_fits_by_the_rule_of_its_own(name: str, said: str, fits: bool) -> None:
    """The rule is: kind by its minor, kubectl within one minor, helm by its major, and never without a version."""
    assert tools.fits(name, said) is fits


def test_a_tool_on_the_path_with_a_wrong_version_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool on the PATH is used only if its version fits; then comes the cached tool of the pinned version."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))
    for name, version in (("kind", "v0.1.0"), ("kubectl", "v1.34.1"), ("helm", "v3.22.0")):
        _program(tmp_path / "bin" / name, version)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    cached = _program(tools_dir() / "kind-0.33.0" / "kind", "v0.33.0")
    found = tools.ensure_tools(print)
    assert found.kind == cached
    assert found.kubectl == tmp_path / "bin" / "kubectl"
    assert found.versions == {"kind": "0.33.0", "kubectl": "1.34.1", "helm": "3.22.0"}


def test_a_given_tool_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's tool is used without a check, and its version is recorded."""
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "cache"))
    for name in ("kind", "kubectl", "helm"):
        _program(tools_dir() / f"{name}-{versions().tools[name]}" / name, f"v{versions().tools[name]}")
    mine = _program(tmp_path / "my-kind", "v0.40.0")
    found = tools.ensure_tools(print, kind=mine)
    assert (found.kind, found.versions["kind"]) == (mine, "0.40.0")


def test_saved_tools_are_found_at_an_air_gapped_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `save` put beside the archives is used where PATH and cache have nothing."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "here"))
    for name, version in versions().tools.items():
        _program(tools_dir() / f"{name}-{version}" / name, f"v{version}")
    saved = tools.save(tools.ensure_tools(print), tmp_path / "carried")
    monkeypatch.setenv("MESHDRILL_CACHE", str(tmp_path / "there"))
    found = tools.ensure_tools(print, archives=tmp_path / "carried")
    assert {found.kind, found.kubectl, found.helm} == set(saved)


def _program(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path
