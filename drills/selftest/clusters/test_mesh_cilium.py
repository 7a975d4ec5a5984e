"""Cilium's variants: what each enables in the chart and promises, and that no present capability is absent."""

from collections.abc import Mapping

import pytest
import yaml

from clusters import meshes
from clusters.images.catalogue import image, images_for
from clusters.meshes import cilium
from clusters.model import Capability, Mesh, Role

MESH = meshes.load(cilium.MESH.name)
VARIANTS = tuple(meshes.load(mesh.name) for mesh in cilium.VARIANTS)
WIREGUARD, WITH_L7 = VARIANTS
EACH = pytest.mark.parametrize("mesh", [MESH, *VARIANTS], ids=lambda mesh: mesh.name)
OFFICIAL = False


def chart_values(mesh: Mesh) -> dict[str, object]:
    """Return the values that the chart is given for official images: the mesh's file, then what its facts say."""
    whole = yaml.safe_load((mesh.manifests / "values.yaml").read_text())
    assert isinstance(whole, dict)
    return merged(whole, mesh.install.image_values(refs(mesh), OFFICIAL))


def refs(mesh: Mesh) -> dict[str, str]:
    """Return the reference of each image that the catalogue lists for the mesh, as nodes know it: by tag."""
    return {it.name: it.official.partition("@")[0] for it in images_for(mesh.name)}


def merged(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Merge values as helm does: mappings are merged, everything else is replaced."""
    joined = dict(under)
    for key, value in over.items():
        below = joined.get(key)
        joined[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return joined


@EACH
def test_every_image_of_the_catalogue_is_given_to_the_chart_exactly_once(mesh: Mesh) -> None:
    """The listed images are exactly the images that the chart uses."""
    text = yaml.safe_dump(mesh.install.image_values(refs(mesh), OFFICIAL), width=1000)
    assert {ref: text.count(f"override: {ref}\n") for ref in refs(mesh).values()} == dict.fromkeys(
        refs(mesh).values(), 1
    )
    assert text.count("override: ") == len(refs(mesh))


def test_only_the_variant_turns_on_what_it_is_named_for() -> None:
    """Base Cilium has neither encryption nor HTTP rules, and each variant has only one of them."""
    on = {"enabled": True, "type": "wireguard"}
    found = {mesh.name: chart_values(mesh) for mesh in (MESH, *VARIANTS)}
    assert {name: values.get("encryption") for name, values in found.items()} == {
        "cilium": None,
        "cilium-l7": None,
        "cilium-wireguard": on,
    }
    assert {name: values["l7Proxy"] for name, values in found.items()} == {
        "cilium": False,
        "cilium-l7": True,
        "cilium-wireguard": False,
    }


def test_the_l7_proxy_runs_from_the_image_that_the_catalogue_pins() -> None:
    """It is on, from that very tag, and the catalogue keeps the digest to which the chart pins it, too."""
    proxy = image("cilium-envoy")
    tag, _, digest = proxy.official.partition("@")
    assert digest.startswith("sha256:")
    assert proxy.recipe is None  # no package registry carries it: a registry or an archive must
    assert chart_values(WITH_L7)["envoy"] == {
        "enabled": True,
        "image": {"override": tag, "useDigest": False, "pullPolicy": "IfNotPresent"},
    }
    assert chart_values(MESH)["envoy"] == {"enabled": False}


@EACH
def test_what_a_mesh_has_it_does_not_call_absent(mesh: Mesh) -> None:
    """Each missing capability has a reason, and no present one has."""
    roles = {part.role for part in mesh.components}
    assert not set(mesh.absent) & (mesh.capabilities | roles)
    assert Capability.ENCRYPTION in set(mesh.absent) | mesh.capabilities


def test_what_is_off_names_the_variant_that_has_it() -> None:
    """The reason for a missing capability names the variant that has it, and so does that for the missing proxy."""
    assert f"{WIREGUARD.name} has it" in MESH.absent[Capability.ENCRYPTION]
    assert Capability.ENCRYPTION in WIREGUARD.capabilities
    off = {
        mesh.name: [it.reason for it in mesh.overrides if it.setting.startswith("envoy.enabled")]
        for mesh in (MESH, WITH_L7)
    }
    assert [f"{WITH_L7.name} enables it" in it for it in off["cilium"]] == [True]
    assert off["cilium-l7"] == []


def test_wireguard_promises_what_travels_between_nodes_and_no_more() -> None:
    """The claim is a documented promise there alone, about the wire between nodes, and wants a kernel that has it."""
    kinds = {mesh.name: mesh.promises.references["no-plaintext"].kind for mesh in (MESH, WITH_L7, WIREGUARD)}
    assert kinds == {"cilium": "not-promised", "cilium-l7": "not-promised", "cilium-wireguard": "documented"}
    assert (WIREGUARD.wire_scope, MESH.wire_scope, WITH_L7.wire_scope) == ("nodes", "any", "any")
    assert WIREGUARD.install.kernel_features == ("WireGuard",)


def test_the_l7_proxy_is_waited_for_and_named_as_the_one_who_judges_requests() -> None:
    """The proxy is a component that drills wait for, and reports name it as the enforcement point."""
    proxy = WITH_L7.component(Role.L7_PROXY)
    assert proxy is not None
    assert (proxy.kind, proxy.name) == ("DaemonSet", "cilium-envoy")
    assert MESH.component(Role.L7_PROXY) is WIREGUARD.component(Role.L7_PROXY) is None
    assert WITH_L7.promises.references["request-rule"].kind == "documented"
    assert MESH.promises.references["request-rule"].kind == "source"  # the rule is rejected, and the status reports it
    assert [it.enforcement for it in WITH_L7.policy.points] == ["the called node's kernel", "the called node's Envoy"]
    assert WITH_L7.install.kernel_features == ("TPROXY",)


def test_a_rule_that_is_not_taken_is_told_of_in_the_same_place_on_both() -> None:
    """The object's status says so, with the proxy and without; only why it would not be taken differs."""
    without, with_proxy = (mesh.signals["rule-unenforced"] for mesh in (MESH, WITH_L7))
    assert without.subject == with_proxy.subject
    assert without.source is not None
    assert with_proxy.source is not None
    assert "Without its L7 proxy" in without.source.title
    assert "Without" not in with_proxy.source.title


def test_what_no_variant_changes_is_the_same() -> None:
    """All promises but one, and all overrides but that of the enabled proxy, are Cilium's own."""
    own = MESH.promises.references
    for variant, name in ((WIREGUARD, "no-plaintext"), (WITH_L7, "request-rule")):
        assert {it for it in own if own[it] != variant.promises.references[it]} == {name}
        assert (variant.promises.claims, variant.promises.drills) == (MESH.promises.claims, MESH.promises.drills)
    assert WIREGUARD.overrides == MESH.overrides
    (off,) = set(MESH.overrides) - set(WITH_L7.overrides)
    assert off.setting == "envoy.enabled, l7Proxy"
