"""Declared manifests: they do what their drills claim, name existing objects, and are not deployed with the lab."""

from itertools import chain
from pathlib import Path

import pytest

from clusters import lab, meshes
from clusters.kube import Json, describe
from clusters.model import Capability, SignalKind
from clusters.runtime import MANIFESTS
from drills.run.lab import FRONT_DOOR

SOURCE, TARGET = FRONT_DOOR
REQUEST = {"methods": ["POST"], "paths": ["/"]}


def declared(mesh: str) -> list[Path]:
    """Return the files that a drill may declare on the mesh."""
    return sorted((meshes.load(mesh).manifests / "policy" / "declared").glob("*.yaml"))


def objects(mesh: str, name: str) -> list[Json]:
    """Return the objects of one of them."""
    (found,) = [path for path in declared(mesh) if path.stem == name]
    return lab.load(found, {})


def objects_named(mesh: str, name: str) -> bool:
    """Return whether the mesh has declared objects of that name."""
    return name in {path.stem for path in declared(mesh)}


def names_source(mesh: str, rule: Json) -> bool:
    """Return whether the object denies only the source's requests to the target, as the lab makes them."""
    spec = rule["spec"]
    match rule["kind"]:
        case "AuthorizationPolicy":
            source = {"source": {"principals": [f"cluster.local/ns/lab/sa/{SOURCE}"]}}
            return bool(
                spec["action"] == "DENY" and spec["rules"] == [{"from": [source], "to": [{"operation": REQUEST}]}]
            )
        case "HTTPRoute":
            facts = meshes.load(mesh)
            (match,) = spec["rules"][0]["matches"]
            header = {"name": facts.identity.header, "value": facts.identity.of("lab", SOURCE)}
            return bool(match == {"path": {"type": "Exact", "value": "/"}, "method": "POST", "headers": [header]})
        case "CiliumNetworkPolicy":
            others, narrowed = spec["ingress"]
            (named,) = narrowed["toPorts"]
            account = "io.cilium.k8s.policy.serviceaccount"
            (left_out,) = others["fromEndpoints"][0]["matchExpressions"]
            return bool(
                left_out == {"key": account, "operator": "NotIn", "values": [SOURCE]}
                and narrowed["fromEndpoints"] == [{"matchLabels": {account: SOURCE}}]
                and named["rules"] == {"http": [{"method": "GET"}]}
            )
        case _:
            (peer,) = spec["ingress"][0]["from"]
            without = {"key": "app", "operator": "NotIn", "values": [SOURCE]}
            return bool(peer == {"podSelector": {"matchExpressions": [without]}})


def test_callers_of_the_lab_make_the_requests_that_the_rules_name() -> None:
    """Each call is a POST to /: a rule about another request would close nothing."""
    assert 'f"POST / HTTP/1.1' in (MANIFESTS / "lab" / "caller.py").read_text()


@pytest.mark.parametrize("mesh", meshes.names())
def test_every_mesh_has_a_rule_on_requests(mesh: str) -> None:
    """One object denies one caller's requests to frontend and affects no other caller."""
    (rule,) = objects(mesh, "request-rule")
    assert rule["metadata"]["namespace"] == "lab"
    assert TARGET in str(rule)
    assert names_source(mesh, rule)


@pytest.mark.parametrize("mesh", meshes.names())
def test_a_service_is_bound_where_the_mesh_can_bind_one(mesh: str) -> None:
    """Where there is such a binding, one label of the Service is changed, and there is a rule for that proxy."""
    has_file = "l7-proxy-missing" in {path.stem for path in declared(mesh)}
    assert has_file is (Capability.BOUND_L7_PROXY in meshes.load(mesh).capabilities)
    if has_file:
        service, rule = objects(mesh, "l7-proxy-missing")
        assert (describe(service), len(service["metadata"]["labels"])) == (f"Service lab/{TARGET}", 1)
        assert service.keys() == {"apiVersion", "kind", "metadata"}
        assert names_source(mesh, rule)
        assert "l7-proxy-unready" in {path.stem for path in declared(mesh)}


@pytest.mark.parametrize("mesh", [mesh for mesh in meshes.names() if objects_named(mesh, "l7-proxy-unready")])
def test_a_proxy_that_never_gets_ready_is_the_first_and_its_image_is_had_nowhere(mesh: str) -> None:
    """The Service is bound to the very object that comes first, by the one label that is changed; the rule is the same.

    The image's registry is a port of the node on which no process listens: it cannot be pulled on any host.
    """
    proxy, service, rule = objects(mesh, "l7-proxy-unready")
    assert proxy["metadata"]["name"] in service["metadata"]["labels"].values()
    assert [service, rule] == objects(mesh, "l7-proxy-missing")
    assert str(proxy).count("localhost:1/") == 1


@pytest.mark.parametrize("mesh", meshes.names())
def test_what_is_declared_is_not_deployed(mesh: str) -> None:
    """None of the files is among those that the lab is deployed from, and none is made anew where one is changed."""
    deployed = lab.policies(meshes.load(mesh))
    assert declared(mesh)
    assert not set(declared(mesh)) & set(deployed)
    known = {describe(it) for path in deployed for it in lab.load(path, {})}
    rules = {describe(it) for path in declared(mesh) for it in lab.load(path, {}) if it["kind"] != "Service"}
    changed = {"CiliumNetworkPolicy lab/frontend"} if meshes.load(mesh).manifests.name == "cilium" else set()
    assert rules & known == changed


@pytest.mark.parametrize("mesh", meshes.names())
def test_every_status_that_is_a_signal_is_that_of_a_declared_object(mesh: str) -> None:
    """A signal for another object would never appear, and its drill would report no alert."""
    known = {
        f"{it['apiVersion']} {describe(it)}"
        for it in chain.from_iterable(lab.load(path, {}) for path in declared(mesh))
    }
    stated = [it.subject for it in meshes.load(mesh).signals.values() if it.kind is SignalKind.STATUS]
    assert {subject.rpartition(" ")[0] for subject in stated} <= known
