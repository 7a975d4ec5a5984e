"""The mutation matrix: good claims notice what their hypothesis covers, and weak ones are listed."""

from dataclasses import replace
from functools import cache
from itertools import chain, repeat

import msgspec
import polars as pl
import pytest

from clusters.model import BYSTANDER, VICTIM, SignalKind, SignalSpec
from drills.judge import checks
from drills.judge.claims import Claim, always, eventually, never, reached, sometimes
from drills.judge.events import (
    CertificateShown,
    CertificateText,
    DropCount,
    DropLogRead,
    EventCount,
    FaultAccount,
    MembershipSeen,
    MetricSample,
    NewPod,
    NodeTaints,
    ObjectStatus,
    ProgramStarted,
    ReplicaCount,
    ServerEnd,
    ServerRejoined,
)
from drills.judge.history import History
from drills.judge.measure import Measurement, Occurrence, Truth
from drills.judge.mutations import catalogue
from drills.judge.mutations.catalogue import RECORD, WORLD, covered_by
from drills.judge.mutations.matrix import Matrix, matrix
from drills.judge.mutations.target import Target, table, whole
from drills.judge.verdict import PASSING, Outcome
from drills.report import mutations
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import NODES, Story, identity

EDGE, LEGIT = ("checkout", "payment"), ("payment", "ledger")
DENIED, SENTINEL = ("intruder", "ledger"), ("intruder", "frontend")
BRAIN = "system/Deployment/brain"
SIGNALS = (
    SignalSpec("down", SignalKind.CONDITION, BRAIN),
    SignalSpec("rises", SignalKind.METRIC_INCREASES, "failures"),
    SignalSpec("falls", SignalKind.METRIC_BELOW, "days_left", threshold=10),
    SignalSpec("words", SignalKind.ADMISSION, "no such webhook"),
    SignalSpec("warns", SignalKind.POD_EVENT, "FailedCreatePodSandBox"),
    SignalSpec("taints", SignalKind.NODE_TAINT, "agent-not-ready"),
    SignalSpec("loses", SignalKind.DROP, "unauthenticated"),
    SignalSpec("states", SignalKind.STATUS, "example.org/v1 Rule lab/door Enforced=False"),
    SignalSpec("says", SignalKind.EVENT, "system/Skipped"),
)
PODS = ("payment-1", "ledger-1", "frontend-1")


def rich() -> Story:
    """Tell of a run in which everything that a check can ask about happened, as it should."""
    story = Story(
        signals=SIGNALS, fresh_edges=(EDGE,), placed={VICTIM: "n1", BYSTANDER: "n2"}, drop_nodes=NODES
    ).watched()
    story.steady(EDGE, per_s=50).steady(LEGIT, ("checkout", "frontend")).refused(DENIED)
    for go_on, is_down in ((story.baseline, False), (story.fault, True), (story.recovery, False)):
        go_on().calls(*SENTINEL, ok=60, over=(0, 1)).calls(*SENTINEL, fail=60, over=(1, 9), error="http-403")
        story.calls(*SENTINEL, ok=60, over=(9, story.length_s())).change(*SENTINEL, "accepted", held_s=8)
        for place, node in story.placed.items():
            pod = f"new-pod-{place}-{story.at(0)}"
            how = {"name": pod, "placed": place, "node": node, "blocked": ""}
            story.unplanned(pod).new_pod("admitted", meshed=True, started=True, at_s=0.5, **how)
            story.calls("new-pod", "frontend", pod=pod, ok=20, over=(1, 4))
        for pod in PODS:
            story.event(MembershipSeen, pod, at_s=0.5, expected=True, meshed=True)
            validity = {"not_before_ns": story.at(-60), "not_after_ns": story.at(5)}
            story.event(CertificateShown, pod, at_s=0.5, fingerprint="ab", **validity)
        for second in range(round(story.length_s())):
            for node in NODES[:2]:
                story.event(
                    DropCount, f"{DENIED[0]}->{DENIED[1]}", at_s=second + 0.9, node=node, reason="denied", count=9
                )
            story.event(
                NodeTaints, "n1", at_s=second, taints=["agent-not-ready"] * int(is_down and second > 1), error=""
            )
            stated = ["Valid=True", "Enforced=False"] if is_down and second > 1 else ["Valid=True"]
            story.event(
                ObjectStatus, "example.org/v1 Rule lab/door", at_s=second, conditions=stated, message="", error=""
            )
            story.event(EventCount, "system/Skipped", at_s=second, count=3)
            story.event(ReplicaCount, BRAIN, at_s=second, ready=int(not is_down or second < 2), desired=1)
            story.event(MetricSample, "payment-1", at_s=second, pod="payment-1", metric="failures", value=3.0)
            story.event(MetricSample, "payment-1", at_s=second, pod="payment-1", metric="days_left", value=90.0)
    unmeshed = "new-pod-unmeshed"
    story.baseline().unplanned(unmeshed)
    story.new_pod("admitted", name=unmeshed, meshed=False, started=True, found=True, at_s=0.5)
    story.calls("new-pod", "frontend", pod=unmeshed, fail=20, over=(1, 4))
    story.calls("checkout", "new-pod", server=unmeshed, ok=20, over=(1, 4))
    story.event(CertificateText, "ab", signer="key").fault().event(FaultAccount, "rotate", at_s=0.1, signer="key")
    for node in NODES:
        story.event(DropLogRead, node, node=node, error="")
    return story


