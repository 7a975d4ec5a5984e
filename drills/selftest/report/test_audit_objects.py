"""What stood at one instant: policy objects and certificates, from the looks before and after it."""

import base64
import hashlib
import json

import pytest

from drills.judge.events import CertificateShown, CertificateText, PolicyListing
from drills.judge.records import NS_PER_S
from drills.report.audit.answer import Audit
from drills.report.audit.objects import NOT_RECORDED, RECORDED
from drills.report.audit.text import render
from drills.selftest.doubles.audit_bundles import (
    CALLER,
    CHAIN,
    EDGE,
    FINGERPRINT,
    HOUR_NS,
    asked,
    looked,
    present,
    rule,
    shown,
    story,
)
from drills.selftest.doubles.certificates import IDENTITY, SINCE, der, issued, leaf
from drills.selftest.doubles.story import START_NS, Story


def test_policy_objects_are_those_that_stood_then() -> None:
    """The version of the instant, of objects that select the target; what came and went before is not among them."""
    recorded = present(present(story(), "other", "fraud", at_s=1), "rule", "ledger", at_s=1)
    recorded = present(recorded, "rule", "ledger", at_s=8, verb="changed", version="8")
    recorded = present(present(recorded, "brief", "ledger", at_s=2), "brief", "ledger", at_s=9, verb="gone")
    found = asked(looked(recorded, 1, 18, 23)).policies
    (one,) = found.objects
    assert (found.answer, one.name, one.resource_version, one.since_s) == (RECORDED, "Rule lab/rule", "8", -12.0)
    assert one.sha256 == hashlib.sha256(rule("ledger").encode()).hexdigest()
    assert one.manifest == json.loads(rule("ledger"))
    assert found.says == "last observed: Rule 2.0 s before"
    assert found.doubts == ()


def test_a_change_that_was_seen_later_may_have_been_there_already() -> None:
    """Between two looks an object may have come or gone unseen: said, not decided. After the next look it may not."""
    recorded = present(looked(story(), 18, 23), "rule", "ledger", at_s=1)
    present(recorded, "rule", "ledger", at_s=23.1, verb="gone")
    present(recorded, "new", "ledger", at_s=23.1)
    present(recorded, "other", "fraud", at_s=23.1)
    present(recorded, "after", "ledger", at_s=23.2)
    present(recorded, "never-there", "ledger", at_s=23.1, verb="gone")
    found = asked(recorded).policies
    assert [one.name for one in found.objects] == ["Rule lab/rule"]
    assert found.doubts == (
        "Rule lab/rule was seen gone 3.1 s later, and may have been so before",
        "Rule lab/new was seen present 3.1 s later, and may have been so before",
    )


def test_policies_without_a_look_afterwards_are_doubted() -> None:
    """An object may be gone when no later probe saw it."""
    recorded = present(looked(story(), 18), "rule", "ledger", at_s=1)
    present(recorded, "late", "ledger", at_s=40)
    doubts = asked(recorded).policies.doubts
    assert doubts[0] == "Rule: not observed after the instant"
    assert doubts[1].startswith("Rule lab/late was seen present 20.0 s later")


def test_a_kind_that_was_not_looked_at_yet_is_named() -> None:
    """Other kinds are listed all the same."""
    recorded = looked(present(story(), "rule", "ledger", at_s=1), 1, 23)
    recorded.event(PolicyListing, "Other", at_s=2, answered_ns=START_NS + 30 * NS_PER_S, error="")
    found = asked(recorded).policies
    assert (found.answer, found.doubts[0]) == (RECORDED, "Other: not observed before the instant")


@pytest.mark.parametrize(
    "recorded",
    [
        story(),
        looked(story(), 23),
        looked(story(), 18, error="dead"),
        looked(Story().steady(EDGE), 18),
    ],
    ids=["no look", "only later", "only failed", "no pod known"],
)
def test_policies_that_nobody_looked_at_are_not_recorded(recorded: Story) -> None:
    """Without a good look before the instant, or without the target's labels, there is no list to show."""
    found = asked(recorded).policies
    assert (found.answer, found.objects) == (NOT_RECORDED, ())


def test_the_certificate_is_the_one_that_was_shown_before_and_after() -> None:
    """Fingerprint, names, validity at the instant and chain, with the looks around it and none further away."""
    recorded = story()
    recorded.event(
        CertificateText, FINGERPRINT, san=["spiffe://x"], issuer="O=i", serial="ff", chain=CHAIN, is_whole=True
    )
    for at_s in (5, 15, 25, 35):
        shown(recorded, at_s)
    found = asked(recorded).certificates
    (one,) = found.shown
    assert (found.answer, one.pod, one.seen_s, one.is_valid) == (RECORDED, "ledger-1", (-5.0, 5.0), True)
    assert (one.fingerprint, one.san, one.issuer, one.serial) == (FINGERPRINT, ("spiffe://x",), "O=i", "ff")
    assert one.chain_sha256 == tuple(hashlib.sha256(part).hexdigest() for part in (b"leaf", b"root"))
    assert one.is_whole_chain
    assert found.doubts == ()


