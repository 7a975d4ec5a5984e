"""The audit: one instant of one edge, each part of the answer from the record or said to be absent from it."""

import json
from pathlib import Path

import msgspec
import pytest

from clusters.runtime import InconclusiveError, UsageError
from drills.cli import audit as cli_audit
from drills.cli import exits
from drills.cli.app import status
from drills.judge import checks
from drills.judge.claims import judge, reached, stored
from drills.judge.events import DropCount, PodListed, WireReady
from drills.judge.history import write_history
from drills.judge.records import NS_PER_S
from drills.report import evidence
from drills.report.audit.objects import NOT_RECORDED
from drills.report.audit.text import moment, render
from drills.selftest.doubles.audit_bundles import CALLER, EDGE, T_S, asked, looked, present, shown, story
from drills.selftest.doubles.statements import ENVIRONMENT
from drills.selftest.doubles.story import START_NS, Story, identity, xfcc


def test_a_call_that_both_ends_saw_was_allowed() -> None:
    """Every call around the instant succeeded and was served; five next to it show it."""
    found = asked(story())
    assert found.allowed.answer == "allowed"
    assert "of 100 calls within 2.5 s 100 succeeded, and servers recorded 100" in found.allowed.says
    assert found.is_answered
    assert (len(found.calls), {call.served_by for call in found.calls}) == (5, {"ledger-1"})
    assert max(abs(call.after_s) for call in found.calls) <= 0.2
    assert found.during == ("fault", "run")


def test_a_call_that_nobody_served_was_refused_when_others_were_served() -> None:
    """The judge's own measure of a refusal holds around the instant, and the errors are listed."""
    found = asked(story(), "intruder")
    assert found.allowed.answer == "refused"
    assert "100 ended with connect-reset; ledger served others meanwhile" in found.allowed.says
    assert {call.served_by for call in found.calls} == {""}


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (Story().fault().calls(*EDGE, ok=80, fail=20), "some succeeded and some did not"),
        (Story().fault().calls(*EDGE, fail=80), "served no other caller"),
        (Story().fault().calls(*EDGE, fail=80, served=True), "some succeeded and some did not"),
    ],
    ids=["changing", "perhaps down", "served and lost"],
)
def test_what_the_calls_do_not_decide_is_not_certain(recorded: Story, reason: str) -> None:
    """Calls that disagree, a target that may have been down, an answer that was lost: none is a yes or a no."""
    found = asked(recorded)
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
    caller = (Path(__file__).parents[3] / "manifests" / "lab" / "caller.py").read_text()
    assert caller.count("HTTP/1.1") == caller.count("POST / HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("recorded", "answer"),
    [
        (story(), "not readable on the wire"),
        (story().fault().hit(*EDGE, at_s=10), "readable on the wire"),
        (story().without(WireReady), NOT_RECORDED),
        (story().hit(*EDGE, at_s=1), "not readable on the wire"),
    ],
    ids=["unseen", "seen", "blind", "seen long before"],
)
def test_encrypted_is_what_observers_that_see_did_not_see(recorded: Story, answer: str) -> None:
    """A canary in the clear around the instant is proof; none is an answer of observers that were proven to see."""
    assert asked(recorded).encrypted.answer == answer


def test_identity_is_what_the_server_saw() -> None:
    """Each served call showed the source's identity, and the certificate that the header names is that of its pod."""
    named = f"{xfcc('payment')};Hash={CALLER}"
    recorded = (
        Story().fault().calls(*EDGE, ok=200, peer=named).event(PodListed, "payment-1", service="payment", labels=[])
    )
    found = asked(shown(recorded, 1, CALLER, pod="payment-1")).identity
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
    recorded = Story().fault().calls(source, "ledger", ok=200, peer=peer)
    assert asked(recorded, source).identity.answer == answer


def test_identity_of_a_call_that_nobody_served_is_not_recorded() -> None:
    """Where no server saw the call, no server saw its peer."""
    assert asked(story(), "intruder").identity.answer == NOT_RECORDED


def test_the_text_says_every_part() -> None:
    """Each part has its line, each thing that is not recorded says so, and no rule is said to have decided."""
    recorded = shown(looked(present(story(), "rule", "ledger", at_s=1), 18, 23), 15)
    text = render(asked(recorded, route="/"))
    for words in (
        "payment -> ledger on route / at 2023-11-14T22:13:40.000Z, +20.000 s (fault)",
        "allowed      allowed: of 100 calls",
        "encrypted    not readable on the wire: ",
        f"identity     {identity('payment')} shown: ",
        "certificate  recorded: ",
        "chain not recorded: only the leaf",
        "policy       recorded: last observed: Rule 2.0 s before",
        "their rules are not evaluated here",
        "decided      not recorded: the run read no record of the mesh",
        "Rule lab/rule, resource version 7",
        '{"app":"ledger"}',
        "calls        5 nearest to the instant",
        "served by ledger-1 with 200",
    ):
        assert words in text
    nothing = render(asked(Story().steady(EDGE), "outsider", at_s=99))
    parts = ("allowed", "encrypted", "identity", "certificate", "policy", "decided", "calls")
    assert all(f"{part:<12} not recorded" in nothing for part in parts)
    assert "outside its windows" in nothing
    assert "  none" in render(asked(looked(story(), 18, 23)))


def test_what_decided_is_in_the_words_of_the_mesh() -> None:
    """Its own record of refusals around the instant, per node; those of another edge or another time are none of it."""

    def refused(recorded: Story, edge: str, at_s: float, node: str = "n1") -> Story:
        first_ns = START_NS + round(at_s * NS_PER_S)
        span = {"first_ns": first_ns, "last_ns": first_ns + NS_PER_S}
        return recorded.event(DropCount, edge, at_s=at_s, node=node, reason="denied by: lab/rule", count=6, **span)

    recorded = refused(refused(story(), "intruder->ledger", T_S - 3), "intruder->ledger", T_S, "n2")
    for edge, at_s in (("intruder->ledger", 5.0), ("payment->ledger", 5.0), ("intruder->frontend", T_S)):
        refused(recorded, edge, at_s)
    found = asked(recorded, "intruder").decided
    assert (found.answer, found.says.count("refused 6 with 'denied by: lab/rule'")) == ("recorded", 2)
    allowed = asked(recorded).decided
    assert allowed.answer == NOT_RECORDED
    assert "the mesh's own record has no refusal of it" in allowed.says


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
    with pytest.raises(UsageError, match=r"is no instant|has no time zone"):
        cli_audit.instant_ns(text, START_NS)


def written(folder: Path, recorded: Story) -> Path:
    """Write the bundle of a story, with its statement."""
    claims = {"calls-made": reached(checks.attempted(EDGE))}
    facts = msgspec.structs.replace(recorded.facts(), claims=stored(claims))
    write_history(folder, recorded.table(), recorded.all_events(), facts)
    verdict = judge(recorded.history(), claims)
    (folder / "verdict.json").write_bytes(verdict.encode())
    evidence.write(folder, verdict, ENVIRONMENT)
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