def poor() -> Story:
    """Tell of a run in which pods and changes were refused in the words of a signal."""
    story = Story(signals=SIGNALS, placed={VICTIM: "n1"}).steady(EDGE)
    story.fault().new_pod("refused", message="no such webhook", at_s=1)
    story.new_pod("admitted", started=False, at_s=1, placed=VICTIM, blocked="FailedCreatePodSandBox: no answer")
    return story.change(*SENTINEL, "refused", message="no such webhook", at_s=2)


GOOD = {
    "traffic": (
        always(checks.attempts_per_request(EDGE, LEGIT)),
        always(checks.availability(EDGE, LEGIT, max_outage_s=1)),
        always(checks.blast_radius(EDGE, LEGIT, within=("checkout",))),
        always(checks.conservation(LEGIT), must_hold=True),
        always(checks.calls_fast(EDGE)),
        always(checks.split_ratio(EDGE, version="v1", weight=1)),
        always(checks.success_rate(EDGE, LEGIT, at_least=0.99)),
        eventually(checks.availability(EDGE, max_outage_s=1), within_s=10),
        eventually(checks.success_rate(EDGE, at_least=0.99), within_s=10),
    ),
    "door": (
        always(checks.certificate_validity()),
        always(checks.change_enforced(within_s=4)),
        always(checks.denied(DENIED), must_hold=True),
        always(checks.drops_witnessed(DENIED)),
        always(checks.drops_witnessed(DENIED, on=VICTIM, reasons=("denied",), max_gap_s=3)),
        eventually(checks.certificate_validity(), within_s=0.4),
        eventually(checks.change_enforced(within_s=4), within_s=0.9),
        eventually(checks.denied(DENIED), within_s=10),
        eventually(checks.drops_witnessed(DENIED, on=BYSTANDER, reasons=("denied",)), within_s=10),
        never(checks.change_ignored(within_s=4), must_hold=True),
        never(checks.plaintext(EDGE, LEGIT), must_hold=True),
        never(checks.unauthenticated(EDGE), must_hold=True),
        reached(checks.attempted(EDGE, DENIED)),
        reached(checks.change_tried()),
        reached(checks.handshake(EDGE)),
        reached(checks.leaf_ended()),
        sometimes(checks.issuer_taken_up(within_s=5)),
    ),
    "cluster": (
        always(checks.drift_found(), "baseline"),
        always(checks.mesh_membership(), must_hold=True),
        always(checks.mesh_membership(by_call=True), must_hold=True),
        always(checks.new_pod_meshed()),
        always(checks.new_pod_meshed(by_call=True)),
        always(checks.unmeshed_pods_refused(), "baseline", must_hold=True),
        always(checks.new_pod_meshed(on=VICTIM)),
        always(checks.signal_absent("falls")),
        always(checks.signal_absent("warns")),
        eventually(checks.mesh_membership(), within_s=0.4),
        eventually(checks.mesh_membership(by_call=True), within_s=0.4),
        eventually(checks.new_pod_meshed(), within_s=0.4),
        eventually(checks.new_pod_meshed(by_call=True), within_s=0.4),
        eventually(checks.new_pod_meshed(on=BYSTANDER), within_s=0.4),
        never(checks.outside_mesh(), must_hold=True),
        never(checks.plaintext_to_unmeshed_pods(), "baseline", must_hold=True),
        never(checks.outside_mesh(on=BYSTANDER), must_hold=True),
        never(checks.signal_seen("rises")),
        reached(checks.new_pod_tried()),
        reached(checks.new_pod_tried(on=VICTIM)),
        reached(checks.outside_mesh(), "baseline"),
        sometimes(checks.signal_seen("down")),
        sometimes(checks.signal_seen("states")),
    ),
}
"""Claims of the rich story by what they ask about: each trial asks all of a family, so families are tried apart."""
REFUSED = (
    always(checks.new_pod_meshed(), alert=("words", "warns"), within_s=5),
    always(checks.new_pod_meshed(on=VICTIM), alert="warns", within_s=5),
    always(checks.change_enforced(within_s=4), alert="words", within_s=5),
)


