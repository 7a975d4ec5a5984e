"""Every link in what we say of a mesh opens at a fixed version, so that a reader finds what we read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import meshes
from clusters.model import Mesh, Reference

ROOT = Path(__file__).resolve().parents[3]
READ = ("clusters/**/*.py", "clusters/versions.toml", "manifests/**/*", "drills/README.md")
LINK = re.compile(r"""https?://[^\s"'`<>()\[\]]+""")
MOVES = re.compile(
    r"""
      ://kubernetes\.io/docs                       # the site of the newest release
    | ://linkerd\.io/                              # no page has more than a minor release
    | ://docs\.cilium\.io/                         # the same
    | ://istio\.io/(?!v\d+\.\d+/)
    | ://preliminary\.istio\.io/
    | ://github\.com/[^/]+/[^/]+/(blob|tree)/(main|master|HEAD|latest|release-[^/]+)(/|$)
    | ://raw\.githubusercontent\.com/[^/]+/[^/]+/(main|master|HEAD|latest|release-[^/]+)(/|$)
    | /(latest|stable|2-edge|current)(?=/|$)(?!.*\.md)    # in the address of a site
    """,
    re.VERBOSE,
)
FIXED = re.compile(r"v?\d+[.-]\d+|[0-9a-f]{40}")
WITHOUT_VERSION = re.compile(r"://github\.com/[^/]+/[^/]+/(issues|pull)/\d+")


def moves(link: str) -> bool:
    """Return whether the page behind a link may change while the link stays the same."""
    return MOVES.search(link) is not None and WITHOUT_VERSION.search(link) is None


def test_every_link_is_pinned() -> None:
    """To a tag, a commit or a site of one release; issues and pull requests have no version."""
    files = [
        file for pattern in READ for file in sorted(ROOT.glob(pattern)) if file.is_file() and file.suffix != ".pyc"
    ]
    links = [(file.relative_to(ROOT).as_posix(), link) for file in files for link in LINK.findall(file.read_text())]
    assert len(links) > 200
    assert not [found for found in links if moves(found[1])]


def references(mesh: Mesh) -> Iterator[Reference]:
    """Yield each reference of a mesh."""
    yield from mesh.promises.references.values()
    yield from (known.issue for known in mesh.known_issues)
    yield from (signal.source for signal in mesh.signals.values() if signal.source is not None)
    yield from (hook.source for hook in mesh.webhooks)
    if mesh.drop_log is not None:
        yield mesh.drop_log.source


@pytest.mark.parametrize("name", meshes.names())
def test_every_reference_names_its_version(name: str) -> None:
    """A page without a version in its address, a blog post for one, is no reference."""
    found = list(references(meshes.load(name)))
    assert found
    assert not [it.url for it in found if moves(it.url) or not (FIXED.search(it.url) or WITHOUT_VERSION.search(it.url))]


@pytest.mark.parametrize(
    ("link", "is_moving"),
    [
        ("https://kubernetes.io/docs/concepts/", True),
        ("https://v1-34.docs.kubernetes.io/docs/concepts/", False),
        ("https://istio.io/latest/docs/concepts/security/", True),
        ("https://istio.io/docs/concepts/security/", True),
        ("https://istio.io/v1.31/docs/concepts/security/", False),
        ("https://linkerd.io/2-edge/features/ha/", True),
        ("https://linkerd.io/faq/", True),
        ("https://github.com/linkerd/website/blob/93f0017/linkerd.io/content/2-edge/features/ha.md", False),
        ("https://docs.cilium.io/en/v1.20/overview/", True),
        ("https://docs.aws.amazon.com/eks/latest/userguide/", True),
        ("https://github.com/istio/istio/blob/master/README.md", True),
        ("https://github.com/istio/istio/blob/release-1.31/README.md", True),
        ("https://github.com/istio/istio/blob/release-1.31", True),
        ("https://github.com/linkerd/linkerd2-proxy/blob/release/v2.366.0/README.md", False),
        ("https://github.com/cilium/cilium/blob/main/README.rst", True),
        ("https://github.com/cilium/cilium/blob/v1.20.2/README.rst", False),
        ("https://raw.githubusercontent.com/kubernetes-sigs/gateway-api/main/config/crd/x.yaml", True),
        ("https://github.com/istio/istio/issues/61126", False),
        ("https://github.com/linkerd/linkerd2-proxy/pull/2267", False),
    ],
)
def test_a_link_that_moves_is_found(link: str, is_moving: bool) -> None:
    """A branch, a site of the newest release and a site of a minor release move; a tag and a commit do not."""
    assert moves(link) is is_moving
