"""Collecting: what the lab's programs wrote becomes the two tables, and what they did not write becomes a defect."""

import time
from pathlib import Path

import msgspec
import pytest

from drills.judge.events import (
    CallerEnd,
    HarnessTrouble,
    MetricSample,
    ProgramStalled,
    ServerEnd,
    WireEnd,
    WirePair,
)
from drills.judge.history import CALLS_SCHEMA
from drills.judge.records import NS_PER_S
from drills.run.collect import Collected, collect
from drills.run.tail import Pulse, Tail, line_of, log_offsets

PODS = frozenset({"checkout-1", "payment-1"})
CALL = {
    "type": "call",
    "run_id": "r1",
    "id": "mdc1.checkout.payment.x1.n0",
    "seq": 0,
    "pod": "checkout-1",
    "node": "node-a",
    "source": "checkout",
    "target": "payment",
    "connection": "new",
    "scheduled_ns": 10,
    "started_ns": 11,
    "ended_ns": 15,
    "outcome": "ok",
    "status": 200,
    "error": "",
    "reused": False,
    "server_pod": "payment-1",
    "server_version": "v2",
}
SERVED = {
    "type": "served",
    "run_id": "r1",
    "id": CALL["id"],
    "pod": "payment-1",
    "node": "node-b",
    "service": "payment",
    "version": "v2",
    "source": "checkout",
    "at_ns": 13,
    "status": 200,
    "peer": "spiffe://x",
}


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """Return a shared directory with an empty folder of logs."""
    (tmp_path / "logs").mkdir()
    return tmp_path


def log(share: Path, pod: str, *lines: object, end: bytes = b"\n") -> None:
    """Append lines to a pod's log."""
    with (share / "logs" / f"{pod}.jsonl").open("ab") as sink:
        sink.write(b"\n".join(map(msgspec.json.encode, lines)) + end)


def read(share: Path, *, since: dict[str, int] | None = None) -> Collected:
    """Collect run r1."""
    return collect(share, "r1", pods=PODS, offsets=since or {})


def test_two_witnesses_become_one_row(share: Path) -> None:
    """A call and its serving are joined by request id, in the schema that the judge reads."""
    log(share, "checkout-1", CALL)
    log(share, "payment-1", SERVED)
    calls = read(share).calls
    assert calls.schema == CALLS_SCHEMA
    (row,) = calls.to_dicts()
    assert (row["pod"], row["served_pod"], row["served_ns"], row["peer"]) == (
        "checkout-1",
        "payment-1",
        13,
        "spiffe://x",
    )


def test_missing_witness_leaves_nulls(share: Path) -> None:
    """What only one side saw stays, without the other side's columns; the edge comes from the id."""
    log(share, "checkout-1", {**CALL, "id": "mdc1.checkout.payment.x1.n1", "seq": 1})
    log(share, "payment-1", {**SERVED, "id": "mdc1.intruder.payment.x9.r4"})
    unserved, uncalled = read(share).calls.sort("id").to_dicts()
    assert unserved["served_ns"] is None
    assert unserved["peer"] is None
    assert (uncalled["source"], uncalled["target"], uncalled["connection"]) == ("intruder", "payment", "reused")
    assert uncalled["scheduled_ns"] is None


def test_call_that_was_served_twice_keeps_both_rows(share: Path) -> None:
    """A second serving is a row of its own, without the caller's columns; the first joins its call."""
    log(share, "checkout-1", CALL)
    log(share, "payment-1", {**SERVED, "at_ns": 14}, SERVED)
    again, call = read(share).calls.to_dicts()
    assert (call["id"], call["seq"], call["served_ns"]) == (CALL["id"], CALL["seq"], 13)
    assert (again["id"], again["seq"], again["served_ns"]) == (CALL["id"], None, 14)
    assert (again["source"], again["target"], again["connection"]) == ("checkout", "payment", "new")


def test_other_runs_are_left_out(share: Path) -> None:
    """Lines of another run, and lines from before this run began, do not count."""
    log(share, "checkout-1", {**CALL, "run_id": "r0"}, CALL)
    assert read(share).calls.height == 1
    since = log_offsets(share)
    log(share, "checkout-1", {**CALL, "id": "mdc1.checkout.payment.x1.n1"})
    assert read(share, since=since).calls["id"].to_list() == ["mdc1.checkout.payment.x1.n1"]


