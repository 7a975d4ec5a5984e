"""The hand-written pages match the code: drills, faults, commands and links."""

import inspect
import re
from pathlib import Path

import pytest
from typer.main import get_command

from drills.cli import app as cli
from drills.cli import docs
from drills.run import faults
from drills.run.catalogue import entries

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "drills/README.md", "drills/WRITING_A_DRILL.md", "reports/EVIDENCE.md", "reports/FINDINGS.md")


def text(page: str) -> str:
    """Return a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def first_cells(page: str, heading: str) -> set[str]:
    """Return what stands in code letters in the first cells of a table: the one below that head."""
    lines = text(page).split(f"{heading}\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return {name for line in lines for name in re.findall(r"`([^`]+)`", line.replace("\\|", "/").split("|")[1])}


def test_every_drill_is_in_the_catalogue_that_people_read() -> None:
    """The table has each drill that `meshdrill list` prints, and no other."""
    assert first_cells("drills/README.md", "| drill | fault | question |") == {it.name for it in entries()}


def test_every_fault_is_in_the_table_with_its_arguments() -> None:
    """The table has each fault that a drill may name, with its arguments but for the hold."""
    made = [it for name, it in inspect.getmembers(faults, inspect.isfunction) if name in faults.__all__]
    signatures = {
        f"{it.__name__}({', '.join(name for name in inspect.signature(it).parameters if name != 'hold_s')})"
        for it in made
    }
    assert first_cells("drills/README.md", "| fault | what it does | what observes it |") == signatures


def test_every_command_is_in_the_table() -> None:
    """The README names each command of meshdrill, and no other."""
    named = {it.split()[1] for it in re.findall(r"^\| `(meshdrill [^`]+)`", text("README.md"), flags=re.MULTILINE)}
    assert named == set(get_command(cli.app).commands)  # type: ignore[attr-defined]  # a group, as it has commands


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each link of a page that is no address on the web is a file or a folder here."""
    links = re.findall(r"\]\(([^)#\s]+)", text(page))
    assert links
    assert [it for it in links if not it.startswith("http") and not (ROOT / page).parent.joinpath(it).exists()] == []


def test_what_is_quoted_from_a_report_stands_there() -> None:
    """The README's example is the report's own words."""
    quoted = [line for line in text("README.md").splitlines() if line.startswith("> ")]
    address = re.search(r"\[a real run\]\(([^)]+)\)", text("README.md"))
    assert address is not None
    report = " ".join(text(address[1]).replace(">", " ").split())
    words = [" ".join(line.replace(">", " ").split()) for line in quoted]
    assert [line for line in words if line.strip("*") not in report] == []


def test_the_page_of_checks_is_made_from_the_checks() -> None:
    """CHECKS.md is what the docstrings say now; `python -m drills.cli.docs > drills/CHECKS.md` writes it."""
    assert text("drills/CHECKS.md") == docs.checks_page()
