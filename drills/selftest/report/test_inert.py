"""Whatever was recorded is text and nothing else, in every format: each page keeps the structure of a harmless one."""

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from clusters.model import KnownIssue
from drills.judge import known
from drills.judge.verdict import Outcome
from drills.report import blocks, bundles, figures, junit, markdown, openmetrics
from drills.report.adr import record as adr
from drills.report.adr.citations import Citations
from drills.report.audit import answer
from drills.report.audit import text as audit_text
from drills.report.compare import diff_md, runs
from drills.report.index import cells, index_html, index_md
from drills.report.index.beliefs import NoFault
from drills.report.page import report_html, report_md
from drills.selftest.doubles import hostile, outage_bundle

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
QUICK = settings(max_examples=200, deadline=None)
FEW = settings(max_examples=25, deadline=None)
HARMLESS = "x"
texts = st.text(st.sampled_from("\\`*_[]()<>!#&;|~$-+=.1\"'/:{}%^ \t\n\r\x00\x1b\x9b\u202e\u2028\u00e9ab"), max_size=16)
hostile_texts = texts | st.sampled_from(hostile.PAYLOADS)


def structure(page: str) -> list[str]:
    """Return the elements of a Markdown page in their order, with raw HTML and links as they are, without its text.

    Lines and paragraphs of a quotation are those that were recorded, and are left out.
    """
    found: list[str] = []
    is_quoted = False
    for token in READER.parse(page):
        is_quoted = token.type == "blockquote_open" or (is_quoted and token.type != "blockquote_close")
        left_out = {"text", "text_special", *(("softbreak",) if is_quoted else ())}
        parts = [it for it in token.children or () if it.type not in left_out]
        if not is_quoted or token.type not in {"inline", "paragraph_open", "paragraph_close"}:
            found.append(f"{token.type} {token.tag} {_html(token.content) if token.type == 'html_block' else ''}")
        found += [f"{it.type} {it.content if it.type == 'html_inline' else ''}{_address(it.attrs)}" for it in parts]
    return found


def _html(content: str) -> str:
    return re.sub("sha256=[0-9a-f]{12} ", "", content)


def _address(attributes: object) -> str:
    """Return the part of a link's address that is not recorded."""
    address = str(attributes.get("href", "")) if isinstance(attributes, dict) else ""
    return re.sub(r"(https?://)[^ ]*", r"\1", address)


def shown(page: str) -> list[str]:
    """Return the text of each block of a Markdown page, without the spaces of no width in mentions."""
    found = ["".join(it.content for it in token.children or ()) for token in READER.parse(page) if token.children]
    return [it.replace("\u200b", "") for it in found]


def plain(text: str) -> str:
    """Return recorded text as a person shall see it."""
    return "".join(
        it if it.isprintable() else it.encode("unicode_escape").decode() for it in " ".join(text.split())
    ).strip()


@QUICK
@given(hostile_texts)
def test_text_of_markdown_reads_as_it_was_recorded(text: str) -> None:
    """A paragraph, an item of a list, a heading, a quotation, a cell, the words of a link: each holds that text."""
    quotation = markdown.template("report.md.j2").environment.filters["quoted"](text or "x")
    words = plain(text)
    (cells, *_), wanted = markdown.table(("a", "b"), [(text, "end")])[2:], ["a", "b", words, "end"]
    assert shown(markdown.text(f"{text}.")) == [plain(f"{text}.")]
    assert shown(f"- {markdown.text(text)} end") == [f"{words} end".strip()]
    assert shown(f"### {markdown.text(text)}: end") == [f"{words}: end"]
    assert [it for it in shown(f"| a | b |\n|---|---|\n{cells}") if it] == [it for it in wanted if it]
    assert structure(quotation) == structure("> text")
    (link,) = shown(f"{markdown.link(text, 'https://example.org')} end")
    assert link == f"{words} end"


@pytest.mark.parametrize("named", ["@octocat", "(@org/team", "see @octocat, @a"])
def test_no_recorded_text_calls_a_user_of_a_hosting_service(named: str) -> None:
    """The comparison of runs is a comment on a pull request, where each name behind a sign gets a message."""
    parts = READER.parseInline(markdown.cell(named))[0].children or []
    assert not [it for it in parts if re.search(r"@\w", it.content)]
    assert shown(markdown.text(named)) == [named]
    assert markdown.cell("image@sha256:ab, a@example.org") == "image@sha256:ab, a@example.org"


@QUICK
@given(hostile_texts)
def test_an_address_is_a_link_only_over_http(text: str) -> None:
    """Another scheme stays text; what follows the scheme cannot end the link or the line."""
    assert structure(markdown.link("a", text)) == structure("a (b)") or text.startswith("http")
    assert structure(f"| {markdown.link('a', 'https://example.org/' + text)} |") == structure("| [a](https://b) |")


@QUICK
@given(hostile_texts)
def test_a_span_of_code_ends_where_it_should(text: str) -> None:
    """Backticks in it do not end it, and it shows the text that was recorded."""
    wanted = [plain(text)] if plain(text) else []
    spans = [part.content for token in READER.parse(f"{markdown.code(text)} end") for part in token.children or ()]
    assert [it for it in spans if it.strip() != "end"] == wanted
    (block,) = READER.parse(markdown.code_line(f"x{text}"))
    assert (block.type, block.content) == ("code_block", f"{plain(f'x{text}')}\n")


