"""Leaf certificates as workloads show them, with every answer that a check of them can give."""

from dataclasses import replace

import msgspec
import pytest

from clusters.meshes import load, names
from drills.judge import checks
from drills.judge.claims import always, reached, sometimes
from drills.judge.events import CertificateShown, CertificateText, FaultAccount, ServerEnd
from drills.judge.verdict import Outcome
from drills.run import catalogue
from drills.run.experiment import promised
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import START_NS, Story, answer, identity

EDGE = ("checkout", "payment")
CERTS = always(checks.certificate_validity(min_left_s=60), "baseline")
HOUR_NS = 3600 * 1_000_000_000


def certified(left_ns: int, *, since_ns: int = HOUR_NS) -> Story:
    """Tell of one look at the leaf certificate of payment."""
    now_ns = START_NS + 1_000_000_000
    return (
        Story()
        .steady(EDGE)
        .event(CertificateShown, "payment-1", not_before_ns=now_ns - since_ns, not_after_ns=now_ns + left_ns)
    )


def test_a_certificate_with_time_left_holds() -> None:
    """A leaf that is valid for an hour more is valid for a minute more."""
    assert answer(certified(HOUR_NS), CERTS).outcome is Outcome.HELD


def named(story: Story, *names: str) -> Story:
    """Add a look at the leaf certificate of payment, which has these names."""
    ends_ns = START_NS + HOUR_NS
    story.event(CertificateShown, "payment-1", fingerprint="f1", not_before_ns=START_NS, not_after_ns=ends_ns)
    return story.event(CertificateText, "f1", san=names)


def test_a_certificate_of_another_is_violated() -> None:
    """A leaf that names the identity of another service is no proof of its own; one that names both is."""
    own = named(Story().steady(EDGE), identity("payment"), "payment.lab")
    assert answer(own, CERTS).outcome is Outcome.HELD
    finding = answer(named(Story().steady(EDGE), identity("ledger")), CERTS)
    assert (finding.outcome, "shows another's identity" in finding.reason) == (Outcome.VIOLATED, True)


def test_the_address_of_an_ended_pod_may_be_another_s() -> None:
    """What answers at the address of a pod that the fault ended is not that pod's certificate."""
    history = named(Story().steady(EDGE).fault(), identity("ledger")).history()
    ended = replace(history, facts=msgspec.structs.replace(history.facts, lost_pods=("payment-1",)))
    window = history.windows()["fault"]
    assert CERTS.check.evaluate(history, window).truth == "false"
    assert CERTS.check.evaluate(ended, window).truth == "true"


