"""Upgrades bundles of older formats to this version's. Calls and events have the same format in all of them.

Format 1, the first edition, stored no claims: a finding had a sentence, and judging ran the drill's code again. Claims
and their ids follow from the findings, except which alerts excused a claim and within what time: those were in the
drills' code, and a table below holds them.

Formats 1 and 2 gave a claim without a promise the answer NOT_PROMISED, with what was measured beside it. Format 3 gives
it that outcome; the promise stands beside it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, cast

FIRST: Final = 1
"""The first edition; its run.json has no format number."""
SECOND: Final = 2
"""The first format with claims."""
FORMAT: Final = 3
"""The format that this version writes."""

Json = dict[str, object]

_EVENTUALLY, _REACHED = "eventually", "reached"
_CLOSED = "intruder->frontend"

_IDS: Final[Mapping[str, tuple[str, str]]] = {
    "attempted": ("calls-made", "calls-made"),
    "handshake": ("handshakes-made", "handshakes-made"),
    "new_pod_tried": ("new-pods-tried", "new-pods-tried"),
    "change_tried": ("policy-changes-tried", "policy-changes-tried"),
    "addressed": ("new-service-resolved", "new-service-resolved"),
    "outside_mesh": ("no-new-pod-outside-mesh", "no-new-pod-outside-mesh"),
    "leaf_ended": ("certificates-expired", "certificates-expired"),
    "plaintext": ("no-plaintext", "no-plaintext"),
    "plaintext_tried": ("no-plaintext-attempts", "no-plaintext-attempts"),
    "denied": ("denied-stay-denied", "denied-again"),
    "unauthenticated": ("peers-authenticated", "peers-authenticated"),
    "mesh_membership": ("membership-unchanged", "membership-restored"),
    "change_ignored": ("no-policy-change-ignored", "no-policy-change-ignored"),
    "success_rate": ("routes-keep-working", "routes-recover"),
    "new_pod_meshed": ("new-pods-join", "new-pods-join-again"),
    "change_enforced": ("policy-changes-enforced", "policy-changes-enforced-again"),
    "attempts_per_request": ("no-request-served-twice", "no-request-served-twice"),
    "conservation": ("postings-served-once", "postings-served-once"),
    "split_ratio": ("canary-weight-kept", "canary-weight-kept"),
    "certificate_validity": ("certificates-valid", "certificates-renewed"),
    "issuer_taken_up": ("new-issuer-used", "new-issuer-used"),
    "drops_witnessed": ("refusals-recorded", "refusals-recorded-again"),
    "blast_radius": ("loss-stays-on-node", "loss-stays-on-node"),
    "drift_found": ("pods-outside-mesh-found", "pods-outside-mesh-found"),
}
"""Check -> the id of a claim about it, and the id of an `eventually` claim about it."""

_ONE_EDGE: Final[Mapping[tuple[str, str], str]] = {
    ("attempted", "outsider->ledger"): "probe-calls-made",
    ("denied", _CLOSED): "closed-route-refused",
    ("denied", "outsider->frontend"): "unmeshed-caller-denied",
}
"""(check, its only edge) -> the id of the claim about that edge."""

_LISTS = frozenset({"within", "reasons"})
"""Parameters of checks that are lists of names."""

_REJECTED = ("issuer-refused", "issuer-invalid", "injection-refused", "new-pod-blocked")
_NODE_AGENT = ("authentication-lost", "node-agent-down")
_CNI = ("authentication-lost", "cni-down")
_UNBOUND = "l7-proxy-unbound"
_LOST = ("node-not-ready", "node-unreachable")
_CONTROL_PLANE = ("control-plane-outage", "control-plane-hang", "control-plane-partition")
_INJECTION = ("injection-outage", "injection-hang", "injection-wrong-ca")

_ALERTS: Final[Mapping[tuple[str, str], tuple[tuple[str, ...], float]]] = {
    **{(drill, "new-pods-join"): (("injection-refused",), 5) for drill in _CONTROL_PLANE},
    **{(drill, "policy-changes-enforced"): (("policy-refused",), 5) for drill in _CONTROL_PLANE},
    **{(drill, "new-pods-join"): (("injection-refused",), 12) for drill in _INJECTION},
    ("identity-outage", "new-pods-join"): (("identity-down", "injection-refused"), 20),
    ("identity-outage-beyond-life", "routes-keep-working"): (("identity-down",), 20),
    ("enforcer-restart-without-policy", "routes-keep-working"): (("control-plane-down",), 20),
    ("node-agent-rolling-restart", "routes-keep-working"): (("authentication-lost",), 10),
    ("node-reboot", "loss-stays-on-node"): (_LOST, 60),
    ("node-reboot", "new-pods-join-on-bystander"): (
        ("injection-refused", "control-plane-down", "identity-down", *_LOST),
        60,
    ),
    **{
        (drill, claim): (alerts, 10)
        for drill, alerts in (
            ("node-agent-outage", _NODE_AGENT),
            ("node-agent-crash", _NODE_AGENT),
            ("cni-outage", _CNI),
        )
        for claim in ("routes-keep-working", "loss-stays-on-node")
    },
    **{
        (drill, "refusals-recorded-on-victim"): (alerts[1:], 15)
        for drill, alerts in (
            ("node-agent-outage", _NODE_AGENT),
            ("node-agent-crash", _NODE_AGENT),
            ("cni-outage", _CNI),
        )
    },
    **{
        (drill, "new-pods-join-on-victim"): (("new-pod-blocked",), 80)
        for drill in ("node-agent-outage", "node-agent-crash", "cni-outage", "cni-without-api")
    },
    **{(drill, "new-pods-join"): (_REJECTED, 30) for drill in ("issuer-wrong-anchor", "issuer-expired")},
    ("request-rule", "closed-route-refused"): (("rule-unenforced",), 0),
    **{(f"l7-proxy-{how}", "closed-route-refused"): ((_UNBOUND,), 0) for how in ("missing", "unready", "deleted")},
    ("l7-proxy-unready", "allowed-caller-served"): ((_UNBOUND, "workload-unready"), 0),
    ("l7-proxy-deleted", "allowed-caller-served"): ((_UNBOUND,), 0),
}
"""(drill, claim) -> the alerts that excused it, and within how many seconds; for `eventually` its own bound counts."""

# "kill" is left out: the first edition's graceful deletion of pods. No stored run has it, and today it means SIGKILL.
_FAULTS: Final[Mapping[str, str]] = {
    "stop": "scale-to-zero",
    "crash": "kill",
    "hang": "pause",
    "keep-off": "keep-off-node",
    "stop-apiserver": "stop-api-server",
    "cut-api": "block-api",
    "remove": "delete-workload",
    "break-webhook": "replace-webhook-ca",
    "unlabel": "remove-enrolment",
    "restart-without": "restart-enforcer-without",
    "declare": "apply-objects",
    "withdraw": "apply-then-delete",
}
_ROLLBACKS: Final[Mapping[str, str]] = {
    "put everything back": "roll back",
    "put_back": "roll_back",
    "await last words": "await end lines",
    "await_last_words": "await_end_lines",
}
_FAULT_FIELDS: Final[Mapping[str, str]] = {"declared": "name"}
_ISSUERS: Final[Mapping[str, str]] = {"stranger": "untrusted"}

_ONLY_RECORDED = frozenset({"issuer-wrong-anchor", "issuer-expired"})
"""Drills whose claims name only those alerts of the table that the run recorded."""


def format_of(run: Json) -> int:
    """Return the format of a run.json: FIRST where it has none, 0 where it is not a number."""
    found = run.get("format", FIRST)
    return found if isinstance(found, int) else 0


def upgrade_run(run: Json, verdict: Json) -> Json:
    """Return a run.json of an older format with its claims, and with known issues by claim id."""
    if format_of(run) >= SECOND:
        return {**run, "format": FORMAT}
    facts = _object(run["facts"])
    drill, recorded = str(facts["drill"]), frozenset(_object(facts.get("signals", {})))
    findings = [_object(it) for it in cast("list[object]", verdict.get("findings", []))]
    claims = [_claim(it, drill, recorded) for it in findings]
    by_sentence = {str(it["claim"]): claim_id(it) for it in findings}
    known = [
        {"claim": by_sentence[str(it["claim"])], "issue": it["issue"]}
        for it in map(_object, cast("list[object]", facts.get("deviates", [])))
        if str(it["claim"]) in by_sentence
    ]
    kept = {name: value for name, value in facts.items() if name not in {"sources", "deviates"}}
    return {**run, "format": FORMAT, "facts": {**kept, "claims": claims, "known_issues": known}}


def upgrade_verdict(verdict: Json, run: Json) -> Json:
    """Return a verdict.json of an older format with ids, alerts, and the outcome of every claim."""
    facts = _object(run["facts"])
    drill, recorded = str(facts["drill"]), frozenset(_object(facts.get("signals", {})))
    findings = [_object(it) for it in cast("list[object]", verdict.get("findings", []))]
    if format_of(run) < SECOND:
        findings = [{**it, **_identity(it, drill, recorded)} for it in findings]
    return {
        **{name: value for name, value in verdict.items() if name != "verdict"},
        # A first reading: the reader of verdicts computes both from the findings.
        "outcome": verdict["verdict"],
        "promised": verdict["verdict"],
        "findings": [_with_outcome(it) for it in findings],
    }


def _with_outcome(finding: Json) -> Json:
    """Return a finding with its outcome; INCONCLUSIVE where NOT_PROMISED has nothing measured beside it."""
    kept = {name: value for name, value in finding.items() if name not in {"verdict", "measured", "source"}}
    answer = finding["verdict"]
    outcome = finding.get("measured", "INCONCLUSIVE") if answer == "NOT_PROMISED" else answer
    reason = str(finding["reason"]).removeprefix(f"not promised by the mesh; measured: {outcome}").removeprefix(", ")
    return {**kept, "outcome": outcome, "reason": reason, "promise": finding["source"]}


def upgrade_experiment(experiment: Json, claims: object) -> Json:
    """Return an experiment.json of the first edition with the claims of its run, and its fault in today's terms.

    claims: as the facts of the upgraded run.json store them. In the first edition every fault was one flat struct.
    """
    made: dict[str, Any] = deepcopy(dict(experiment))
    for request in _requests(made):
        request["claims"] = claims
        fault = request["fault"]
        before = _title(fault)
        fault["kind"] = _FAULTS.get(fault["kind"], fault["kind"])
        for old, new in _FAULT_FIELDS.items():
            if old in fault:
                fault[new] = fault.pop(old)
        if "issuer" in fault:
            fault["issuer"] = _ISSUERS.get(fault["issuer"], fault["issuer"])
        names = {before: _title(fault), f"undo {before}": f"undo {_title(fault)}"}
        steps = made.get("method")
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, dict) and step.get("name") in names:
                step["name"] = names[step["name"]]
    return made


def rename_rollbacks(experiment: Json) -> Json:
    """Return an experiment.json with today's names of its rollbacks, which meshdrill 0.1 and first runs of 0.2 lack."""
    steps = experiment.get("rollbacks")
    return {**experiment, "rollbacks": [_renamed(it) for it in steps]} if isinstance(steps, list) else experiment