def chained(*chain: bytes, is_whole: bool = True) -> Audit:
    """Return the audit of a run in which ledger presented a chain, leaf first."""
    recorded = shown(story(), 15)
    text = [base64.b64encode(part).decode() for part in chain]
    return asked(recorded.event(CertificateText, FINGERPRINT, chain=text, is_whole=is_whole))


def test_a_chain_says_who_issued_whom() -> None:
    """Above the leaf each certificate has its names, serial and life, and whether it signed the one below."""
    below, above, _ = issued()
    found = chained(der(below), der(above))
    (issuer,) = found.certificates.shown[0].above
    assert (issuer.subject, issuer.issuer, issuer.serial) == ("CN=the issuer", "CN=the issuer", "fff")
    assert (issuer.san, issuer.has_signed, issuer.is_valid) == ((), True, False)
    assert issuer.not_before_ns == round(SINCE.timestamp()) * NS_PER_S
    assert issuer.sha256 == hashlib.sha256(der(above)).hexdigest()
    text = render(found)
    assert "chain 1: CN=the issuer, serial fff, issued by CN=the issuer" in text
    assert f"SHA-256 {issuer.sha256}, signed the one below" in text
    assert "valid 2026-01-02T03:04:05.000Z to 2026-01-03T03:04:05.000Z, NOT VALID at the instant" in text


def test_an_issuer_that_did_not_sign_is_told() -> None:
    """A chain is recorded as it was presented: that its parts belong together is not taken for granted."""
    below, (_, stranger, _) = issued()[0], issued("spiffe://other")
    found = chained(der(below), der(stranger), der(leaf()[0]))
    assert [it.has_signed for it in found.certificates.shown[0].above] == [False, False]
    assert found.certificates.shown[0].above[1].san == (IDENTITY,)
    assert f"chain 2: O=meshdrill test ({IDENTITY})" in render(found)
    assert render(found).count("DID NOT sign the one below") == 2


def test_what_cannot_be_read_of_a_chain_is_not_made_up() -> None:
    """An issuer in no known form, one above it, a leaf that came alone, and a Python that tells only the leaf."""
    below, above, _ = issued()
    found = chained(der(below), b"nonsense", der(above))
    broken, top = found.certificates.shown[0].above
    assert (broken.subject, broken.has_signed, top.has_signed) == ("", None, None)
    assert f"chain 1: SHA-256 {hashlib.sha256(b'nonsense').hexdigest()}, cannot be read: ValueError" in render(found)
    assert "whether it signed is not known" in render(found)
    assert "chain: only the leaf was presented" in render(chained(der(below)))
    assert "chain not recorded: only the leaf" in render(chained(der(below), is_whole=False))


def test_a_certificate_that_was_renewed_meanwhile_is_two() -> None:
    """Which of the two was shown at the instant is not recorded."""
    found = asked(shown(shown(story(), 15), 25, CALLER)).certificates
    assert [one.fingerprint for one in found.shown] == [FINGERPRINT, CALLER]
    assert "renewed between the two observations" in found.doubts[0]


def test_a_certificate_that_had_run_out_is_told() -> None:
    """Shown is not valid."""
    past = {"not_before_ns": START_NS - HOUR_NS, "not_after_ns": START_NS + 18 * NS_PER_S}
    recorded = story().event(CertificateShown, "ledger-1", at_s=15, fingerprint=FINGERPRINT, error="", **past)
    (one,) = asked(recorded).certificates.shown
    assert not one.is_valid
    assert "NOT VALID at the instant" in render(asked(recorded))


@pytest.mark.parametrize(
    ("recorded", "says"),
    [
        (story(), "the run observed no certificate"),
        (story().event(CertificateShown, "ledger-1", at_s=15, error="no handshake"), "ledger-1: no handshake"),
        (shown(story(), 15, pod="other-1"), "ledger-1: not observed"),
    ],
)
def test_certificates_that_nobody_saw_are_not_recorded(recorded: Story, says: str) -> None:
    """No look at all, looks that failed and looks at other pods give different answers."""
    found = asked(recorded).certificates
    assert (found.answer, found.says) == (NOT_RECORDED, says)


def test_of_a_refused_call_the_pods_that_it_was_meant_for_are_looked_at() -> None:
    """It was not served, so the target's pods are those that the run recorded."""
    assert [one.pod for one in asked(shown(story(), 15), "intruder").certificates.shown] == ["ledger-1"]
