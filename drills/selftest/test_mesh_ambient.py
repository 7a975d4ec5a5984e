"""Istio ambient: who counts as a member, which values each of its charts is given, and that each call has a tunnel."""

from dataclasses import replace

import pytest
import yaml

from clusters.errors import HarnessError
from clusters.images import recipe
from clusters.install import MANIFESTS, section
from clusters.mesh import Role
from clusters.meshes.istio_ambient import MESH
from drills.run.needs import unmet

ENROLLED = "ambient.istio.io/redirection"


@pytest.mark.parametrize(
    ("pod", "is_member"),
    [
        ({"metadata": {"annotations": {ENROLLED: "enabled"}}}, True),
        ({"metadata": {"annotations": {ENROLLED: "pending"}}}, False),
        ({"metadata": {"labels": {"istio.io/dataplane-mode": "ambient"}}}, False),
        ({"metadata": {"annotations": None}}, False),
        ({}, False),
    ],
)
def test_a_pod_is_a_member_once_its_enrolment_is_complete(pod: dict[str, object], is_member: bool) -> None:
    """Only the agent's last word counts: neither a label that wishes for it nor an enrolment half done does."""
    assert MESH.member(pod, None) is is_member


def test_each_chart_is_given_its_own_values_and_image() -> None:
    """Charts that mean different things by `image` and `resources` get a section each, and none is left over."""
    whole = yaml.safe_load((MANIFESTS / "values" / MESH.values).read_text())
    images = {name: f"example/{name}" for name in ("istio-pilot", "istio-install-cni", "istio-ztunnel")}
    built = True
    named = MESH.image_values(images, built)
    assert whole.keys() == named.keys() < {release.section for release in MESH.charts}
    found = {release.chart: section(named, release).get("image", "") for release in MESH.charts}
    assert found == {
        "istio-base": "",
        "istiod": "example/istio-pilot",
        "istio-cni": "example/istio-install-cni",
        "ztunnel": "example/istio-ztunnel",
    }
    assert all(section(whole, release).get("profile", "ambient") == "ambient" for release in MESH.charts)


def test_a_chart_without_a_section_is_given_the_whole_and_a_wrong_section_is_named() -> None:
    """No section means all values of the mesh; a section that is no mapping is an error that says where it is."""
    release = MESH.charts[-1]
    assert section({"a": 1}, replace(release, section="")) == {"a": 1}
    with pytest.raises(HarnessError, match="under the key ztunnel"):
        section({"ztunnel": "x"}, release)


def test_a_tunnel_carries_one_connection() -> None:
    """Its values tell ztunnel so: a call on a new connection never rides on an old handshake."""
    whole = yaml.safe_load((MANIFESTS / "values" / MESH.values).read_text())
    assert whole["ztunnel"]["env"] == {"POOL_MAX_STREAMS_PER_CONNECTION": "1"}
    assert any("POOL_MAX_STREAMS_PER_CONNECTION" in found.setting for found in MESH.deviations)


def test_node_programs_are_of_the_same_istio_as_the_control_plane() -> None:
    """Both recipes pin one version of Istio's module."""
    pinned = {
        line.split()[1]
        for name in ("istio", "istio-cni")
        for line in (recipe.recipes_dir() / name / "go.mod").read_text().splitlines()
        if line.strip().startswith("istio.io/istio ")
    }
    assert len(pinned) == 1


def test_a_missing_role_says_why() -> None:
    """A drill that needs an injector is told that nothing is injected here, not only that there is none."""
    assert unmet((Role.INJECTOR,), MESH) == f"Istio ambient has no injector ({MESH.absent[Role.INJECTOR]})"