def test_torn_line_is_a_defect_and_no_crash(share: Path) -> None:
    """The cut last line of a killed pod is named; every line before it counts."""
    log(share, "checkout-1", CALL)
    log(share, "checkout-1", CALL, end=b"")
    path = share / "logs" / "checkout-1.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    found = read(share)
    assert found.calls.height == 1
    (event,) = [event for event in found.events if isinstance(event, HarnessTrouble)]
    assert "line 2 of checkout-1.jsonl" in event.detail.message


@pytest.mark.parametrize(
    ("then", "ended_pods", "troubles"),
    [
        ([{"type": "boot", "pod": "checkout-1", "node": "node-a"}], PODS, 0),
        ([], PODS, 0),
        ([{"type": "boot", "pod": "checkout-1", "node": "node-a"}], frozenset[str](), 1),
        ([CALL], PODS, 1),
    ],
)
def test_a_pod_that_the_fault_ends_may_leave_one_line_torn(
    share: Path, then: list[dict[str, object]], ended_pods: frozenset[str], troubles: int
) -> None:
    """Its last line, or the last before a restart, may be torn; a torn line elsewhere is a defect as in any log."""
    log(share, "checkout-1", CALL)
    with (share / "logs" / "checkout-1.jsonl").open("ab") as sink:
        sink.write(b'{"type":"cal' + (b"\n" if then else b""))
    if then:
        log(share, "checkout-1", *then)
    found = collect(share, "r1", pods=PODS, offsets={}, ended_pods=ended_pods)
    assert sum(event.kind == "harness" for event in found.events) == troubles


def test_a_late_server_is_an_event(share: Path) -> None:
    """Only restarts of the lab's own pods become events."""
    for pod in ("checkout-1", "new-pod-1"):
        log(share, pod, {"type": "late", "pod": pod, "node": "node-a", "run_id": "r1", "at_ns": 5})
    assert [(event.kind, event.subject) for event in read(share).events] == [("late", "checkout-1")]


def test_a_program_that_stood_still_is_an_event(share: Path) -> None:
    """For how long its pod did not run is kept; a pod outside the plan is not asked."""
    for pod in ("checkout-1", "stranger"):
        log(
            share, pod, {"type": "stalled", "pod": pod, "node": "node-a", "run_id": "r1", "at_ns": 5, "stalled_ms": 900}
        )
    stalled = ProgramStalled.Detail(pod="checkout-1", node="node-a", stalled_ms=900)
    assert read(share).events == (ProgramStalled(5, "checkout-1", stalled),)


def test_a_new_pod_that_was_called_accounts_for_what_it_served(share: Path) -> None:
    """Its end says how many calls it served; a server without calls has nothing to account for."""
    for pod, served in (("new-pod-1", 3), ("new-pod-2", 0)):
        end = {
            "type": "served_end",
            "pod": pod,
            "service": "new-destination",
            "served": served,
            "run_id": "r1",
            "at_ns": 5,
        }
        log(share, pod, end)
    account = ServerEnd.Detail(pod="new-pod-1", service="new-destination", served=3)
    assert read(share).events == (ServerEnd(5, "new-pod-1", account),)


def test_line_of_unknown_shape_is_a_defect(share: Path) -> None:
    """A line whose fields have other types was edited or written by another version: it is named, not guessed at."""
    log(share, "checkout-1", {**CALL, "seq": "zero"}, {"type": "surprise"})
    assert [event.kind for event in read(share).events] == ["harness", "harness"]


def test_torn_line_of_a_pod_that_was_removed_on_purpose_is_none(share: Path) -> None:
    """Its probe kills a new pod, so its log need not be whole."""
    log(share, "new-pod-1", CALL, end=b"")
    path = share / "logs" / "new-pod-1.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert read(share).events == ()