def _renamed(part: object) -> object:
    if isinstance(part, dict):
        return {key: _renamed(value) for key, value in part.items()}
    return _ROLLBACKS.get(part, part) if isinstance(part, str) else part


def claim_id(finding: Json) -> str:
    """Return the claim id of a finding of the first edition."""
    phase, is_eventual = finding["during"], finding["quantifier"] == _EVENTUALLY
    base = _special(finding) or _IDS[str(finding["check"])][is_eventual] + _place(finding)
    if is_eventual:
        return f"{base}-in-fault" if phase == "fault" else base
    return f"{base}-in-{phase}" if phase in {"baseline", "recovery"} else base


def _special(finding: Json) -> str:
    """Return the id of a claim that does not follow from check and quantifier alone, "" for any other."""
    check, edges = finding["check"], tuple(cast("list[str]", finding["edges"]))
    params, is_reached = _object(finding["params"]), finding["quantifier"] == _REACHED
    match check, edges:
        case "attempted" | "denied", (edge,) if (check, edge) in _ONE_EDGE:
            name = _ONE_EDGE[str(check), edge]
        case "success_rate", (_,):
            name = "allowed-caller-served"
        case "success_rate", (first, _) if first == _CLOSED:
            name = "front-door-reopens" if finding["quantifier"] == _EVENTUALLY else "front-door-open"
        case "outside_mesh", _ if is_reached:
            name = "new-pods-outside-mesh-seen"
        case "change_enforced", _ if params["connection"] == "reused":
            name = "policy-changes-end-connections"
        case "signal_seen", _:
            name = f"{params['name']}-{'seen' if is_reached else 'alerts'}"
        case _:
            name = ""
    return name