def mutated(history: History, claims: tuple[Claim, ...]) -> Matrix:
    """Return the matrix of a history and its claims."""
    return matrix(history, lambda changed: judge(changed, claims))


@cache
def rich_run() -> History:
    """Return the history of the rich story: nothing ever changes one."""
    return rich().history()


@pytest.mark.parametrize("claims", GOOD.values(), ids=GOOD)
def test_good_claims_notice_every_mutation_that_they_cover(claims: tuple[Claim, ...]) -> None:
    """Each check, under each quantifier that suits it, passes of a good run and notices all that its table lists."""
    good = mutated(rich_run(), claims)
    assert [good.claims[number - 1] for number in range(1, len(claims) + 1) if number not in good.passing] == []
    assert [(trial.mutation, [good.claims[n - 1] for n in trial.missed]) for trial in good.survivors] == []
    assert good.unguarded == ()


def test_every_mutation_is_covered_by_some_good_claim() -> None:
    """No mutation of the world is there for nothing."""
    claims = [claim for family in GOOD.values() for claim in family]
    covered = {mutation.name for finding in judge(rich_run(), claims).findings for mutation in covered_by(finding)}
    assert covered == set(WORLD)


def test_every_check_has_mutations() -> None:
    """A check that no mutation tries is not proven to detect anything."""
    known = {check for table in catalogue._BY_QUANTIFIER.values() for check in table}
    assert known == set(checks.__all__)


def test_refusals_in_the_words_of_a_signal_depend_on_that_signal() -> None:
    """A failure that a signal excused is no longer excused when the signal is hidden."""
    found = mutated(poor().history(), REFUSED)
    assert found.survivors == ()
    assert [t.must for t in found.trials if t.mutation == "hide-signals"] == [(1, 2, 3)]


@pytest.mark.parametrize("name", WORLD)
def test_a_mutated_world_leaves_a_whole_record(name: str) -> None:
    """What is changed is the world and not the record: only a claim can notice, not the completeness of the record."""
    history = rich_run()
    windows = history.windows()
    edges = (DENIED,) if name in {"serve-refused", "let-one-in", "let-last-in"} or name.endswith("-drops") else (EDGE,)
    when = "baseline" if name == "overlook-unmeshed" or name.endswith("-unmeshed-pod") else "fault"
    target = Target(edges, windows[when], {})
    after = WORLD[name].apply(history, target)
    assert after.completeness() == ()
    assert (after.events, after.calls.collect().rows()) != (history.events, history.calls.collect().rows())


