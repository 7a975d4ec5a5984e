"""`chaos report` reads our journals: with its plugin where that is installed, else by what the plugin reads."""

import json
from pathlib import Path
from typing import Any

import pytest

REPORTS = Path(__file__).resolve().parents[3] / "reports"
JOURNALS = sorted(REPORTS.glob("*/*/*/journal.json"))
RUN_KEYS = {"activity", "start", "end", "duration", "status"}


def read(path: Path) -> dict[str, Any]:
    """Return a journal."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_there_are_journals() -> None:
    """Real runs left journals to read."""
    assert JOURNALS


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: "/".join(path.parts[-4:-1]))
def test_a_journal_has_what_chaos_report_reads(path: Path) -> None:
    """Experiment, platform, times, the look at the steady state, and every step with its own times and status."""
    journal = read(path)
    assert {"chaoslib-version", "platform", "node", "status", "start", "end", "duration", "deviated"} <= set(journal)
    experiment = journal["experiment"]
    assert {"title", "description", "tags", "steady-state-hypothesis", "method", "rollbacks"} <= set(experiment)
    looks = [look for look in journal["steady_states"].values() if look]
    assert looks
    assert all({"steady_state_met", "probes"} <= set(look) for look in looks)
    steps = [*journal["run"], *journal["rollbacks"]]
    assert len(steps) == len(experiment["method"]) + len(experiment["rollbacks"])
    assert all(set(step) >= RUN_KEYS for step in steps)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: "/".join(path.parts[-4:-1]))
def test_chaos_report_makes_a_document_of_a_journal(path: Path) -> None:
    """The plugin itself renders hypothesis and every step; `pip install '.[chaos-report]'` brings it."""
    chaosreport = pytest.importorskip("chaosreport", reason="chaostoolkit-reporting is not installed")
    journal = read(path)
    text = chaosreport.generate_report(journal, "markdown")
    assert journal["experiment"]["description"].splitlines()[0] in text
    assert all(step["activity"]["name"] in text for step in journal["run"])
