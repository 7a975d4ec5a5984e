"""The lab's service program, run on loopback: a caller and a server without failures."""

import asyncio
import json
import signal
import stat
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.selftest.doubles.lab_programs import CANARY, RUN_ID, Lab, Line, caller, free_port, running

# isort: split
from share import Log, Me


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A run of a second over one honest edge, new and reused, on a service that is asked to end during the next run."""
    with running(tmp_path_factory.mktemp("steady")) as lab:
        port = free_port()
        checkout, payment = lab.start("checkout", port=free_port()), lab.start("payment", port=port)
        callers = [caller("checkout", "payment", port, connection) for connection in ("new", "reused")]
        lab.plan(callers)
        lab.wait(lambda: len(lab.lines("call")) > 60, "60 calls")
        lab.plan(callers, stop=True)
        lab.wait(lambda: len(lab.lines("served_end")) == 2, "the end of both services")
        lab.plan(callers, run_id="second")
        lab.wait(lambda: len(lab.lines("call", run_id="second")) > 20, "20 calls of the second run")
        lab.end(checkout)
        lab.end(payment)
        yield lab


def test_both_witnesses_agree(steady: Lab) -> None:
    """Every call of an honest edge is `ok`, served once under its id, and counted in the server's end."""
    calls, served = steady.lines("call", run_id=RUN_ID), steady.lines("served", run_id=RUN_ID)
    assert {(call["outcome"], call["status"], call["server_pod"]) for call in calls} == {
        ("ok", 200, "payment-5d9f-abcde")
    }
    assert Counter(call["id"] for call in calls) == Counter(line["id"] for line in served)
    assert steady.lines("served_end", run_id=RUN_ID, service="payment")[0]["served"] == len(served)
    assert calls[0]["id"].startswith(f"{CANARY}.checkout.payment.5d9f-abcde.")
    assert {line["source"] for line in served} == {"checkout"}


def test_a_program_that_stood_still_says_so(tmp_path: Path) -> None:
    """A server that is paused while a run is under way logs for how long; one that is not logs nothing."""
    with running(tmp_path) as lab:
        payment, ledger = lab.start("payment", port=free_port()), lab.start("ledger", port=free_port())
        lab.plan()
        lab.wait(lambda: len(lab.lines("ready")) == 2, "the start of both services")
        lab.processes[payment].send_signal(signal.SIGSTOP)
        time.sleep(1)
        lab.processes[payment].send_signal(signal.SIGCONT)
        lab.wait(lambda: bool(lab.lines("stalled", pod=payment)), "the line about the pause")
        assert 500 < lab.lines("stalled", pod=payment)[0]["stalled_ms"] < 5000
        assert not lab.lines("stalled", pod=ledger)
        lab.end(payment)
        lab.end(ledger)


def test_new_means_new_and_reused_means_reused(steady: Lab) -> None:
    """A `new` caller never travels on a used connection; a `reused` one does whenever it has one that is idle."""
    calls = steady.lines("call", run_id=RUN_ID)
    assert not any(call["reused"] for call in calls if call["connection"] == "new")
    reusers = [call for call in calls if call["connection"] == "reused"]
    for call in reusers:
        earlier = [other for other in reusers if other["seq"] < call["seq"]]
        busy = sum(other["ended_ns"] >= call["started_ns"] for other in earlier)
        opened = sum(not other["reused"] for other in earlier)
        assert call["reused"] or busy >= opened
    assert any(call["reused"] for call in reusers)


def test_open_loop_keeps_its_beat(steady: Lab) -> None:
    """Call k is scheduled at t0 + 20 ms * k exactly, never starts before that, and can start within 5 ms of it."""
    calls = sorted(steady.lines("call", run_id=RUN_ID, connection="new"), key=lambda call: int(call["seq"]))
    first_ns = calls[0]["scheduled_ns"]
    assert all(call["scheduled_ns"] == first_ns + call["seq"] * 20_000_000 for call in calls)
    lags_ms = sorted((call["started_ns"] - call["scheduled_ns"]) / 1e6 for call in calls)
    assert -1 < lags_ms[0] < 5  # two clocks are read: a fraction of a millisecond may lie between them


def test_each_program_answers_a_plan_once(steady: Lab) -> None:
    """A program logs once that it is ready for a run, with its own callers only."""
    ready = {line["pod"]: line["callers"] for line in steady.lines("ready", run_id=RUN_ID)}
    assert len(steady.lines("ready", run_id=RUN_ID)) == 2
    assert ready == {"checkout-5d9f-abcde": [["payment", "new"], ["payment", "reused"]], "payment-5d9f-abcde": []}


def test_a_pod_that_ends_says_so(steady: Lab) -> None:
    """After SIGTERM in the middle of a run the ends are on disk and the counts still add up."""
    [new, reused] = steady.lines("end", run_id="second")
    assert new["written"] + reused["written"] == len(steady.lines("call", run_id="second"))
    [served_end] = steady.lines("served_end", run_id="second", service="payment")
    assert served_end["served"] == len(steady.lines("served", run_id="second"))