@pytest.mark.parametrize("story", [certified(0), certified(HOUR_NS // 120), certified(HOUR_NS, since_ns=-HOUR_NS // 2)])
def test_a_certificate_out_of_its_time_is_violated(story: Story) -> None:
    """Expired, about to expire, or not valid yet."""
    assert answer(story, CERTS).outcome is Outcome.VIOLATED


def test_a_certificate_that_could_not_be_read_is_inconclusive() -> None:
    """A failed look says why, an untold one that it failed, and no look at all is no answer either."""
    blind = Story().steady(EDGE).event(CertificateShown, "payment-1", error="no answer")
    assert "no answer" in answer(blind, CERTS).reason
    assert "not known" in answer(Story().steady(EDGE).event(CertificateShown, "payment-1"), CERTS).reason
    assert answer(Story().steady(EDGE), CERTS).outcome is Outcome.INCONCLUSIVE


def test_a_look_that_failed_is_made_up_for_by_the_next() -> None:
    """One failed look among good ones is no gap; a pod that was never seen is one, however short the window."""
    known = certified(HOUR_NS).event(CertificateShown, "payment-1", at_s=5, error="no handshake within 3 s")
    assert answer(known, CERTS).outcome is Outcome.HELD
    unseen = certified(HOUR_NS).event(CertificateShown, "ledger-1", error="no handshake within 3 s")
    finding = answer(unseen, CERTS)
    assert (finding.outcome, "that of ledger-1 was not seen" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_certificates_that_are_seen_too_seldom_are_not_found_out() -> None:
    """Between two looks that lie far apart, a certificate may have run out and been renewed."""
    seldom = always(checks.certificate_validity(max_gap_s=5), "baseline")
    finding = answer(certified(HOUR_NS), seldom)
    assert (finding.outcome, "for 9.0 s" in finding.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_server_outside_the_mesh_has_no_certificate_to_show() -> None:
    """A service outside the mesh is not asked for one; a meshed one is, though its peers be shown no identity."""
    story = certified(HOUR_NS).steady(("checkout", "outsider"))
    assert answer(story, CERTS).outcome is Outcome.HELD
    story.steady(("checkout", "ledger"))
    unseen = story.history()
    nameless = msgspec.structs.replace(unseen.facts, identities=dict.fromkeys(unseen.facts.identities, ""))
    assert judge(replace(unseen, facts=nameless), [CERTS]).findings[0].outcome is Outcome.INCONCLUSIVE


def through(left_ns: int) -> Story:
    """Tell of a look at the leaf certificate of payment every ten seconds of the run."""
    story = Story().steady(EDGE)
    for second in range(0, 50, 10):
        at_ns = story.at(second)
        story.event(CertificateShown, "payment-1", at_s=second, not_before_ns=at_ns - 1, not_after_ns=at_ns + left_ns)
    return story


@pytest.mark.parametrize("name", names())
def test_what_a_drill_asks_of_certificates_counts_where_pods_show_them(name: str) -> None:
    """Valid, expired and unseen are three outcomes on every mesh; they count where the mesh promises certificates.

    An expired one is no hole in the defence, so that no control has to show one.
    """
    entry, mesh = catalogue.find("identity-outage"), load(name)
    claim = promised(entry.build(mesh).claims, mesh, entry.name)["certificates-valid"]
    found = [answer(story, claim) for story in (through(HOUR_NS), through(-1), Story().steady(EDGE))]
    answers = [Outcome.HELD, Outcome.VIOLATED, Outcome.INCONCLUSIVE]
    is_promised = mesh.certificates.handshake is not None
    assert [it.outcome for it in found] == answers
    assert [it.is_promised for it in found] == [is_promised] * 3
    assert not any(it.fails_on_control for it in found)


NEW, OLD, UNREAD = "aa", "bb", "cc"


def signed(*looks: tuple[float, str, str], signer: str = "key-2", over_s: float = 0) -> Story:
    """Tell of a fault that put in the issuer of a key, and of looks (second, pod, fingerprint) at certificates."""
    story = Story().steady(EDGE).fault()
    story.event(CertificateText, OLD, at_s=over_s, signer="key-1").event(CertificateText, NEW, signer="key-2")
    if signer:
        story.event(FaultAccount, "rotate", at_s=0.5, actor="replaced", signer=signer)
    for at_s, pod, fingerprint in looks:
        story.event(CertificateShown, pod, at_s=at_s, fingerprint=fingerprint, not_after_ns=story.at(90))
    return story.event(ServerEnd, "outsider-1", pod="outsider-1", service="outsider", served=0)


@pytest.mark.parametrize(
    ("story", "expected", "reason"),
    [
        (signed((1, "payment-1", OLD), (4, "payment-1", NEW)), Outcome.HELD, ""),
        (signed((4, "payment-1", NEW), (12, "payment-1", OLD)), Outcome.HELD, ""),
        (signed((4, "payment-1", NEW), (12, "outsider-1", OLD)), Outcome.HELD, ""),
        (signed((1, "payment-1", OLD), (11, "payment-1", OLD)), Outcome.VIOLATED, "another issuer: payment-1"),
        (signed((11, "payment-1", OLD), (14, "payment-1", NEW)), Outcome.VIOLATED, "another issuer: payment-1"),
        (signed((4, "payment-1", NEW), (12, "ledger-1", OLD)), Outcome.VIOLATED, "another issuer: ledger-1"),
        (signed((4, "payment-1", NEW), (4, "ledger-1", OLD)), Outcome.INCONCLUSIVE, "at the bound: ledger-1"),
        (signed((4, "payment-1", OLD), (14, "payment-1", NEW)), Outcome.INCONCLUSIVE, "at the bound: payment-1"),
        (signed((14, "payment-1", UNREAD)), Outcome.INCONCLUSIVE, "at the bound: payment-1"),
        (signed((4, "payment-1", NEW), signer=""), Outcome.INCONCLUSIVE, "names no issuer"),
        (signed(), Outcome.INCONCLUSIVE, "at the bound: payment-1"),
        (Story(), Outcome.INCONCLUSIVE, "names no issuer"),
    ],
)
def test_an_issuer_is_taken_up_when_every_pod_shows_its_signature(story: Story, expected: Outcome, reason: str) -> None:
    """By the bound each meshed pod showed it once; another's at the bound is too late, and no look is no answer."""
    finding = answer(story, sometimes(checks.issuer_taken_up(within_s=10)))
    assert (finding.outcome, reason in finding.reason) == (expected, True)


def test_how_long_the_slowest_pod_took_is_told() -> None:
    """The first look at the new signature counts, of the pod that showed it last."""
    story = signed((2, "payment-1", NEW), (8, "payment-1", NEW), (6, "ledger-1", NEW)).steady(("payment", "ledger"))
    (row,) = answer(story, sometimes(checks.issuer_taken_up(within_s=10))).rows
    assert row.numbers == {"pods": 2, "late": 0, "unseen": 0, "slowest_s": 6.0}


def test_nobody_in_the_mesh_shows_nothing() -> None:
    """A run whose servers are all outside of the mesh has no server to ask."""
    story = Story().fault().event(FaultAccount, "rotate", at_s=0.5, signer="key-2")
    assert answer(story, sometimes(checks.issuer_taken_up(within_s=10))).reason.endswith("at the bound: any pod")


@pytest.mark.parametrize(
    ("looks", "expected", "reason"),
    [
        ([(1, "payment-1", 5)], Outcome.HELD, ""),
        ([(1, "payment-1", 5), (3, "payment-1", 5), (2, "ledger-1", 4)], Outcome.HELD, ""),
        (
            [(1, "payment-1", 5), (3, "payment-1", 600)],
            Outcome.INCONCLUSIVE,
            "not expired at the end: payment-1",
        ),
        ([(1, "payment-1", 5), (1, "ledger-1", 600)], Outcome.INCONCLUSIVE, "not expired at the end: ledger-1"),
        ([(1, "payment-1", None)], Outcome.INCONCLUSIVE, "no leaf certificate was seen"),
        ([(600, "payment-1", 5)], Outcome.INCONCLUSIVE, "no leaf certificate was seen"),
    ],
)
def test_leaves_ended_when_no_pod_has_a_newer_one(
    looks: list[tuple[float, str, float | None]], expected: Outcome, reason: str
) -> None:
    """Every pod's newest certificate is over before the window is; one that was renewed in time was not outlived."""
    story = Story().steady(EDGE).fault()
    for at_s, pod, ends_s in looks:
        ends = {} if ends_s is None else {"not_after_ns": story.at(ends_s)}
        story.event(CertificateShown, pod, at_s=at_s, **ends)
    finding = answer(story, reached(checks.leaf_ended()))
    assert finding.outcome is expected
    assert reason in finding.reason
