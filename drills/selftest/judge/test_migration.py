"""Bundles of the first format: read as this version writes them, migrated on demand, never guessed at."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from clusters.model import KnownIssue, Reference
from drills.cli import app as cli
from drills.cli import exits
from drills.cli.judge import replay
from drills.judge import checks, claims, migration
from drills.judge.claims import Claim
from drills.judge.files import FileError
from drills.judge.history import History
from drills.judge.storage import read_facts
from drills.judge.verdict import Outcome, read_verdict
from drills.report import evidence
from drills.report.bundles import read as read_run
from drills.report.trust import keys, statement, verification
from drills.run.lab import DENIED, FRONT_DOOR, FRONT_DOOR_UNMESHED, ROUTES
from drills.selftest.doubles import forger
from drills.selftest.doubles.many_runs import CLAIMS, EDGE, broken, bundle, quiet

Json = dict[str, object]
PLAIN = checks.success_rate(*ROUTES, at_least=0.9)
ASKED: Mapping[str, Claim] = {
    "calls-made": claims.reached(checks.attempted(*ROUTES)),
    "no-plaintext": claims.never(checks.plaintext(*ROUTES), must_hold=True),
    "denied-stay-denied": claims.always(checks.denied(*DENIED), must_hold=True),
    "denied-stay-denied-in-recovery": claims.always(checks.denied(*DENIED), "recovery", must_hold=True),
    "denied-again": claims.eventually(checks.denied(*DENIED), 12.5),
    "closed-route-refused": claims.always(checks.denied(FRONT_DOOR)),
    "unmeshed-caller-denied": claims.always(checks.denied(FRONT_DOOR_UNMESHED)),
    "routes-keep-working": claims.always(PLAIN),
    "routes-recover": claims.eventually(PLAIN, 40.0),
    "allowed-caller-served": claims.always(checks.success_rate(ROUTES[0], at_least=0.9)),
    "front-door-open": claims.always(checks.success_rate(FRONT_DOOR, ROUTES[0], at_least=0.9)),
    "front-door-reopens": claims.eventually(checks.success_rate(FRONT_DOOR, ROUTES[0], at_least=0.9), 30.0),
    "membership-unchanged": claims.always(checks.mesh_membership(), "run"),
    "membership-restored": claims.eventually(checks.mesh_membership(), 30.0, hold_s=0.0),
    "new-pods-join-on-victim": claims.always(checks.new_pod_meshed(on="victim")),
    "new-pods-join-again-in-fault": claims.eventually(checks.new_pod_meshed(), 20.0, "fault"),
    "policy-changes-end-connections-in-baseline": claims.always(
        checks.change_enforced(within_s=4, connection="reused"), "baseline"
    ),
    "control-plane-down-alerts": claims.sometimes(checks.signal_seen("control-plane-down")),
    "control-plane-down-seen": claims.reached(checks.signal_seen("control-plane-down")),
    "new-pods-outside-mesh-seen": claims.reached(checks.outside_mesh()),
    "loss-stays-on-node": claims.always(checks.blast_radius(*ROUTES, within=("victim", "bystander"), at_least=0.9)),
}
ISSUE = Reference("It does not", "https://example.org/1", "1", "issue")
NO_PROMISE = Reference("It says nothing", "https://example.org/2", "1", "not-promised")
ONLY_NOW = frozenset({"id", "alerts", "within_s"})
"""What a finding has in this format alone."""


@pytest.fixture
def today(tmp_path: Path) -> Path:
    """Return a bundle of this version that was asked one claim of each name that the first format leads to."""
    return bundle(tmp_path / "today", quiet(), drill="a-drill", claims=ASKED)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Return the bundle of the same run in the first format: no claims, and findings known by their sentences."""
    place = bundle(tmp_path / "first", quiet(), drill="a-drill", claims=ASKED)
    sentence = ASKED["routes-recover"].sentence()
    older(place, deviates=[{"claim": sentence, "issue": msgspec.to_builtins(ISSUE)}], sources={"a": "b"})
    return place


def older(place: Path, **facts: object) -> None:
    """Write a bundle of this version as the first one did, with these facts."""
    second(place)
    run, verdict = read(place / "run.json"), read(place / "verdict.json")
    kept = msgspec.convert(run["facts"], Json)
    for name in ("claims", "known_issues"):
        kept.pop(name)
    run["facts"] = {**kept, **facts}
    del run["format"]
    found = msgspec.convert(verdict["findings"], list[Json])
    verdict["findings"] = [{name: it[name] for name in it if name not in ONLY_NOW} for it in found]
    put(place / "run.json", run)
    put(place / "verdict.json", verdict)
    statement.write(place, read_verdict(place), None)