def _post(port: int, body: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body.encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own server on loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_server_knows_its_peer_from_the_first_call(tmp_path: Path) -> None:
    """A call that arrives before the server has read the plan is still logged with the identity header."""
    with running(tmp_path) as lab:
        port = free_port()
        pod = lab.start("ledger", port=port)
        lab.plan()
        assert _post(port, f"{CANARY}.payment.ledger.x.n0", {"X-Peer": "spiffe://a"}) == 200
        assert _post(port, f"{CANARY}.outsider.ledger.x.n0", {}) == 200
        lab.end(pod)
        assert [(line["source"], line["peer"]) for line in lab.lines("served")] == [
            ("payment", "spiffe://a"),
            ("outsider", ""),
        ]


def test_only_calls_of_the_run_are_served(tmp_path: Path) -> None:
    """A call of no known run is refused, health is answered, and neither is logged or counted."""
    with running(tmp_path) as lab:
        port = free_port()
        pod = lab.start("ledger", port=port)
        assert _post(port, f"{CANARY}.payment.ledger.x.n0", {}) == 409
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.status == 200
        lab.plan()
        lab.wait(lambda: bool(lab.lines("ready")), "the service took up the run")
        assert _post(port, "mdcffffffffffffffff.payment.ledger.x.n0", {}) == 409
        lab.end(pod)
        assert lab.lines("served") == []
        assert [line["served"] for line in lab.lines("served_end")] == [0]


def test_restart_appends_to_the_same_log(tmp_path: Path) -> None:
    """A container that restarts keeps the lines of its first life and adds a second boot line."""
    with running(tmp_path) as lab:
        for _ in range(2):
            lab.end(lab.start("fraud", port=free_port()))
        assert len(lab.lines("boot")) == 2


def test_a_restart_in_the_middle_of_a_run_serves_and_does_not_call(tmp_path: Path) -> None:
    """A container killed and restarted during a run logs that it is late, makes no calls, serves, and ends.

    In the next run it calls as ever.
    """
    with running(tmp_path) as lab:
        port = free_port()
        plan = [caller("ledger", "ledger", port)]
        pod = lab.start("ledger", port=port)
        lab.plan(plan)
        lab.wait(lambda: len(lab.lines("call")) > 5, "calls of its first life")
        lab.processes[pod].kill()
        lab.processes[pod].wait(timeout=8)
        before = len(lab.lines("call"))
        lab.start("ledger", port=port)
        lab.wait(lambda: bool(lab.lines("late", run_id=RUN_ID)), "the word that it is late")
        assert _post(port, f"{CANARY}.payment.ledger.x.n0", {"X-Peer": "spiffe://a"}) == 200
        lab.plan(plan, stop=True)
        lab.wait(lambda: bool(lab.lines("served_end")), "its last word")
        assert (len(lab.lines("call")), len(lab.lines("ready")), lab.lines("end")) == (before, 1, [])
        assert [line["served"] for line in lab.lines("served_end")] == [1]
        assert lab.lines("served", source="payment")[0]["peer"] == "spiffe://a"
        lab.plan(plan, run_id="second")
        lab.wait(lambda: bool(lab.lines("call", run_id="second")), "calls of the next run")


def test_a_new_pod_in_the_middle_of_a_run_calls(tmp_path: Path) -> None:
    """A pod that never ran before has ids of its own, whatever the age of the plan."""
    with running(tmp_path) as lab:
        port = free_port()
        lab.plan([caller("ledger", "ledger", port)])
        lab.start("ledger", port=port)
        lab.wait(lambda: bool(lab.lines("call")), "its calls")
        assert lab.lines("late") == []


def test_a_line_that_was_cut_swallows_no_other(tmp_path: Path) -> None:
    """A line truncated by a kill stays separate, and the boot line follows intact."""
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "ledger-1.jsonl"
    log.write_text('{"type":"cal')
    me = Me("ledger", "v1", "ledger-1", "n1", tmp_path, 0)

    async def start() -> None:
        Log(me).flush()

    asyncio.run(start())
    torn, boot = log.read_text().splitlines()
    assert torn == '{"type":"cal'
    assert json.loads(boot)["type"] == "boot"


def test_malformed_plan_is_waited_out(tmp_path: Path) -> None:
    """An invalid plan, or one with a canary of wrong length, starts nothing; the next valid one does."""
    with running(tmp_path) as lab:
        (tmp_path / "plan.json").write_text("{")
        lab.start("fraud", port=free_port())
        lab.plan(canary="mdcshort")
        lab.plan(run_id="good")
        lab.wait(lambda: bool(lab.lines("ready")), "the service took up the good plan")
        assert [line["run_id"] for line in lab.lines("ready")] == ["good"]


def test_first_program_makes_room_for_every_user(tmp_path: Path) -> None:
    """The first program, often root, creates a log folder in which every other user can write a file."""
    me = Me("ledger", "v1", "ledger-1", "n1", tmp_path, 0)

    async def start() -> None:
        Log(me).flush()

    asyncio.run(start())
    asyncio.run(start())
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o1777


def test_full_log_is_a_loud_hole(tmp_path: Path) -> None:
    """At its limit a log says truncated once, reports further lines as lost, and still takes the closing notes."""
    (tmp_path / "logs").mkdir()
    me = Me("ledger", "v1", "ledger-1", "n1", tmp_path, 0)

    async def fill() -> list[bool]:
        log = Log(me, limit_bytes=1000)
        written = [log.write({"type": "call", "seq": seq}) for seq in range(100)]
        log.note({"type": "end"})
        log.flush()
        return written

    written = asyncio.run(fill())
    lines: list[Line] = [json.loads(line) for line in (tmp_path / "logs" / "ledger-1.jsonl").read_text().splitlines()]
    counts = Counter(line["type"] for line in lines)
    assert counts == {"boot": 1, "call": sum(written), "truncated": 1, "end": 1}
    assert 0 < sum(written) < 100