def _place(finding: Json) -> str:
    on = _object(finding["params"]).get("on")
    return f"-on-{on}" if on else ""


def _listed(name: str, value: object) -> object:
    """Return a parameter as a claim stores it: a list of names is one string in a finding."""
    if name not in _LISTS:
        return value
    return str(value).split(", ") if value else []


def _claim(finding: Json, drill: str, recorded: frozenset[str]) -> Json:
    """Return the claim of a finding, as RunFacts stores it."""
    identity = _identity(finding, drill, recorded)
    is_eventual = finding["quantifier"] == _EVENTUALLY
    seen_s = 0.0 if identity["id"] == "membership-restored" else 1.0
    return {
        **identity,
        "quantifier": finding["quantifier"],
        "check": {
            "name": finding["check"],
            "edges": [str(edge).split("->") for edge in cast("list[str]", finding["edges"])],
            "params": {name: _listed(name, value) for name, value in _object(finding["params"]).items()},
        },
        "during": finding["during"],
        "hold_s": seen_s if is_eventual else 0.0,
        "must_hold": finding["must_hold"],
        "fails_on_control": finding["fails_on_control"],
        "promise": finding["source"],
    }


def _identity(finding: Json, drill: str, recorded: frozenset[str]) -> Json:
    name = claim_id(finding)
    alerts, within_s = _ALERTS.get((drill, name), ((), 0.0))
    kept = [it for it in alerts if it in recorded] if drill in _ONLY_RECORDED else list(alerts)
    bound_s = _bound_s(finding) if finding["quantifier"] == _EVENTUALLY else float(within_s)
    return {"id": name, "alerts": kept, "within_s": bound_s}


def _bound_s(finding: Json) -> float:
    """Return the bound of `eventually`, which only the sentence has: "... within 40 s: ..."."""
    return float(str(finding["claim"]).partition(" within ")[2].partition(" s:")[0])


def _object(value: object) -> Json:
    return cast("Json", value)


def _requests(experiment: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each request with a fault in the experiment; meshdrill writes at most one."""
    extensions = experiment.get("extensions")
    named = [it for it in extensions if isinstance(it, dict)] if isinstance(extensions, list) else []
    found = [it.get("request") for it in named if it.get("name") == "meshdrill"]
    requests = [it for it in found if isinstance(it, dict) and isinstance(it.get("fault"), dict)]
    return [it for it in requests if isinstance(it["fault"].get("kind"), str)]


def _title(fault: Mapping[str, Any]) -> str:
    role, node = fault.get("role"), fault.get("node")
    variant = fault.get("issuer") or fault.get("declared") or fault.get("name")
    words = (fault["kind"], role, variant, f"on {node}" if role and node else node)
    return " ".join(str(word) for word in words if word)