def second(place: Path) -> None:
    """Write a bundle of this version in format 2, in which a claim without a promise has NOT_PROMISED for an answer."""
    run, verdict = read(place / "run.json"), read(place / "verdict.json")
    run["format"] = migration.SECOND
    put(place / "run.json", run)
    found = msgspec.convert(verdict["findings"], list[Json])
    promised = verdict.pop("promised")
    verdict.pop("outcome")
    put(
        place / "verdict.json",
        {**verdict, "verdict": promised or "INCONCLUSIVE", "findings": [_second(it) for it in found]},
    )
    stated = Outcome(str(promised or "INCONCLUSIVE"))
    statement.write(place, msgspec.structs.replace(read_verdict(place), outcome=stated), None)
    written = msgspec.convert(read(place / "verdict.json")["findings"], list[Json])
    forger.reword(place, {str(it["id"]): str(it["verdict"]) for it in written})


def _second(finding: Json) -> Json:
    outcome, promise = finding.pop("outcome"), finding.pop("promise")
    if promise is None or msgspec.convert(promise, Reference).kind != "not-promised":
        return {**finding, "verdict": outcome, "source": promise}
    reason = ", ".join(filter(None, (str(outcome), str(finding["reason"]))))
    said = f"not promised by the mesh; measured: {reason}"
    return {**finding, "verdict": "NOT_PROMISED", "measured": outcome, "source": promise, "reason": said}


def read(path: Path) -> Json:
    """Return a JSON file."""
    return msgspec.json.decode(path.read_bytes(), type=Json)


def put(path: Path, content: Json) -> None:
    """Write a JSON file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2) + b"\n")


def test_the_first_format_is_read_as_todays(first: Path, today: Path) -> None:
    """Claims with ids, bounds and promises, the verdict and the known issue: as a run of today stores them.

    That format did not say which claims need the fault, and had no run that asks.
    """
    unsaid = (msgspec.structs.replace(it, needs_fault=False) for it in History.load(today).facts.claims)
    assert History.load(first).facts.claims == tuple(unsaid)
    assert read_verdict(first).encode() == read_verdict(today).encode() == replay(History.load(first)).encode()
    assert History.load(first).facts.known_issues == (KnownIssue("routes-recover", ISSUE),)
    assert read_run(first).known_failures == ()


@pytest.mark.parametrize("outcome", ["HELD", "VIOLATED"])
def test_format_2_is_read_with_an_outcome_for_each_claim(outcome: str, tmp_path: Path) -> None:
    """What was NOT_PROMISED has what was measured; the promise stands beside it; migrating it gives today's bytes."""
    story = quiet() if outcome == "HELD" else broken()
    secret = claims.never(checks.plaintext(EDGE), must_hold=True, promise=NO_PROMISE)
    asked = {**CLAIMS, "no-plaintext": secret}
    today, old = (bundle(tmp_path / name, story, drill="a-drill", claims=asked) for name in ("today", "old"))
    second(old)
    assert "NOT_PROMISED" in (old / "verdict.json").read_text()
    found = read_verdict(old)
    assert found.encode() == read_verdict(today).encode()
    assert [it.outcome for it in found.findings if not it.is_promised] == [outcome]
    assert cli.status(["judge", str(old)]) == cli.status(["judge", str(today)])
    assert cli.status(["migrate", str(old)]) == exits.PASSED
    assert (old / "verdict.json").read_bytes() == (today / "verdict.json").read_bytes()


def test_an_unmeasured_claim_of_format_2_is_inconclusive() -> None:
    """The first edition did not always write what was measured."""
    finding: Json = {"verdict": "NOT_PROMISED", "source": None, "reason": "not promised by the mesh; measured: "}
    run: Json = {"format": 2, "facts": {"drill": "a-drill"}}
    upgraded_to = migration.upgrade_verdict({"verdict": "HELD", "findings": [finding]}, run)
    assert upgraded_to["findings"] == [
        {"outcome": "INCONCLUSIVE", "reason": "not promised by the mesh; measured: ", "promise": None}
    ]


