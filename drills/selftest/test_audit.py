"""The audit: one instant of one edge, each part of the answer from the record or said to be absent from it."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from clusters.errors import InconclusiveError, UsageError
from drills import cli_audit, exits
from drills.cli import status
from drills.judge.history import History, write_history
from drills.report import audit, evidence
from drills.report.audit import Audit, Question
from drills.report.audit_objects import NOT_RECORDED, RECORDED, Pod
from drills.report.audit_text import moment, render
from drills.report.bundles import Run
from drills.selftest.stated import HELD, STOOD_ON
from drills.selftest.story import NS_PER_S, START_NS, Story, identity, xfcc

EDGE = ("payment", "ledger")
T_S = 20.0
HOUR_NS = 3600 * NS_PER_S
LABELS = ["app=ledger", "version=v1"]
FINGERPRINT = hashlib.sha256(b"leaf").hexdigest()
CALLER = hashlib.sha256(b"caller").hexdigest()
CHAIN = [base64.b64encode(part).decode() for part in (b"leaf", b"root")]


def story() -> Story:
    """Tell of calls that are served, of one that never is, and of observers that see."""
    told = Story().watched().steady(EDGE).refused(("intruder", "ledger"))
    return told.event("pod", "ledger-1", at_s=0, service="ledger", namespace="lab", service_account="l", labels=LABELS)


def rule(app: str) -> str:
    """Return the manifest of a policy object that selects an app."""
    return json.dumps({"kind": "Rule", "spec": {"app": app}})


def present(told: Story, name: str, app: str, *, at_s: float, verb: str = "present", version: str = "7") -> Story:
    """Tell of one version of a policy object."""
    more = {} if verb == "gone" else {"resource_version": version, "manifest": rule(app)}
    return told.event("policy", f"Rule lab/{name}", at_s=at_s, verb=verb, api_version="v1", **more)


def looked(told: Story, *offsets_s: float, error: str = "") -> Story:
    """Tell of looks at the policy objects, each answered a tenth of a second later."""
    for offset_s in offsets_s:
        answered_ns = START_NS + round((offset_s + 0.1) * NS_PER_S)
        told.event("policy.look", "Rule", at_s=offset_s, answered_ns=answered_ns, error=error)
    return told


def shown(told: Story, at_s: float, fingerprint: str = FINGERPRINT, *, pod: str = "ledger-1") -> Story:
    """Tell that a pod showed a certificate, valid for an hour around the start."""
    validity = {"not_before_ns": START_NS - HOUR_NS, "not_after_ns": START_NS + HOUR_NS}
    return told.event("certificate", pod, at_s=at_s, fingerprint=fingerprint, error="", **validity)


def is_about(policy: object, pod: Pod) -> bool:
    """Tell whether a rule of this test selects the pod."""
    assert isinstance(policy, dict)
    return bool(policy["spec"]["app"] == pod.labels["app"])


def run_of(told: Story | History) -> Run:
    """Return the run of a story."""
    history = told if isinstance(told, History) else told.history()
    return Run(Path("bundle"), HELD, STOOD_ON, history, "ab" * 32, "unsigned")


def asked(told: Story, source: str = "payment", target: str = "ledger", *, at_s: float = T_S, route: str = "") -> Audit:
    """Ask of an instant, in seconds after the start."""
    return audit.ask(run_of(told), Question(START_NS + round(at_s * NS_PER_S), source, target, route), is_about)


def test_a_call_that_both_ends_saw_was_allowed() -> None:
    """Every call around the instant succeeded and was served; five next to it show it."""
    found = asked(story())
    assert found.allowed.answer == "allowed"
    assert "of 100 calls within 2.5 s 100 succeeded, and servers wrote down 100" in found.allowed.says
    assert found.is_answered
    assert (len(found.calls), {call.served_by for call in found.calls}) == (5, {"ledger-1"})
    assert max(abs(call.after_s) for call in found.calls) <= 0.2
    assert found.during == ("fault", "run")


def test_a_call_that_nobody_served_was_refused_when_others_were_served() -> None:
    """The judge's own measure of a refusal holds around the instant, and the errors are told."""
    found = asked(story(), "intruder")
    assert found.allowed.answer == "refused"
    assert "100 ended with connect-reset; ledger served others meanwhile" in found.allowed.says
    assert {call.served_by for call in found.calls} == {""}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Story().fault().calls(*EDGE, ok=80, fail=20), "some succeeded and some did not"),
        (Story().fault().calls(*EDGE, fail=80), "served nobody else"),
        (Story().fault().calls(*EDGE, fail=80, served=True), "some succeeded and some did not"),
    ],
    ids=["changing", "perhaps down", "served and lost"],
)
def test_what_the_calls_do_not_decide_is_not_certain(told: Story, reason: str) -> None:
    """Calls that disagree, a target that may have been down, an answer that was lost: none is a yes or a no."""
    found = asked(told)
    assert (found.allowed.answer, found.is_answered) == ("not certain", False)
    assert reason in found.allowed.says


