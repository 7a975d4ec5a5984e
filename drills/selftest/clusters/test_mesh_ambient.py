"""Istio ambient: membership, the values of each chart, and one tunnel per connection."""

import json
from dataclasses import replace

import pytest
import yaml

from clusters.images import recipe
from clusters.images.catalogue import crd
from clusters.install import section
from clusters.lab import load
from clusters.meshes.istio_ambient import MESH
from clusters.model import Drop, Role, TargetPod
from clusters.runtime import HarnessError
from drills.run.declare import unmet

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
    """Only the agent's final annotation counts, neither the label nor a partial enrolment."""
    assert MESH.membership.proves(pod, None) is is_member


def test_each_chart_is_given_its_own_values_and_image() -> None:
    """Charts that mean different things by `image` and `resources` get a section each, and none is left over."""
    whole = yaml.safe_load((MESH.manifests / "values.yaml").read_text())
    images = {name: f"example/{name}" for name in ("istio-pilot", "istio-install-cni", "istio-ztunnel")}
    built = True
    named = MESH.install.image_values(images, built)
    assert whole.keys() == named.keys() < {release.section for release in MESH.install.charts}
    found = {release.chart: section(named, release).get("image", "") for release in MESH.install.charts}
    assert found == {
        "istio-base": "",
        "istiod": "example/istio-pilot",
        "istio-cni": "example/istio-install-cni",
        "ztunnel": "example/istio-ztunnel",
    }
    assert all(section(whole, release).get("profile", "ambient") == "ambient" for release in MESH.install.charts)


def test_a_chart_without_a_section_is_given_the_whole_and_a_wrong_section_is_named() -> None:
    """No section means all values of the mesh; a section that is no mapping is an error that says where it is."""
    release = MESH.install.charts[-1]
    assert section({"a": 1}, replace(release, section="")) == {"a": 1}
    with pytest.raises(HarnessError, match="under the key ztunnel"):
        section({"ztunnel": "x"}, release)


def test_a_tunnel_carries_one_connection() -> None:
    """Its values configure it: a call on a new connection never uses an old handshake."""
    whole = yaml.safe_load((MESH.manifests / "values.yaml").read_text())
    assert whole["ztunnel"]["env"] == {"POOL_MAX_STREAMS_PER_CONNECTION": "1"}
    assert any("POOL_MAX_STREAMS_PER_CONNECTION" in found.setting for found in MESH.overrides)


def test_node_programs_are_of_the_same_istio_as_the_control_plane() -> None:
    """Both recipes pin one version of Istio's module."""
    pinned = {
        line.split()[1]
        for name in ("istio", "istio-cni")
        for line in (recipe.recipes_dir() / name / "go.mod").read_text().splitlines()
        if line.strip().startswith("istio.io/istio ")
    }
    assert len(pinned) == 1


def test_a_gateway_can_be_declared() -> None:
    """The kind of the waypoint that drills declare is among those that are defined before istiod is there."""
    gateway, *_ = load(MESH.manifests / "policy" / "declared" / "l7-proxy-unready.yaml", {})
    group = gateway["apiVersion"].partition("/")[0]
    assert f"{group}_{gateway['kind'].lower()}s.yaml" in {crd(name).file for name in MESH.install.crds}
    assert gateway["spec"]["gatewayClassName"] == "istio-waypoint"


def test_a_missing_role_says_why() -> None:
    """The reason for a missing injector states that nothing is injected."""
    assert unmet((Role.INJECTOR,), MESH) == f"Istio ambient has no injector ({MESH.absent[Role.INJECTOR]})"


def logged(scope: str = "access", **fields: str) -> str:
    """Return a line of ztunnel's container log as the kubelet keeps it; `_` in a name stands for the dot."""
    entry = {"level": "error", "time": "1970-01-01T00:00:02.5Z", "scope": scope, "message": "connection complete"}
    fields_of_line = (
        entry | {"direction": "inbound"} | {name.replace("_", "."): value for name, value in fields.items()}
    )
    return f"1970-01-01T00:00:02.6Z stdout F {json.dumps(fields_of_line)}"


