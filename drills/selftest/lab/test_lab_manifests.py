"""The manifests: common settings of all workloads, and the same policy in the objects of every mesh."""

from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from clusters.meshes import load as load_mesh
from drills.run.lab import EACH_CALL_CONNECTS
from drills.selftest.doubles.lab_programs import PROGRAMS

MANIFESTS = PROGRAMS.parent
WITHOUT_PODS = {"namespaces.yaml", "new-destination.yaml", "new-pods.yaml"}
POLICIES = sorted(path for path in MANIFESTS.glob("*/policy") if path.is_dir())
WORKLOADS = sorted(path for path in PROGRAMS.glob("*.yaml") if path.name not in WITHOUT_PODS)
PLACEHOLDERS = {"LAB_IMAGE": "python:3", "NAME": "change-1", "SOURCE": "intruder", "TARGET": "frontend"}
Item = dict[str, Any]

EVERYONE = frozenset({"*"})
INTENT = {
    "frontend": EVERYONE,
    "checkout": {"frontend"},
    "payment": {"checkout"},
    "ledger": {"payment"},
    "fraud": {"checkout"},
    "bank-adapter": {"payment"},
    "new-pod": {"checkout"},
}


FRESH_WITHOUT_POLICY = {
    "cilium": "no proxy stands between the pods: the caller's own connection is the whole of it, and it closes it",
    "istio-ambient": "its values tell ztunnel to carry one connection per tunnel, on every edge",
    "linkerd": "a policy cannot say it: the called Service's port is opaque, and a test below holds the manifest to it",
    "none": "no proxy stands between the pods: the caller's own connection is the whole of it, and it closes it",
}
"""Meshes with no setting for a connection per call, each with the reason why none is needed."""


def load(*paths: Path) -> list[Item]:
    """Return the objects of some manifests with every placeholder filled in."""
    texts = [Template(path.read_text()).substitute(PLACEHOLDERS) for path in paths]
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def pods(items: list[Item]) -> list[tuple[str, Item]]:
    """Return (app, pod spec) of everything that runs pods."""
    found = []
    for item in items:
        template = item if item["kind"] == "Pod" else item["spec"].get("template") if "spec" in item else None
        if template and "containers" in template["spec"]:
            found.append((template["metadata"]["labels"]["app"], template["spec"]))
    return found


def allowed_by_identity(items: list[Item]) -> dict[str, set[str]]:
    """Return target -> sources that policies authorize, by identity, for a Server or its route."""
    named = {(item["kind"], item["metadata"]["name"]): item["spec"] for item in items}
    found: dict[str, set[str]] = {}
    for (kind, _), spec in named.items():
        [authentication] = spec["requiredAuthenticationRefs"] if kind == "AuthorizationPolicy" else [{"kind": ""}]
        if authentication["kind"] != "MeshTLSAuthentication":
            continue  # the observers, which have no identity: see their own test
        place = named[spec["targetRef"]["kind"], spec["targetRef"]["name"]]
        if "parentRefs" in place:
            [parent] = place["parentRefs"]
            place = named[parent["kind"], parent["name"]]
        refs = named["MeshTLSAuthentication", authentication["name"]]["identityRefs"]
        sources = {"*" if ref == {"kind": "Namespace", "name": "lab"} else ref["name"] for ref in refs}
        found[place["podSelector"]["matchLabels"]["app"]] = sources
    return found


def allowed(items: list[Item]) -> dict[str, set[str]]:
    """Return target -> sources that the policies of one mesh allow."""
    if any(item["kind"] == "MeshTLSAuthentication" for item in items):
        return allowed_by_identity(items)
    found: dict[str, set[str]] = {}
    for item in items:
        spec = item["spec"]
        if item["kind"] == "AuthorizationPolicy" and spec:
            assert spec["action"] == "ALLOW"
            names = [name for rule in spec["rules"] for peer in rule["from"] for name in peer["source"]["principals"]]
            assert all(name.startswith("cluster.local/ns/lab/sa/") for name in names)
            found[spec["selector"]["matchLabels"]["app"]] = {name.rsplit("/", 1)[1] for name in names}
        if item["kind"] == "CiliumNetworkPolicy" and spec["endpointSelector"]:
            peers = [peer["matchLabels"] for rule in spec["ingress"] for peer in rule["fromEndpoints"]]
            of_namespace = {"k8s:io.kubernetes.pod.namespace": "lab"}
            sources = {"*" if peer == of_namespace else peer["io.cilium.k8s.policy.serviceaccount"] for peer in peers}
            found[spec["endpointSelector"]["matchLabels"]["app"]] = sources
        if item["kind"] == "NetworkPolicy" and "ingress" in spec:
            peers = [peer["podSelector"] for rule in spec["ingress"] for peer in rule["from"]]
            sources = {peer["matchLabels"]["app"] if peer else "*" for peer in peers}
            found[spec["podSelector"]["matchLabels"]["app"]] = sources
    return found


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda path: path.stem)
def test_every_workload_runs_a_program_of_ours_with_little(path: Path) -> None:
    """Each pod runs one of our programs under its own name, with small requests and minimal rights."""
    [*found] = pods(load(path))
    assert found
    for app, spec in found:
        [container] = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        python, program, *name = container["command"]
        assert python == "python3"
        assert (PROGRAMS / Path(program).name).is_file()
        assert name in ([app], [])
        # Callers have more CPU weight than the mesh: a starved caller measures itself.
        assert container["resources"]["requests"]["cpu"] == {
            "observer": "50m",
            "placebo": "10m",
            "agent-placebo": "10m",
        }.get(app, "150m")
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
        assert {"POD", "NODE"} <= {variable["name"] for variable in container["env"]}