@pytest.mark.parametrize("name", RECORD)
def test_a_harmed_record_is_named(name: str) -> None:
    """Each harm to the record is found, whatever the claims ask."""
    history = rich_run()
    assert RECORD[name].apply(history, Target((), history.windows()["run"], {})).completeness()


def test_a_record_without_failures_loses_a_row_all_the_same() -> None:
    """Losing every failure of a run that had none is losing one call."""
    history = Story().steady(EDGE).history()
    after = RECORD["lose-failures"].apply(history, Target((), history.windows()["run"], {}))
    assert {defect.kind for defect in after.completeness()} == {"hole", "server-hole"}


@pytest.mark.parametrize(("kind", "subject"), [("metric-increases", "failures"), ("metric-below", "days_left")])
def test_raised_metrics_fire(kind: str, subject: str) -> None:
    """A metric that was still is seen to fire, whichever way it must move; a blind one cannot be read."""
    (name,) = [signal.name for signal in SIGNALS if (signal.kind, signal.subject) == (kind, subject)]
    history = rich_run()
    target = Target((), history.windows()["fault"], {})
    claim = sometimes(checks.signal_seen(name))

    def after(mutation: str) -> Outcome:
        return judge(WORLD[mutation].apply(history, target), [claim]).findings[0].outcome

    assert judge(history, [claim]).findings[0].outcome is Outcome.VIOLATED
    assert (after("raise-signals"), after("blind-signals")) == (Outcome.HELD, Outcome.INCONCLUSIVE)
    assert after("hide-signals") is Outcome.VIOLATED


@pytest.mark.parametrize("name", ["words", "warns"])
def test_raised_refusals_and_warnings_fire(name: str) -> None:
    """A new pod and a change are refused in the words of the signal, and a new pod is warned of in them."""
    history = rich_run()
    after = WORLD["raise-signals"].apply(history, Target((), history.windows()["fault"], {}))
    assert judge(after, [sometimes(checks.signal_seen(name))]).findings[0].outcome is Outcome.HELD


def test_a_weak_claim_is_a_survivor() -> None:
    """A claim that never sees anything lets every mutation live; text and page name it."""
    blind = replace(checks.plaintext(EDGE), evaluate=lambda _history, _window: Measurement(Truth.FALSE))
    found = mutated(rich_run(), (never(blind), never(checks.unauthenticated(EDGE))))
    assert [trial.mutation for trial in found.survivors] == ["readable-call", "blind-observers", "drop-calls"]
    text, page = mutations.as_text(found), mutations.as_page([("a/b/c", found)])
    assert "SURVIVED  readable-call        fault, checkout->payment, noticed by none" in text
    assert (
        "| readable-call | one call is readable on the wire | fault, checkout->payment | 1 | none | SURVIVED |" in page
    )


def test_a_claim_without_mutations_is_told() -> None:
    """A passing claim that nothing tries is named, not passed over."""
    never_so = Occurrence("unheard", "nothing happens", lambda _history, _window: Measurement(Truth.FALSE))
    found = mutated(Story().steady(EDGE).history(), (never(never_so),))
    assert found.unguarded == (1,)
    assert "No mutation is known for claims 1." in mutations.as_text(found)


def test_a_run_that_did_not_pass_is_not_mutated() -> None:
    """Where no claim passed none can notice, and the summary says so."""
    found = mutated(Story().history(), (always(checks.success_rate(EDGE, at_least=0.9)),))
    assert (found.passing, found.trials) == ((), ())
    assert "no claim passed" in mutations.as_page([("a/b/c", found)])


def test_a_page_of_nothing_says_so() -> None:
    """Without a bundle the page has its head and no table."""
    assert "No run yet" in mutations.as_page([])


def test_the_matrix_is_the_same_each_time() -> None:
    """Two matrices of one history are equal, so the page changes only when something did."""
    assert mutated(poor().history(), REFUSED) == mutated(poor().history(), REFUSED)