REJECTED = "connection closed due to policy rejection: "
STRICT = f"{REJECTED}explicitly denied by: istio-system/istio_converted_static_strict"
INTRUDER = {"src_identity": "spiffe://cluster.local/ns/lab/sa/intruder", "src_workload": "intruder-6f5c9d7b44-x2x9z"}
OUTSIDER = {"src_workload": "outsider-6f5c9d7b44-x2x9z"}
PAYMENT = {"dst_service": "payment.lab.svc.cluster.local", "dst_workload": "payment-v1-6f5c9d7b44-k8s2q"}
AT_NS = 2_500_000_000


@pytest.mark.parametrize(
    ("line", "drop"),
    [
        (
            logged(**INTRUDER, **PAYMENT, error=f"{REJECTED}allow policies exist, but none allowed"),
            Drop(AT_NS, "intruder", "payment", "allow policies exist, but none allowed"),
        ),
        (
            logged(**OUTSIDER, **PAYMENT, error=STRICT),
            Drop(AT_NS, "outsider", "payment", STRICT.removeprefix(REJECTED)),
        ),
        (
            logged(**OUTSIDER, dst_workload="ledger-6f5c9d7b44-k8s2q", error="connection closed due to policy change"),
            Drop(AT_NS, "outsider", "ledger", "connection closed due to policy change"),
        ),
        (logged(**INTRUDER, **PAYMENT, error=STRICT, direction="outbound"), None),
        (logged(**INTRUDER, **PAYMENT, error="connection failed: Connection refused (os error 111)"), None),
        (logged(**INTRUDER, **PAYMENT), None),
        (logged(**PAYMENT, error=STRICT), None),
        (logged("ztunnel::state", **INTRUDER, **PAYMENT, error=STRICT), None),
        (logged(**INTRUDER, **PAYMENT, error=STRICT).replace(" F ", " P "), None),
        ("1970-01-01T00:00:02.6Z stderr F thread 'main' panicked", None),
        ("", None),
    ],
)
def test_a_refusal_is_read_from_the_log_of_the_ztunnel_that_made_it(line: str, drop: Drop | None) -> None:
    """A policy denial counts once, at the called end, under the apps' names; an outage or a success does not."""
    assert MESH.drop_log is not None
    assert MESH.drop_log.parse(line) == drop


def test_a_torn_entry_is_an_error() -> None:
    """A malformed entry is an error, not an absence of drops: the log cannot be trusted."""
    assert MESH.drop_log is not None
    with pytest.raises(ValueError, match="Expecting"):
        MESH.drop_log.parse("1970-01-01T00:00:02.6Z stdout F {torn")


@pytest.mark.parametrize(
    ("namespace", "spec", "is_about"),
    [
        ("lab", {}, True),
        ("istio-system", {}, True),
        ("outside", {}, False),
        ("lab", {"selector": {"matchLabels": {"app": "ledger"}}}, True),
        ("lab", {"selector": {"matchLabels": {"app": "payment"}}}, False),
        ("lab", {"targetRefs": [{"kind": "Service", "name": "ledger"}]}, False),
        ("lab", {"targetRef": {"kind": "Gateway", "name": "waypoint"}}, False),
    ],
)
def test_ztunnel_holds_a_pod_to_what_selects_it(namespace: str, spec: dict[str, object], is_about: bool) -> None:
    """By namespace and labels, and from the root namespace; an object with a targetRef is for a waypoint."""
    ledger = TargetPod("lab", "ledger", "ledger", {"app": "ledger", "version": "v1"})
    assert MESH.policy.selects is not None
    assert MESH.policy.selects({"metadata": {"namespace": namespace}, "spec": spec}, ledger) is is_about
