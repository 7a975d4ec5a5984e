"""A table of calls from an untrusted source: damaged pages, rows without keys, impossible instants, endless numbers."""

import json
from pathlib import Path

import polars as pl
import pytest

from drills.judge import files
from drills.judge.checks import success_rate
from drills.judge.claims import always, judge
from drills.judge.events import ComponentPod, ProgramStalled
from drills.judge.history import CALLS_SCHEMA, History, write_history
from drills.judge.records import LAST_NS
from drills.judge.verdict import Outcome, read_verdict
from drills.selftest.doubles.story import Story

EDGE = ("checkout", "payment")
MIN, MAX = -(2**63), 2**63 - 1
KEYS = ("id", "seq", "pod", "node", "source", "target", "connection", "started_ns", "ended_ns", "outcome", "error")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return the history of a run in which all went well."""
    story = Story().steady(EDGE)
    story.event(ComponentPod, "agent-1", role="agent", node="n1", started_ns=1, restarts=0)
    story.event(ProgramStalled, "payment-1", pod="payment-1", stalled_ms=1)
    write_history(tmp_path, story.table(), story.all_events(), story.facts())
    return tmp_path


def rewrite(bundle: Path, *changed: pl.Expr) -> None:
    """Change columns of the table."""
    table = pl.read_parquet(bundle / "calls.parquet")
    table.with_columns(*changed).cast(CALLS_SCHEMA).write_parquet(bundle / "calls.parquet")


@pytest.mark.parametrize("start", [300, 2000, 9000])
def test_a_damaged_page_is_an_error_of_the_file(start: int, bundle: Path) -> None:
    """It is found on opening, whichever column it holds, and never in the midst of a query."""
    table = bundle / "calls.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[:start] + bytes(200) + whole[start + 200 :])
    with pytest.raises(files.FileError, match=r"calls\.parquet cannot be read as part of a history"):
        History.load(bundle)


@pytest.mark.parametrize("name", KEYS)
def test_a_row_without_a_key_is_left_out_and_named(name: str, bundle: Path) -> None:
    """The rest is judged, and no claim passes on it."""
    rewrite(bundle, pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col(name)).alias(name))
    history = History.load(bundle)
    assert history.calls.collect().height == pl.read_parquet(bundle / "calls.parquet").height - 1
    assert "unusable" in {it.kind for it in history.completeness()}
    claims = {"routes-keep-working": always(success_rate(EDGE, at_least=0.9))}
    assert judge(history, claims).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("at_ns", [MIN, -1, LAST_NS + 1, MAX])
@pytest.mark.parametrize("name", ["scheduled_ns", "started_ns", "ended_ns", "served_ns", "seq"])
def test_an_impossible_number_is_a_defect(name: str, at_ns: int, bundle: Path) -> None:
    """Differences of such instants would not fit 64 bits."""
    rewrite(bundle, pl.lit(at_ns).alias(name))
    history = History.load(bundle)
    assert history.calls.collect().is_empty()
    assert "unusable" in {it.kind for it in history.completeness()}


@pytest.mark.parametrize("served", [("served_ns",), ("served_pod",), ("scheduled_ns", "served_ns")])
def test_each_row_names_a_witness(served: tuple[str, ...], bundle: Path) -> None:
    """A server names its pod and an instant, or neither; a row of nobody is none."""
    rewrite(bundle, *(pl.lit(None).alias(it) for it in served))
    assert History.load(bundle).calls.collect().is_empty()


def test_a_whole_table_has_every_row(bundle: Path) -> None:
    """Rows that only a server recorded are usable as well."""
    story = Story().steady(EDGE).served_only(*EDGE)
    write_history(bundle, story.table(), story.all_events(), story.facts())
    history = History.load(bundle)
    assert history.calls.collect().height == story.table().height
    assert "unusable" not in {it.kind for it in history.completeness()}


@pytest.mark.parametrize("number", [2**62 + 1, 2**64, 10**300, -1])
@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("events.jsonl", '"at_ns":1700000000000000000'),
        ("events.jsonl", '"scheduled":500'),
        ("events.jsonl", '"started_ns":1'),
        ("events.jsonl", '"restarts":0'),
        ("events.jsonl", '"stalled_ms":1'),
        ("run.json", '"lag_bound_ms": 250.0'),
        ("run.json", '"hold_s": 0.0'),
    ],
)
def test_an_endless_number_is_an_error_of_the_file(name: str, old: str, number: int, bundle: Path) -> None:
    """Instants, counts and durations of events and facts have bounds."""
    path = bundle / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, f"{old.partition(':')[0]}:{number}", 1))
    with pytest.raises(files.FileError, match=name):
        History.load(bundle)


@pytest.mark.parametrize("number", [2**64, -(10**300)])
def test_a_verdict_can_be_written_again(number: int, bundle: Path) -> None:
    """A number in it that JSON could be read with, and not written, is an error of the file."""
    claims = {"routes-keep-working": always(success_rate(EDGE, at_least=0.9))}
    found = json.loads(judge(History.load(bundle), claims).encode())
    found["findings"][0]["rows"][0]["numbers"]["calls"] = number
    (bundle / "verdict.json").write_text(json.dumps(found))
    with pytest.raises(files.FileError, match=r"verdict\.json"):
        read_verdict(bundle)


@pytest.mark.parametrize("name", ["from_ns", "until_ns"])
def test_a_defect_in_a_verdict_can_be_written_again(name: str, bundle: Path) -> None:
    """The part of a record that a defect is about has bounds as well."""
    claims = {"routes-keep-working": always(success_rate(EDGE, at_least=0.9))}
    found = json.loads(judge(History.load(bundle), claims).encode())
    found["defects"] = [{"kind": "stalled", "subject": "payment-1", "message": "it stood still", name: 10**300}]
    (bundle / "verdict.json").write_text(json.dumps(found))
    with pytest.raises(files.FileError, match=r"verdict\.json"):
        read_verdict(bundle)