@pytest.mark.parametrize(
    ("source", "at_s", "route"), [("ledger", T_S, ""), ("payment", 99.0, ""), ("payment", T_S, "/refunds")]
)
def test_what_was_not_called_is_not_recorded(source: str, at_s: float, route: str) -> None:
    """Another edge, an instant outside of the run and a route that the lab never calls have no answer."""
    found = asked(story(), source, at_s=at_s, route=route)
    assert (found.allowed.answer, found.is_answered) == (NOT_RECORDED, False)


def test_the_route_of_the_lab_is_the_one_that_its_callers_ask_for() -> None:
    """`POST /` is what is recorded, and the caller of the lab sends nothing else."""
    assert asked(story(), route="/").is_answered
    caller = (Path(__file__).parents[2] / "manifests" / "lab" / "caller.py").read_text()
    assert caller.count("HTTP/1.1") == caller.count("POST / HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        (story(), "not readable on the wire"),
        (story().fault().hit(*EDGE, at_s=10), "readable on the wire"),
        (story().without("wire.ready"), NOT_RECORDED),
        (story().hit(*EDGE, at_s=1), "not readable on the wire"),
    ],
    ids=["unseen", "seen", "blind", "seen long before"],
)
def test_encrypted_is_what_observers_that_see_did_not_see(told: Story, answer: str) -> None:
    """A canary in the clear around the instant is proof; none is an answer of observers that were proven to see."""
    assert asked(told).encrypted.answer == answer


def test_identity_is_what_the_server_saw() -> None:
    """Each served call showed the source's identity, and the certificate that the header names is that of its pod."""
    named = f"{xfcc('payment')};Hash={CALLER}"
    told = Story().fault().calls(*EDGE, ok=200, peer=named).event("pod", "payment-1", service="payment", labels=[])
    found = asked(shown(told, 1, CALLER, pod="payment-1")).identity
    assert (found.answer, found.expected) == ("shown", identity("payment"))
    assert [(peer.header, peer.certificate_of) for peer in found.peers] == [(named, ("payment-1",))]


@pytest.mark.parametrize(
    ("peer", "source", "answer"),
    [
        ("", "payment", "not shown, or another"),
        (xfcc("fraud"), "payment", "not shown, or another"),
        ("", "outsider", NOT_RECORDED),
        (xfcc("stranger"), "stranger", NOT_RECORDED),
    ],
)
def test_identity_that_was_not_shown_is_not_made_up(peer: str, source: str, answer: str) -> None:
    """No header, a wrong one, and a source to which the mesh gives no identity."""
    told = Story().fault().calls(source, "ledger", ok=200, peer=peer)
    assert asked(told, source).identity.answer == answer


def test_identity_of_a_call_that_nobody_served_is_not_recorded() -> None:
    """Where no server saw the call, no server saw its peer."""
    assert asked(story(), "intruder").identity.answer == NOT_RECORDED


def test_policy_objects_are_those_that_stood_then() -> None:
    """The version of the instant, of objects that select the target; what came and went before is not among them."""
    told = present(present(story(), "other", "fraud", at_s=1), "rule", "ledger", at_s=1)
    told = present(told, "rule", "ledger", at_s=8, verb="changed", version="8")
    told = present(present(told, "brief", "ledger", at_s=2), "brief", "ledger", at_s=9, verb="gone")
    found = asked(looked(told, 1, 18, 23)).policies
    (one,) = found.objects
    assert (found.answer, one.name, one.resource_version, one.since_s) == (RECORDED, "Rule lab/rule", "8", -12.0)
    assert one.sha256 == hashlib.sha256(rule("ledger").encode()).hexdigest()
    assert one.manifest == json.loads(rule("ledger"))
    assert found.says == "last looked at: Rule 2.0 s before"
    assert found.doubts == ()