def test_only_the_observer_is_privileged() -> None:
    """Every service runs as an ordinary user; the observer alone is root and in the node's network."""
    for app, spec in pods(load(*WORKLOADS)):
        is_observer = app == "observer"
        user = spec["containers"][0]["securityContext"].get(
            "runAsUser", spec.get("securityContext", {}).get("runAsUser")
        )
        assert (user == 0) == is_observer
        assert spec.get("hostNetwork", False) == is_observer


def test_survivors_where_a_drill_needs_them() -> None:
    """Each caller and server has a victim and a bystander on nodes of their own; payment has two versions of both."""
    deployments = {item["metadata"]["name"]: item for item in load(*WORKLOADS) if item["kind"] == "Deployment"}
    replicas = {name: item["spec"]["replicas"] for name, item in deployments.items()}
    assert {name for name, count in replicas.items() if count != 2} == {"placebo"}
    for name in replicas.keys() - {"placebo"}:
        template = deployments[name]["spec"]["template"]
        [spread] = template["spec"]["topologySpreadConstraints"]
        assert (spread["whenUnsatisfiable"], spread["topologyKey"]) == ("DoNotSchedule", "kubernetes.io/hostname")
        assert spread["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    versions = {
        deployments[f"payment-{version}"]["spec"]["template"]["metadata"]["labels"]["version"]
        for version in ("v1", "v2")
    }
    assert versions == {"v1", "v2"}
    [service] = [item for item in load(PROGRAMS / "payment.yaml") if item["kind"] == "Service"]
    assert service["spec"]["selector"] == {"app": "payment"}


@pytest.mark.parametrize("folder", POLICIES, ids=lambda path: path.parent.name)
def test_every_mesh_is_given_the_same_intent(folder: Path) -> None:
    """The policies of each mesh allow exactly the lab's edges and, by a default, nothing else."""
    items = load(*(path for path in folder.glob("*.yaml") if path.name != "change.yaml"))
    assert allowed(items) == INTENT
    by_namespace = load_mesh(folder.parent.name).membership.namespace_annotations.values()
    assert "allow-nothing" in {item["metadata"]["name"] for item in items} or "deny" in by_namespace


@pytest.mark.parametrize("folder", POLICIES, ids=lambda path: path.parent.name)
def test_every_mesh_has_a_change_to_try(folder: Path) -> None:
    """The change is one object of the given name that denies the source's calls to the target and no others."""
    [change] = load(folder / "change.yaml")
    assert change["metadata"] == {"name": "change-1", "namespace": "lab"}
    spec = change["spec"]
    if change["kind"] == "AuthorizationPolicy":
        assert spec["action"] == "DENY"
        assert spec["selector"] == {"matchLabels": {"app": "frontend"}}
        assert spec["rules"] == [{"from": [{"source": {"principals": ["cluster.local/ns/lab/sa/intruder"]}}]}]
    elif change["kind"] == "CiliumNetworkPolicy":
        assert spec["endpointSelector"] == {"matchLabels": {"app": "frontend"}}
        [denied] = spec["ingressDeny"]
        assert denied == {"fromEndpoints": [{"matchLabels": {"io.cilium.k8s.policy.serviceaccount": "intruder"}}]}
    elif change["kind"] == "HTTPRoute":
        mesh = load_mesh(folder.parent.name)
        assert [parent["name"] for parent in spec["parentRefs"]] == ["frontend"]
        [match] = spec["rules"][0]["matches"]
        assert match["headers"] == [{"name": mesh.identity.header, "value": mesh.identity.of("lab", "intruder")}]
        assert "change-1" not in str(load(*folder.glob("*.yaml"))).replace(str(change), "")  # no authorization names it
    else:
        assert spec["podSelector"] == {"matchLabels": {"app": "frontend"}}
        [peer] = spec["ingress"][0]["from"]
        assert peer["podSelector"]["matchExpressions"] == [{"key": "app", "operator": "NotIn", "values": ["intruder"]}]


def test_no_service_is_retried_by_the_mesh() -> None:
    """Each service has a route without retries: a retry would hide a failure from the caller that measures it."""
    routes = [
        item
        for item in load(*(MANIFESTS / "istio-sidecar" / "policy").glob("t*.yaml"))
        if item["kind"] == "VirtualService"
    ]
    assert {route["metadata"]["name"] for route in routes} == {*INTENT, "new-pod-address"}
    assert all(http["retries"] == {"attempts": 0} for route in routes for http in route["spec"]["http"])