def test_logs_become_events(share: Path) -> None:
    """Each kind of line becomes the event that the judge knows, with its numbers."""
    common = {"run_id": "r1", "at_ns": 5}
    pair = {"source": "a", "target": "b", "interface": "eth0", "count": 3, "first_ns": 1, "last_ns": 2}
    log(
        share,
        "checkout-1",
        {"type": "boot", "pod": "checkout-1", "node": "node-a", "at_ns": 1},
        {"type": "ready", "pod": "checkout-1", "node": "node-a", "callers": [["payment", "new"]], **common},
        {
            "type": "end",
            "pod": "checkout-1",
            "target": "payment",
            "connection": "new",
            "scheduled": 7,
            "written": 7,
            "skipped": 0,
            **common,
        },
        {"type": "served_end", "pod": "checkout-1", "service": "checkout", "served": 4, **common},
        {"type": "truncated", "at_ns": 6},
    )
    log(
        share,
        "observer-1",
        {"type": "wire_ready", "node": "node-a", "interfaces": ["eth0"], **common},
        {
            "type": "wire",
            "node": "node-a",
            "interface": "eth0",
            "source": "a",
            "target": "b",
            "id": "i",
            "count": 1,
            **common,
        },
        {"type": "scrape", "pod": "p", "node": "node-a", "metric": "m", "value": None, "error": "refused", **common},
        {"type": "gap", "node": "node-a", "reason": "r", **common},
        {"type": "wire_end", "node": "node-a", "packets": 9, "dropped": 1, "hits": [pair], **common},
    )
    events = {event.kind: event for event in read(share).events}
    assert list(events) == [
        *("boot", "caller.ready", "caller.end", "server.end", "wire.ready", "wire.hit", "scrape", "wire.gap"),
        *("wire.end", "wire.pair", "harness"),
    ]
    assert events["caller.end"].detail == CallerEnd.Detail(
        pod="checkout-1", node="node-a", target="payment", connection="new", scheduled=7, written=7, skipped=0
    )
    assert events["wire.pair"].detail == msgspec.convert({**pair, "node": "node-a"}, WirePair.Detail)
    assert events["wire.end"].detail == WireEnd.Detail(node="node-a", packets=9, dropped=1)
    assert events["scrape"].detail == MetricSample.Detail(
        pod="p", node="node-a", metric="m", value=None, error="refused"
    )


def test_no_log_at_all_is_an_empty_table(share: Path) -> None:
    """A run without log lines has an empty table of the right shape, on which no claim can hold."""
    found = read(share)
    assert found.calls.schema == CALLS_SCHEMA
    assert found.calls.height == 0


def test_live_view_waits_for_the_end_of_a_line(share: Path) -> None:
    """A line in the making is read when it is whole, once."""
    tail = Tail(share, "r1")
    whole = msgspec.json.encode(CALL) + b"\n"
    path = share / "logs" / "checkout-1.jsonl"
    path.write_bytes(whole + whole[:40])
    assert tail.pulse().calls == 1
    path.write_bytes(whole + whole)
    assert tail.pulse().calls == 2
    assert tail.pulse().calls == 2


def test_the_live_view_tells_slow_calls_from_failed_ones(share: Path) -> None:
    """A call that lost its first packet succeeds after a second: while there are such calls, a recovery goes on."""
    tail, due_ns = Tail(share, "r1"), time.time_ns()
    timed = {**CALL, "scheduled_ns": due_ns, "started_ns": due_ns}
    took = {"ok": 0.1, "refused": 1.1}  # a failed call is never slow as well
    lines = [{**timed, "outcome": outcome, "ended_ns": due_ns + round(s * NS_PER_S)} for outcome, s in took.items()]
    lines.append({**lines[0], "ended_ns": due_ns + round(1.1 * NS_PER_S)})
    (share / "logs" / "checkout-1.jsonl").write_bytes(b"".join(msgspec.json.encode(it) + b"\n" for it in lines))
    pulse, edge = tail.pulse(), ("checkout", "payment")
    assert (pulse.recent[edge], pulse.failing[edge], pulse.slow[edge]) == (3, 1, 1)
    assert line_of(pulse) == "3 calls so far; failing now: checkout->payment 1/3; slow now: checkout->payment 1/3"
    assert line_of(Pulse(3, {edge: 3}, {}, {})) == "3 calls so far; no route loses calls or is slow"