@cache
def run() -> bundles.Run:
    """Return a run with something of everything that a page shows: failures, known issues, links, examples."""
    story = outage_bundle.outage()
    verdict = outage_bundle.verdict_of(story)
    return bundles.Run(Path("runs/bundle"), verdict, outage_bundle.ENVIRONMENT, story.history(), "ab" * 32, "unsigned")


def indexed(it: bundles.Run) -> tuple[cells.Run, cells.Run]:
    """Return the run as an index shows it, and a no-fault control with claims that the mesh does not promise."""
    shown = cells.Run(
        drill="drill",
        mesh="mesh",
        folder="20260101T000000Z",
        link="drill/mesh/20260101T000000Z/report.html",
        standing=it.verdict.standing,
        passed=it.verdict.passed,
        is_control=False,
        headline=figures.headline(it.verdict, it.history),
        mesh_title=it.environment.mesh_title,
        hypothesis=f"said: {it.environment.hypothesis}",  # an index shows its first line
        expected=tuple(finding.promise for finding in it.verdict.findings if finding.promise),
    )
    never_promised = tuple(finding.id for finding in it.verdict.findings)
    return shown, msgspec.structs.replace(shown, no_fault=NoFault(Outcome.HELD, never_promised))


def pages(it: bundles.Run) -> dict[str, str]:
    """Return every output about the run, by its format."""
    (mesh,) = titles = {it.verdict.mesh: it.environment.mesh_title}
    at_ns = answer.start_ns(it) + 20_000_000_000
    edge = it.history.facts.callers[0]
    asked = answer.ask(it, answer.Question(at_ns, edge.source, edge.target), lambda *_: True)
    issues = [KnownIssue(finding.id, finding.promise) for finding in it.verdict.findings if finding.promise]
    record = Citations((it,), titles, Path("runs"), {(it.verdict.drill, mesh): it.environment.hypothesis})
    return {
        "report.md": report_md.render(it.history, it.verdict, it.environment, "bundle"),
        "adr": adr.render("Which mesh", record, adr.STALE_AFTER_DAYS),
        "diff": diff_md.render(runs.compare([it], [it])),
        "report.html": report_html.render(it.history, it.verdict, it.environment, it.bundle),
        "junit": junit.render(it.history, it.verdict).decode(),
        "openmetrics": openmetrics.render([it]),
        "judge": it.verdict.explain(),
        "known": known.describe(it.verdict, issues),
        "audit": audit_text.render(asked),
        "index.md": index_md.render(indexed(it)),
        "index.html": index_html.render(indexed(it), {("drill", "mesh"): it.environment.hypothesis}),
    }


class Elements(HTMLParser):
    """The elements of an HTML page in their order, with their attributes; an address only by its scheme."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, but neither the paragraphs of a hypothesis nor a possible break after an underscore."""
        if tag not in {"wbr", "p"}:
            addresses = [re.findall("^(?:#|[a-z]*:|)", value or "") for name, value in attrs if name == "href"]
            self.found.append(f"{tag} {[name for name, _ in attrs]} {addresses}")


def html(page: str) -> list[str]:
    """Return the elements of an HTML page."""
    reader = Elements()
    reader.feed(page)
    return reader.found


def xml(page: str) -> list[str]:
    """Return the elements of an XML document, with the names of their attributes."""
    return [f"{it.tag} {sorted(it.keys())}" for it in ET.fromstring(page).iter()]  # noqa: S314 - our own document


def samples(page: str) -> list[str]:
    """Return the samples of an OpenMetrics document, with the names of their labels."""
    families = text_string_to_metric_families(page)
    return [f"{it.name} {sorted(it.labels)} {it.value}" for family in families for it in family.samples]


def lines(text: str) -> list[str]:
    """Return as many empty texts as there are lines."""
    return ["" for _ in text.split("\n")]


OUTLINES = {
    "report.html": html,
    "index.html": html,
    "junit": xml,
    "openmetrics": samples,
    "judge": lines,
    "known": lines,
    "audit": lines,
}


def outlines(it: bundles.Run) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each output and its structure."""
    for name, page in pages(it).items():
        yield name, OUTLINES.get(name, structure)(page)


@cache
def harmless() -> dict[str, list[str]]:
    """Return the structure of each output about a run with harmless text."""
    return dict(outlines(hostile.of_run(run(), HARMLESS)))


@FEW
@given(hostile_texts.filter(lambda it: it.strip()))
@example(hostile.PAYLOADS[0])
@example(hostile.PAYLOADS[6])
@example(hostile.PAYLOADS[9])
def test_no_recorded_text_changes_the_structure_of_an_output(text: str) -> None:
    """With the text in every string of a bundle, each output has the elements of a harmless one."""
    for name, outline in outlines(hostile.of_run(run(), text)):
        assert outline == harmless()[name], name


@pytest.mark.parametrize("text", hostile.PAYLOADS)
def test_every_output_prints(text: str) -> None:
    """No output holds a character that moves a cursor, reverses a line or is no text."""
    for name, page in pages(hostile.of_run(run(), text)).items():
        odd = {it for it in page if not it.isprintable() and it not in "\n\t"}
        assert not odd or name.endswith(".html"), (name, odd)


@pytest.mark.parametrize("text", hostile.PAYLOADS)
def test_a_record_with_recorded_text_can_be_updated(text: str) -> None:
    """No mesh's title, for example, poses as a marker of a generated block."""
    page = pages(hostile.of_run(run(), text))["adr"]
    assert len(list(blocks._blocks(page.splitlines(keepends=True)))) == page.count("<!-- meshdrill:begin")