def test_a_tenth_goes_to_the_release_on_trial() -> None:
    """Payment's route splits 90 to 10 over the two versions that its pods carry."""
    items = load(MANIFESTS / "istio-sidecar" / "policy" / "traffic.yaml")
    [route] = [item for item in items if item["kind"] == "VirtualService" and item["metadata"]["name"] == "payment"]
    weights = {leg["destination"]["subset"]: leg["weight"] for leg in route["spec"]["http"][0]["route"]}
    assert weights == {"v1": 90, "v2": 10}


def fresh_targets(items: list[Item]) -> set[str]:
    """Return the services to which the policies of one mesh make a connection for each call."""
    found = set()
    for item in items:
        if item["kind"] == "DestinationRule":
            pool = item["spec"].get("trafficPolicy", {}).get("connectionPool", {}).get("http", {})
            if pool.get("maxRequestsPerConnection") == 1:
                found.add(item["spec"]["host"].removesuffix(".lab.svc.cluster.local"))
    return found


@pytest.mark.parametrize("folder", POLICIES, ids=lambda path: path.parent.name)
def test_every_mesh_makes_a_connection_per_call_where_drills_ask_for_handshakes(folder: Path) -> None:
    """Each mesh makes one connection per call on the fresh edges only, or has a reason why it need not.

    A new mesh whose setting is not known here fails: `reached(handshake)` would believe what its policies do not say.
    """
    wanted = set() if folder.parent.name in FRESH_WITHOUT_POLICY else {target for _, target in EACH_CALL_CONNECTS}
    assert fresh_targets(load(*(path for path in folder.glob("*.yaml") if path.name != "change.yaml"))) == wanted


def test_a_rule_that_reuses_connections_is_not_fresh() -> None:
    """A rule without a pool, and one that allows several calls per connection, make no fresh edge."""
    rule: Item = {"kind": "DestinationRule", "spec": {"host": "fraud.lab.svc.cluster.local"}}
    reused = {"connectionPool": {"http": {"maxRequestsPerConnection": 2}}}
    assert fresh_targets([rule, {**rule, "spec": {**rule["spec"], "trafficPolicy": reused}}]) == set()


def test_observers_without_identity_reach_probes_and_metrics_only() -> None:
    """Where a policy asks for no identity, it opens the probed path of each routed Server, or the proxies' own port."""
    items = load(*(MANIFESTS / "linkerd" / "policy").glob("[!c]*.yaml"))
    named = {(item["kind"], item["metadata"]["name"]): item["spec"] for item in items}
    opened = [
        (spec["targetRef"]["kind"], spec["targetRef"]["name"])
        for (kind, _), spec in named.items()
        if kind == "AuthorizationPolicy" and spec["requiredAuthenticationRefs"][0]["kind"] == "NetworkAuthentication"
    ]
    assert sorted(opened) == [("HTTPRoute", "probes"), ("Server", "proxy-admin")]
    assert named["Server", "proxy-admin"]["port"] == "linkerd-admin"
    probes = named["HTTPRoute", "probes"]
    assert probes["rules"] == [{"matches": [{"path": {"type": "Exact", "value": "/healthz"}, "method": "GET"}]}]
    routed = {
        spec["parentRefs"][0]["name"]
        for (kind, name), spec in named.items()
        if (kind, spec.get("parentRefs", [{}])[0].get("kind")) == ("HTTPRoute", "Server") and name != "probes"
    }
    assert {parent["name"] for parent in probes["parentRefs"]} == routed == set(INTENT) - {"fraud"}


def test_a_tenth_goes_to_the_trial_by_backends_too() -> None:
    """The HTTPRoute of Service payment splits 90 to 10 over two Services, each with the pods of one version."""
    items = load(MANIFESTS / "linkerd" / "policy" / "traffic.yaml")
    [route] = [item["spec"] for item in items if item["kind"] == "HTTPRoute"]
    assert (route["parentRefs"][0]["kind"], route["parentRefs"][0]["name"]) == ("Service", "payment")
    selectors = {item["metadata"]["name"]: item["spec"]["selector"] for item in items if item["kind"] == "Service"}
    legs = {selectors[leg["name"]]["version"]: leg["weight"] for leg in route["rules"][0]["backendRefs"]}
    assert legs == {"v1": 90, "v2": 10}
    assert {selector["app"] for selector in selectors.values()} == {"payment"}


def test_each_call_of_a_fresh_edge_has_a_connection_of_its_own() -> None:
    """Where the mesh would share connections, the called Service's port is opaque and no appProtocol overrules that."""
    [service] = [item for item in load(PROGRAMS / "fraud.yaml") if item["kind"] == "Service"]
    [port] = service["spec"]["ports"]
    assert service["metadata"]["annotations"] == {"config.linkerd.io/opaque-ports": str(port["port"])}
    assert "appProtocol" not in port
    [server] = [
        item
        for item in load(MANIFESTS / "linkerd" / "policy" / "authorization.yaml")
        if (item["kind"], item["metadata"]["name"]) == ("Server", "fraud")
    ]
    assert "proxyProtocol" not in server["spec"]
    assert load_mesh("linkerd").identity.edges_without_identity == EACH_CALL_CONNECTS