def test_swapped_peers_show_an_identity_of_somebody_else() -> None:
    """The identity that is shown is a real one of this mesh, and not the caller's own."""
    history: History = rich_run()
    after = WORLD["swap-peer"].apply(history, Target((EDGE,), history.windows()["fault"], {}))
    peers = set(after.calls.collect()["peer"]) - set(history.calls.collect()["peer"])
    assert peers == {f"URI={identity('bank-adapter')}"}
    assert judge(after, [never(checks.unauthenticated(EDGE))]).findings[0].outcome not in PASSING


def test_harm_to_a_witness_strikes_one_that_no_fault_ends() -> None:
    """What befalls a server that the fault was to end is explained, and would harm nothing."""
    history, staying = rich_run(), "ledger-1"
    gone = tuple(pod for pod in history.facts.servers if pod != staying)
    ending = replace(history, facts=msgspec.structs.replace(history.facts, lost_pods=gone))
    target = Target((), history.windows()["run"], {})
    assert staying in {
        event.subject for event in RECORD["restart-a-witness"].apply(ending, target).of_kind(ProgramStarted)
    }
    after = RECORD["lose-one-serving"].apply(ending, target)
    lost = WORLD["lose-posting"].apply(ending, Target((EDGE, LEGIT), history.windows()["run"], {}))
    of_gone = pl.col("served_pod").is_in(gone)
    kept, *left = (it.calls.filter(of_gone).collect().height for it in (history, after, lost))
    assert left == [kept, kept] != [0, 0]


def test_a_claim_about_the_run_is_tried_in_each_phase() -> None:
    """What happens in one phase must not hide in the other two; where there is nothing to change, none is tried."""
    asked = (
        never(checks.plaintext(EDGE), "run", must_hold=True),
        always(checks.denied(DENIED), "run", must_hold=True),
        never(checks.outside_mesh(), "run", must_hold=True),
    )
    history = rich_run()
    events = (it for it in history.events if not isinstance(it, NewPod) or history.phase_at(it.at_ns) != "baseline")
    found = mutated(replace(history, events=tuple(events)), asked)
    assert (found.passing, found.survivors) == ((1, 2, 3), ())
    tried = {(trial.mutation, trial.during) for trial in found.trials}
    for name in ("readable-call", "let-one-in", "serve-refused"):
        assert {(name, phase) for phase in ("baseline", "fault", "recovery")} <= tried
    assert {("drop-calls", "run"), ("admit-unmeshed", "fault"), ("admit-unmeshed", "recovery")} <= tried
    assert ("admit-unmeshed", "baseline") not in tried


def test_a_record_that_begins_anew_is_rebuilt_as_it_was() -> None:
    """A pod that the fault ended counts what it served from its last start on."""
    story = Story().steady(EDGE)
    for kind in (ProgramStarted, ServerRejoined):
        story.recovery().event(kind, "payment-1", at_s=0.5, pod="payment-1", node="n1")
    recorded = story.history()
    facts = msgspec.structs.replace(recorded.facts, lost_pods=("payment-1",))
    ended = History(recorded.calls, recorded.events, facts)
    rebuilt = whole(ended, table(ended))
    served = {it.subject: it.detail.served for it in rebuilt.of_kind(ServerEnd)}
    since_ns = story.at(0.5)
    after = recorded.calls.filter(pl.col("served_pod") == "payment-1", pl.col("served_ns") >= since_ns).collect()
    assert served["payment-1"] == after.height > 0


def test_what_a_rebuilt_history_breaks_is_no_proof() -> None:
    """A reboot ends a server's record and begins it anew: rebuilt without a change, each claim passes as before."""
    found = mutated(rich_run(), GOOD["traffic"])
    assert (found.artefacts, found.is_proof) == ((), True)
    holds, fails = (always(checks.split_ratio(EDGE, version="v1", weight=weight)) for weight in (1, 0.1))
    asked = chain([holds], repeat(fails))  # as if rebuilding the history made the claim fail
    blind = matrix(rich_run(), lambda history: judge(history, (next(asked),)))
    assert (blind.artefacts, blind.is_proof) == ((1,), False)