def test_a_change_that_was_seen_later_may_have_been_there_already() -> None:
    """Between two looks an object may have come or gone unseen: said, not decided. After the next look it may not."""
    told = present(looked(story(), 18, 23), "rule", "ledger", at_s=1)
    present(told, "rule", "ledger", at_s=23.1, verb="gone")
    present(told, "new", "ledger", at_s=23.1)
    present(told, "other", "fraud", at_s=23.1)
    present(told, "after", "ledger", at_s=23.2)
    present(told, "never-there", "ledger", at_s=23.1, verb="gone")
    found = asked(told).policies
    assert [one.name for one in found.objects] == ["Rule lab/rule"]
    assert found.doubts == (
        "Rule lab/rule was seen gone 3.1 s later, and may have been so already",
        "Rule lab/new was seen present 3.1 s later, and may have been so already",
    )


def test_policies_without_a_look_afterwards_are_doubted() -> None:
    """Nobody can say that an object was still there when nobody looked again."""
    told = present(looked(story(), 18), "rule", "ledger", at_s=1)
    present(told, "late", "ledger", at_s=40)
    doubts = asked(told).policies.doubts
    assert doubts[0] == "Rule: nobody looked again afterwards"
    assert doubts[1].startswith("Rule lab/late was seen present 20.0 s later")


def test_a_kind_that_was_not_looked_at_yet_is_named() -> None:
    """Other kinds are told all the same."""
    told = looked(present(story(), "rule", "ledger", at_s=1), 1, 23)
    told.event("policy.look", "Other", at_s=2, answered_ns=START_NS + 30 * NS_PER_S, error="")
    found = asked(told).policies
    assert (found.answer, found.doubts[0]) == (RECORDED, "Other: nobody had looked by then")


@pytest.mark.parametrize(
    "told",
    [
        story(),
        looked(story(), 23),
        looked(story(), 18, error="dead"),
        looked(Story().steady(EDGE), 18),
    ],
    ids=["no look", "only later", "only failed", "no pod known"],
)
def test_policies_that_nobody_looked_at_are_not_recorded(told: Story) -> None:
    """Without a good look before the instant, or without the target's labels, there is no list to show."""
    found = asked(told).policies
    assert (found.answer, found.objects) == (NOT_RECORDED, ())


def test_the_certificate_is_the_one_that_was_shown_before_and_after() -> None:
    """Fingerprint, names, validity at the instant and chain, with the looks around it and none further away."""
    told = story()
    told.event(
        "certificate.text", FINGERPRINT, san=["spiffe://x"], issuer="O=i", serial="ff", chain=CHAIN, is_whole=True
    )
    for at_s in (5, 15, 25, 35):
        shown(told, at_s)
    found = asked(told).certificates
    (one,) = found.shown
    assert (found.answer, one.pod, one.seen_s, one.is_valid) == (RECORDED, "ledger-1", (-5.0, 5.0), True)
    assert (one.fingerprint, one.san, one.issuer, one.serial) == (FINGERPRINT, ("spiffe://x",), "O=i", "ff")
    assert one.chain_sha256 == tuple(hashlib.sha256(part).hexdigest() for part in (b"leaf", b"root"))
    assert one.is_whole_chain
    assert found.doubts == ()


def test_a_certificate_that_was_renewed_meanwhile_is_two() -> None:
    """Which of the two was shown at the instant, nobody saw."""
    found = asked(shown(shown(story(), 15), 25, CALLER)).certificates
    assert [one.fingerprint for one in found.shown] == [FINGERPRINT, CALLER]
    assert "renewed between the two looks" in found.doubts[0]


def test_a_certificate_that_had_run_out_is_told() -> None:
    """Shown is not valid."""
    past = {"not_before_ns": START_NS - HOUR_NS, "not_after_ns": START_NS + 18 * NS_PER_S}
    told = story().event("certificate", "ledger-1", at_s=15, fingerprint=FINGERPRINT, error="", **past)
    (one,) = asked(told).certificates.shown
    assert not one.is_valid
    assert "NOT VALID at the instant" in render(asked(told))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (story(), "the run looked at no certificate"),
        (story().event("certificate", "ledger-1", at_s=15, error="no handshake"), "ledger-1: no handshake"),
        (shown(story(), 15, pod="other-1"), "ledger-1: nobody looked"),
    ],
)
def test_certificates_that_nobody_saw_are_not_recorded(told: Story, says: str) -> None:
    """No look at all, looks that failed and looks at other pods are told apart."""
    found = asked(told).certificates
    assert (found.answer, found.says) == (NOT_RECORDED, says)


