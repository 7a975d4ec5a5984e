"""The decision record: what bundles say, the marks for a person, and what an update keeps."""

import inspect
import re
import shutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from clusters import meshes
from drills.cli import app as cli
from drills.cli import exits
from drills.judge import checks
from drills.judge.claims import never
from drills.report import bundles
from drills.report.adr import record
from drills.report.adr.citations import Citations
from drills.report.trust import keys
from drills.selftest.doubles.decision_bundles import section, write
from drills.selftest.doubles.many_runs import EDGE, broken, bundle, quiet

SECTIONS = (
    "## Context",
    "## Decision",
    "## Scope",
    "## Invariants",
    "## Alternatives Considered",
    "## Consequences",
    "## Rollback Plan",
    "## Evidence Required",
    "## Review Before Production",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return runs of two drills on two meshes, and the control of one of them."""
    place = tmp_path_factory.mktemp("made")
    bundle(place, quiet(back_after_s=4))
    bundle(place, quiet(), drill="node-outage")
    bundle(place, broken(), mesh="mesh-b")
    bundle(place, quiet(is_control=True), mesh="bare")
    return place


@pytest.fixture
def reports(made: Path, tmp_path: Path) -> Path:
    """Return a copy of those runs."""
    return Path(shutil.copytree(made, tmp_path / "reports"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where the record goes."""
    return tmp_path / "decisions" / "0001.md"


def test_a_new_record_has_every_section_in_order(reports: Path, out: Path) -> None:
    """Title and all sections stand there, and nothing in Decision and Scope is generated."""
    text = write(reports, out, "--title", "Which mesh")
    assert text.startswith("# Which mesh\n")
    assert re.findall(r"^## .+$", text, flags=re.MULTILINE) == list(SECTIONS)
    for heading in ("## Decision", "## Scope"):
        assert "meshdrill:begin" not in section(text, heading)
        assert all(record.FOR_A_PERSON in line for line in section(text, heading).split("\n") if line.startswith("-"))


def test_the_record_says_where_policy_is_enforced(reports: Path, out: Path) -> None:
    """For each kind of policy: who binds a caller to a name, where traffic is taken up, who enforces."""
    part = section(write(reports, out, "--title", "Which mesh"), "## Context")
    row = r"\| The mesh-a \| A rule \| a certificate \| in the pod \| the called pod's proxy \| (\[\w{12}\] ?)+"
    assert re.search(row, part)


def test_every_line_of_evidence_names_its_bundle(reports: Path, out: Path) -> None:
    """Each row with an answer refers to a statement's hash, and each reference is a link to a file that exists."""
    text = write(reports, out, "--title", "Which mesh")
    rows = [line for line in text.splitlines() if line.startswith("|") and re.search("HELD|VIOLATED", line)]
    assert len(rows) > 15
    assert all(re.search(r"\[[0-9a-f]{12}\]", row) for row in rows), rows
    links = dict(re.findall(r"^\[([0-9a-f]{12})\]: (.+)$", text, flags=re.MULTILINE))
    assert set(re.findall(r"\[([0-9a-f]{12})\]", text)) == set(links)
    assert all((out.parent / link).is_file() for link in links.values())
    assert all(re.search(rf"`{short}[0-9a-f]{{52}}`", text) for short in links)


def test_a_reader_of_markdown_sees_tables_and_links(reports: Path, out: Path) -> None:
    """Rendered, no marker and no bare reference is left, and every table is one."""
    page = MarkdownIt("commonmark").enable("table").render(write(reports, out, "--title", "Which mesh"))
    seen = re.sub(r"<!--.*?-->", "", page)
    assert "meshdrill:" not in seen
    assert re.search(r'<a href="\.\./reports/brain-outage/mesh-a/20260101T000000Z/report\.md">\w{12}</a>', seen)
    assert not re.search(r"\[[0-9a-f]{12}\]", seen)
    assert not re.search(r"^\|", seen, flags=re.MULTILINE)


def test_the_alternatives_show_what_is_known_of_each_mesh(reports: Path, out: Path) -> None:
    """Violated, held and never asked differ; every known mesh is an alternative, with a line to fill in."""
    part = section(write(reports, out, "--title", "Which mesh"), "## Alternatives Considered")
    head, _, outage, node = [line.split(" | ") for line in part.splitlines() if line.startswith("|")]
    answers = dict(zip(head, outage, strict=True))
    assert answers["The mesh-a"].startswith("**HELD**, 1 run [")
    assert answers["The mesh-b"].startswith("**VIOLATED**, 1 run [")
    assert answers["control"].startswith("the drill detects failures [")
    node_answers = dict(zip(head, node, strict=True))
    assert node_answers["The mesh-b"] == "no evidence"
    assert node_answers["control"].startswith("no control")
    for mesh in map(meshes.load, meshes.names()):
        is_alternative = mesh.name in meshes.products() and not mesh.is_control
        assert (f"- {mesh.title}: **{record.FOR_A_PERSON}" in part) is is_alternative


def test_a_drill_that_cannot_be_asked_says_why(reports: Path, out: Path) -> None:
    """A mesh without the part that a drill breaks differs from one without a run."""
    runs = bundles.read_all([reports])
    citations = Citations(
        runs, {"mesh-a": "A", "mesh-b": "B"}, out.parent, {("node-outage", "mesh-b"): "B has no node agent"}
    )
    part = section(record.render("x", citations, 90), "## Alternatives Considered")
    (row,) = [line for line in part.splitlines() if line.startswith("| node-outage |")]
    assert "cannot be asked: B has no node agent" in row


def test_a_repeat_never_hides_a_failure(reports: Path, out: Path) -> None:
    """Of several runs of one question the worst counts, and each answer names its runs."""
    bundle(reports, quiet(), mesh="mesh-b", folder="20260102T000000Z")
    part = section(write(reports, out, "--title", "Which mesh"), "## Alternatives Considered")
    assert re.search(r"\*\*VIOLATED\*\*, 1 of 2 runs VIOLATED: \[\w{12}\]; HELD: \[\w{12}\]", part)


def test_a_claim_says_whether_it_was_seen_to_fail(reports: Path, out: Path) -> None:
    """A claim that the control violated differs from one without a control, and from one that detected nothing."""
    part = section(write(reports, out, "--title", "Which mesh"), "### All in-scope traffic is mTLS")
    assert re.search(r"\| yes, control of 1 of 2 drills: \[\w{12}\] \|", part)
    blind = quiet()
    blind.is_control = True
    bundle(reports, blind, drill="node-outage", mesh="bare")
    text = write(reports, out)
    assert "**FAILED, do not trust this row** [" in text
    assert re.search(r"\| \*\*NO\*\*: \[\w{12}\] \|", section(text, "### All in-scope traffic is mTLS"))


def test_a_failure_that_a_signal_told_of_is_one_without_a_mesh(tmp_path: Path, out: Path) -> None:
    """The control shows that the question can be failed, whether or not somebody heard of it."""
    alerted = never(checks.plaintext(EDGE), alert="control-plane-down", within_s=10, fails_on_control=True)
    bundle(tmp_path / "reports", quiet(), claims={"no-plaintext": alerted})
    bundle(
        tmp_path / "reports", quiet(is_control=True, signal_after_s=0.1), mesh="bare", claims={"no-plaintext": alerted}
    )
    part = section(write(tmp_path / "reports", out, "--title", "Which mesh"), "### All in-scope traffic is mTLS")
    assert re.search(r"\| yes, control of 1 of 1 drill: \[\w{12}\] \|", part), part


def test_staleness_is_a_date_of_the_oldest_run(reports: Path, out: Path) -> None:
    """The day follows from when the runs were made, not from when the record is written."""
    assert "**It is stale from 2024-02-12 on**" in write(reports, out, "--title", "x")
    assert "**It is stale from 2023-11-15 on**" in write(reports, out, "--stale-after-days", "1")


def test_the_command_line_states_the_default_life_of_evidence() -> None:
    """What --help says is what the record would use."""
    assert inspect.signature(cli.adr).parameters["stale_after_days"].default == record.STALE_AFTER_DAYS


def test_stale_evidence_is_told_when_it_is_cited(reports: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record from old runs says so, and how many fields a person has to fill in."""
    text = write(reports, out, "--title", "x")
    recorded = capsys.readouterr().out
    assert recorded.count("STALE:") == 4
    assert f"{text.count(record.FOR_A_PERSON)} fields are for a person to fill in" in recorded


def test_the_same_bundles_give_the_same_record(reports: Path, out: Path) -> None:
    """Nothing in the record depends on when or how often it is written."""
    first = write(reports, out, "--title", "x")
    assert write(reports, out) == first


def test_an_update_keeps_what_a_person_wrote(reports: Path, out: Path) -> None:
    """Filled-in fields and added sections stay; the generated parts know the new run."""
    text = write(reports, out, "--title", "x")
    text = text.replace("**[FOR A PERSON: names and roles]**", "Ada, who owns the platform")
    text = text.replace("## Rollback Plan", "## Objections\n\nBob fears the upgrade.\n\n## Rollback Plan")
    out.write_text(text, encoding="utf-8")
    bundle(reports, quiet(), drill="node-outage", mesh="mesh-b")
    updated = write(reports, out)
    assert "Ada, who owns the platform" in updated
    assert "Bob fears the upgrade." in updated
    assert "The evidence: 5 runs" in updated
    outside = re.compile(r"<!-- meshdrill:begin (\S+).*?<!-- meshdrill:end \1 -->", flags=re.DOTALL)
    assert outside.sub("", updated) == outside.sub("", text)


def test_blocks_that_were_removed_come_back_in_their_sections(reports: Path, out: Path) -> None:
    """Every block knows a heading that a new record really has."""
    text = write(reports, out, "--title", "x")
    every = re.compile(r"<!-- meshdrill:begin (\S+).*?<!-- meshdrill:end \1 -->\n", flags=re.DOTALL)
    out.write_text(every.sub("", text), encoding="utf-8")
    updated = write(reports, out)
    assert re.findall(r"^#+ .+$", updated, flags=re.MULTILINE) == re.findall(r"^#+ .+$", text, flags=re.MULTILINE)
    assert {it[1] for it in every.finditer(updated)} == {it[1] for it in every.finditer(text)}


@pytest.mark.parametrize("name", ["calls.parquet", "statement.dsse.json"])
def test_a_bundle_that_is_not_as_stated_is_not_cited(
    reports: Path, out: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One changed or missing file, and the record is not written: exit 2 and the bundle's name."""
    (next(reports.rglob(name))).unlink()
    assert cli.status(["adr", "--title", "x", "--out", str(out), str(reports)]) == exits.INCONCLUSIVE
    assert "cannot count as evidence" in capsys.readouterr().err
    assert not out.exists()


def test_a_key_must_have_signed_every_bundle(
    reports: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a public key, an unsigned bundle is refused and a signed one is cited as such."""
    keys.generate(tmp_path / "key")
    signed = bundle(tmp_path / "signed", quiet(), key=tmp_path / "key")
    public = ["--key", str(tmp_path / "key.pub")]
    assert cli.status(["adr", "--title", "x", "--out", str(out), *public, str(reports)]) == exits.INCONCLUSIVE
    assert "unsigned" in capsys.readouterr().err
    assert "is good |" in write(signed, out, "--title", "x", *public)


@pytest.mark.parametrize(
    ("words", "recorded"),
    [(["--title", "another"], "has another title than"), ([], "the generated block")],
)
def test_what_cannot_be_updated_stays(
    reports: Path, out: Path, words: list[str], recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another title and an edited block end with 64, say what to do, and leave the file as it was."""
    text = write(reports, out, "--title", "x")
    if not words:
        text = text.replace("Plaintext after an undo:", "Plaintext after an undo: none, I am sure.")
        out.write_text(text, encoding="utf-8")
    assert cli.status(["adr", "--out", str(out), *words, str(reports)]) == exits.USAGE
    assert recorded in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == text


def test_a_new_record_needs_a_title_and_bundles(
    reports: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a title it is wrong usage; a folder without any bundle is named."""
    assert cli.status(["adr", "--out", str(out), str(reports)]) == exits.USAGE
    assert "needs --title" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert cli.status(["adr", "--title", "x", "--out", str(out), str(tmp_path / "empty")]) == exits.INCONCLUSIVE
    assert "holds no bundle" in capsys.readouterr().err