def test_what_excused_a_claim_is_known_of_each_drill() -> None:
    """The first format kept no alerts: they are those of the drill; of `eventually`, with the bound of its sentence."""
    fault: Json = {"check": "new_pod_meshed", "edges": [], "params": {}, "during": "fault", "quantifier": "always"}
    fault |= {"claim": "always during fault: a pod joins", "verdict": "HELD", "source": None, "reason": ""}
    late = {**fault, "during": "recovery", "quantifier": "eventually", "claim": "eventually within 7 s: a pod joins"}
    verdict: Json = {"verdict": "HELD", "findings": [fault, late]}
    found = upgraded(verdict, "identity-outage", ())
    assert [(it["id"], it["alerts"], it["within_s"]) for it in found] == [
        ("new-pods-join", ["identity-down", "injection-refused"], 20.0),
        ("new-pods-join-again", [], 7.0),
    ]
    for recorded in ((), ("issuer-invalid",)):  # drills that asked for those that the mesh has
        assert upgraded(verdict, "issuer-expired", recorded)[0]["alerts"] == list(recorded)
    assert upgraded(verdict, "another-drill", ())[0]["alerts"] == []


def upgraded(verdict: Json, drill: str, recorded: tuple[str, ...]) -> list[Json]:
    """Return the findings of a verdict of the first format, of a run that recorded these signals."""
    run: Json = {"facts": {"drill": drill, "signals": dict.fromkeys(recorded)}}
    return msgspec.convert(migration.upgrade_verdict(verdict, run)["findings"], list[Json])


@pytest.mark.parametrize("number", [0, 4, "2", None, 1.5])
def test_a_format_that_is_not_known_is_refused(number: object, today: Path) -> None:
    """A bundle of a newer version is not read as if it were of this one; the message names file and format."""
    put(today / "run.json", {**read(today / "run.json"), "format": number})
    for load in (History.load, read_facts, read_verdict):
        with pytest.raises(FileError, match=r"run\.json.* format"):
            load(today)
    assert cli.status(["judge", str(today), "--unverified"]) == exits.INCONCLUSIVE


def test_a_first_format_without_a_verdict_was_asked_nothing(first: Path) -> None:
    """Its claims stand nowhere but in its verdict: it is a history, and no more."""
    (first / "verdict.json").unlink()
    assert History.load(first).facts.claims == ()
    with pytest.raises(FileError, match=r"verdict\.json"):
        read_verdict(first)


@pytest.mark.parametrize("broken", [{"findings": [{}]}, {"findings": [{"check": "kitchen"}]}, {"findings": 1}])
def test_a_first_format_that_is_broken_is_refused(broken: Json, first: Path) -> None:
    """A finding that lacks a word, or is of a check that the first format had not, is named as what cannot be read."""
    put(first / "verdict.json", broken)
    for load in (History.load, read_verdict):
        with pytest.raises(FileError, match="cannot be read"):
            load(first)


def test_judging_a_first_format_says_that_it_is_one(first: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answers are those that were stored, in other bytes: neither a change nor the very file."""
    cli.status(["judge", str(first)])
    assert "as this version reads an older format" in capsys.readouterr().out


def test_a_migrated_bundle_is_one_of_today(first: Path, today: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verdict and pages are those of today, calls and events untouched, and the statement vouches for all of it."""
    assert cli.status(["migrate", str(first)]) == exits.PASSED
    assert f"{len(ASKED)} claims" in capsys.readouterr().out
    for name in ("verdict.json", "calls.parquet", "events.jsonl"):
        assert (first / name).read_bytes() == (today / name).read_bytes(), name
    assert verification.verify(first).is_intact
    drawn = evidence.drawn(first, read_verdict(first), read_run(first).environment)
    assert {name: (first / name).read_bytes() for name in drawn} == drawn
    assert cli.status(["migrate", str(first.parents[2])]) == exits.PASSED
    assert "has this version's format" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["changed", "signed", "answered otherwise"])
def test_a_bundle_that_cannot_be_vouched_for_stays(
    how: str, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was changed, one signed with a key that is not given, and one that would get another answer."""
    if how == "changed":
        (first / "events.jsonl").write_bytes((first / "events.jsonl").read_bytes() + b"\n")
    if how == "signed":
        keys.generate(tmp_path / "key")
        statement.write(first, read_verdict(first), keys.signer(tmp_path / "key"))
    if how == "answered otherwise":
        text = (first / "verdict.json").read_text()
        (first / "verdict.json").write_text(text.replace('"verdict": "HELD"', '"verdict": "VIOLATED"', 1))
        statement.write(first, read_verdict(first), None)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    assert cli.status(["migrate", str(first)]) == exits.INCONCLUSIVE
    assert str(first) in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in first.iterdir()} == before
    if how == "signed":
        assert cli.status(["migrate", str(first), "--key", str(tmp_path / "key")]) == exits.PASSED
        assert verification.verify(first, keys.public_key(tmp_path / "key.pub")).is_intact


def test_a_folder_without_bundles_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what was expected."""
    assert cli.status(["migrate", str(tmp_path)]) == exits.USAGE
    assert "run.json" in capsys.readouterr().err