def test_of_a_refused_call_the_pods_that_it_was_meant_for_are_looked_at() -> None:
    """Nobody served it, so the target's pods are those that the run recorded."""
    assert [one.pod for one in asked(shown(story(), 15), "intruder").certificates.shown] == ["ledger-1"]


def test_the_text_says_every_part() -> None:
    """Each part has its line, each thing that is not recorded says so, and no rule is said to have decided."""
    told = shown(looked(present(story(), "rule", "ledger", at_s=1), 18, 23), 15)
    text = render(asked(told, route="/"))
    for words in (
        "payment -> ledger on route / at 2023-11-14T22:13:40.000Z, +20.000 s (fault)",
        "allowed      allowed: of 100 calls",
        "encrypted    not readable on the wire: ",
        f"identity     {identity('payment')} shown: ",
        "certificate  recorded: ",
        "above the leaf: not recorded",
        "policy       recorded: last looked at: Rule 2.0 s before",
        "what their rules decide is not evaluated here",
        "Rule lab/rule, resource version 7",
        '{"app":"ledger"}',
        "calls        5 next to the instant",
        "served by ledger-1 with 200",
    ):
        assert words in text
    nothing = render(asked(Story().steady(EDGE), "outsider", at_s=99))
    parts = ("allowed", "encrypted", "identity", "certificate", "policy", "calls")
    assert all(f"{part:<12} not recorded" in nothing for part in parts)
    assert "outside its windows" in nothing
    assert "  none" in render(asked(looked(story(), 18, 23)))


@pytest.mark.parametrize(
    ("text", "instant_ns"),
    [
        ("+42", START_NS + 42 * NS_PER_S),
        ("+0.5", START_NS + NS_PER_S // 2),
        ("-1", START_NS - NS_PER_S),
        ("2023-11-14T22:13:20Z", START_NS),
        ("2023-11-14T23:13:20.75+01:00", START_NS + 3 * NS_PER_S // 4),
    ],
)
def test_an_instant_is_told_by_clock_or_by_offset(text: str, instant_ns: int) -> None:
    """RFC 3339 with its zone, or seconds after the start."""
    assert cli_audit.instant_ns(text, START_NS) == instant_ns
    assert cli_audit.instant_ns(moment(instant_ns), 0) == instant_ns


@pytest.mark.parametrize("text", ["noon", "+", "+inf", "+nan", "2023-11-14T22:13:20", "42"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    """A time without a zone could be any of twenty-four."""
    with pytest.raises(UsageError, match=r"is no instant|says no time zone"):
        cli_audit.instant_ns(text, START_NS)


def written(folder: Path, told: Story) -> Path:
    """Write the bundle of a story, with its statement."""
    write_history(folder, told.table(), told.all_events(), told.facts())
    (folder / "verdict.json").write_bytes(HELD.encode())
    evidence.write(folder, HELD, STOOD_ON)
    return folder


def test_the_command_ends_with_what_the_bundle_can_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 when it is known what became of the call, 2 when it is not; JSON has the same answer."""
    bundle = str(written(tmp_path / "b", story()))
    words = ["audit", bundle, "--at", "+20", "--to", "ledger"]
    assert status([*words, "--from", "payment", "--json"]) == exits.PASSED
    assert json.loads(capsys.readouterr().out)["allowed"]["answer"] == "allowed"
    assert status([*words, "--from", "nobody"]) == exits.INCONCLUSIVE
    assert "allowed      not recorded" in capsys.readouterr().out
    assert status(["audit", bundle, "--at", "noon", "--from", "a", "--to", "b"]) == exits.USAGE


def test_a_bundle_that_is_not_as_stated_is_not_audited(tmp_path: Path) -> None:
    """Whoever changed an event could have changed the answer."""
    bundle = written(tmp_path / "b", story())
    with (bundle / "events.jsonl").open("ab") as sink:
        sink.write(b"\n")
    with pytest.raises(InconclusiveError, match="changed"):
        cli_audit.ask(bundle, at="+1", source="a", target="b", route="", as_json=False)
