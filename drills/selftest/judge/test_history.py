"""A history keeps what was recorded, derives its windows and notices a file that is not the one that was written."""

from pathlib import Path

import polars as pl
import pytest

from drills.judge import history
from drills.judge.checks import success_rate
from drills.judge.claims import always
from drills.judge.events import FaultReceipt, Phase, UndoVerified
from drills.judge.files import FileError
from drills.judge.history import CALLS_SCHEMA, History, write_history
from drills.selftest.doubles.asking import judge
from drills.selftest.doubles.story import FAULT, START_NS, Story

EDGE = ("checkout", "payment")
S = 1_000_000_000


def stored(bundle: Path, story: Story) -> Path:
    """Write a story as a bundle."""
    write_history(bundle, story.table(), story.all_events(), story.facts())
    return bundle


def test_windows_follow_the_fault() -> None:
    """Baseline ends where the fault is injected, the fault ends where its undo is verified, and run spans them all."""
    windows = Story(baseline_s=10, fault_s=20, recovery_s=30).steady(EDGE).history().windows()
    assert {name: (w.start_ns - START_NS, w.end_ns - START_NS) for name, w in windows.items()} == {
        "baseline": (0, 10 * S),
        "fault": (10 * S, 30 * S),
        "recovery": (30 * S, 60 * S),
        "run": (0, 60 * S),
    }
    assert windows["recovery"].length_s == 30


def test_the_hold_ends_where_the_undo_begins() -> None:
    """What happens while the undo acts is in the fault, and not in the hold; without a receipt there is none.

    A fault that was no longer in force at a look was held until the look before.
    """
    story = Story(baseline_s=10, fault_s=20, recovery_s=30).steady(EDGE)
    hold, fault = story.history().window("hold"), story.history().window("fault")
    assert hold is not None
    assert fault is not None
    assert (hold.name, hold.start_ns, hold.end_ns - START_NS) == ("hold", fault.start_ns, 29 * S)
    late = story.fault().event(FaultReceipt, FAULT, at_s=19.5, landed=True)  # an observer that looked too late
    assert late.history().window("hold") == hold
    gone = Story(baseline_s=10, fault_s=20, recovery_s=30).steady(EDGE)
    shorter = gone.fault().event(FaultReceipt, FAULT, at_s=18.9, landed=False).history().window("hold")
    assert (shorter and shorter.end_ns - START_NS) == 28.5 * S
    assert story.without(FaultReceipt).history().window("hold") is None
    assert story.without(Phase).history().window("recovery") is None


def test_a_window_without_both_ends_does_not_exist() -> None:
    """Without a verified undo there is neither a fault window nor a recovery window."""
    assert set(Story().steady(EDGE).without(UndoVerified).history().windows()) == {"baseline", "run"}


def test_calls_belong_to_the_window_of_their_schedule() -> None:
    """A call counts where it was due, even when it ended later; a row of a server alone counts by its clock."""
    story = Story().fault().calls(*EDGE, ok=1, lag_ms=30_000).served_only(*EDGE, offset_s=2)
    history = story.history()
    assert history.calls_in(history.windows()["fault"]).collect().height == 2
    assert history.calls_in(history.windows()["baseline"]).collect().height == 0


def test_a_stored_history_is_the_same_history(tmp_path: Path) -> None:
    """Writing and loading change neither calls, events, facts nor the verdict, and a whole file has no defect."""
    story = Story().steady(EDGE)
    recorded, read = story.history(), History.load(stored(tmp_path, story))
    assert read.calls.collect().equals(recorded.calls.collect())
    assert (read.events, read.facts, read.completeness()) == (recorded.events, recorded.facts, ())
    claim = always(success_rate(EDGE, at_least=0.999))
    assert judge(read, [claim]).encode() == judge(recorded, [claim]).encode()


def test_a_short_run_is_read_once_and_a_long_one_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked often, the calls of an ordinary run come into memory; more than a bound of them do not."""
    read = History.load(stored(tmp_path, Story().steady(EDGE)))
    kept, rows = read.at_hand(), read.calls.collect().height
    monkeypatch.setattr(history, "KEPT_ROWS", rows - 1)
    assert read.at_hand() is read
    (tmp_path / "calls.parquet").unlink()
    assert kept.calls.collect().height == rows


def test_writing_puts_calls_and_events_in_order(tmp_path: Path) -> None:
    """Calls are stored by schedule and events by clock, in whatever order they were collected."""
    story = Story().steady(EDGE)
    write_history(tmp_path, story.table().reverse(), story.all_events()[::-1], story.facts())
    assert History.load(tmp_path).completeness() == ()


def test_loading_ignores_what_others_add_to_run_json(tmp_path: Path) -> None:
    """Keys that the report adds to run.json neither break nor unseal the history."""
    bundle = stored(tmp_path, Story().steady(EDGE))
    run = bundle / "run.json"
    run.write_text(run.read_text().replace("{", '{"host": {"kernel": "6.1"},', 1))
    assert History.load(bundle).completeness() == ()


def test_an_edited_table_is_named(tmp_path: Path) -> None:
    """A calls.parquet that was rewritten after the run, here without its failures, is a defect that names the file."""
    bundle = stored(tmp_path, Story().steady(EDGE))
    table = bundle / "calls.parquet"
    pl.read_parquet(table).with_columns(pl.lit("ok").alias("outcome")).head(5).write_parquet(table)
    assert ("edited", "calls.parquet") in {(d.kind, d.subject) for d in History.load(bundle).completeness()}


def test_an_edited_event_is_named(tmp_path: Path) -> None:
    """An events.jsonl with one changed byte is a defect that names the file."""
    bundle = stored(tmp_path, Story().steady(EDGE))
    events = bundle / "events.jsonl"
    events.write_bytes(events.read_bytes().replace(b'"observer":"nodes"', b'"observer":"ghost"', 1))
    assert [(d.kind, d.subject) for d in History.load(bundle).completeness()] == [("edited", "events.jsonl")]


@pytest.mark.parametrize("name", ["calls.parquet", "events.jsonl", "run.json"])
@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_an_unreadable_file_is_named(tmp_path: Path, name: str, harm: str) -> None:
    """A file that is missing or cut short is named in one sentence, and the program ends as inconclusive."""
    path = stored(tmp_path, Story().steady(EDGE)) / name
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match=name) as caught:
        History.load(tmp_path)
    assert caught.value.exit_code == 2


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    """A calls.parquet without one of the columns is refused, not read as if that column were empty."""
    bundle = stored(tmp_path, Story().steady(EDGE))
    pl.read_parquet(bundle / "calls.parquet").drop("peer").write_parquet(bundle / "calls.parquet")
    with pytest.raises(FileError, match="columns"):
        History.load(bundle)


def test_the_schema_has_both_witnesses() -> None:
    """The table has a column for what the caller saw and one for what the server saw of who served and when."""
    assert {"outcome", "server_pod", "served_pod", "served_ns", "peer"} <= set(CALLS_SCHEMA.names())
