"""The HTML pages in a real Chromium: on a phone, on paper, in the dark, without script, and for a screen reader.

They need `pip install '.[browser]'` and a Chromium on PATH (Debian: `apt-get install chromium`).
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from clusters.model import KnownIssue, Reference
from drills.judge.events import FaultInjected, Phase, UndoApplied, UndoVerified
from drills.judge.verdict import Outcome
from drills.report import evidence
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.story import Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright", reason="no Playwright: pip install '.[browser]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: pip install '.[browser]'")

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 60_000  # two cores that others load as well
_PHONE, _DESK = 360, 1280
_PAGES = ("run", "control", "nothing", "index", "full")
_MESHES = ("a-mesh", "b-mesh", "c-mesh", "d-mesh", "e-mesh")

Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a page of each kind: a run with a failure, a violated control, a run of nothing, the index over them."""
    reports = tmp_path_factory.mktemp("reports")
    run = outage_bundle.bundle_of(outage_bundle.outage(), reports / "test-drill" / "story" / "20260101T000000Z")
    verdict = outage_bundle.verdict_of(outage_bundle.outage())
    findings = tuple(
        msgspec.structs.replace(it, outcome=Outcome.VIOLATED, fails_on_control=True) for it in verdict.findings
    )
    violated = msgspec.structs.replace(verdict, outcome=Outcome.VIOLATED, findings=findings, is_control=True)
    control = outage_bundle.bundle_of(
        outage_bundle.outage(), reports / "test-drill" / "bare" / "20260102T000000Z", violated
    )
    empty = Story().without(Phase, FaultInjected, UndoApplied, UndoVerified)
    nothing = outage_bundle.bundle_of(empty, reports / "other-drill" / "story" / "20260103T000000Z")
    evidence.write_index(reports, {("other-drill", "bare"): "no mesh has no such part"})
    return {
        "full": full_index(tmp_path_factory.mktemp("full")),
        "run": run / "report.html",
        "control": control / "report.html",
        "nothing": nothing / "report.html",
        "index": reports / "index.html",
    }


def full_index(reports: Path) -> Path:
    """Return the index over as many meshes as there are, with the longest answer, and a failure known at length."""
    said = "The kubelet must miss seven looks, ten seconds apart, and a partition spares it (charts/destination)"
    listed = tuple(
        KnownIssue(it.id, Reference(f"{said} {number}", "https://example.org/known", "1.0", "source"))
        for number, it in enumerate(outage_bundle.verdict_of(outage_bundle.outage()).findings[:2])
    )
    for mesh in _MESHES:
        place = reports / "a-drill-with-a-long-name" / mesh / "20260101T000000Z"
        verdict = outage_bundle.verdict_of(outage_bundle.outage())
        if mesh == _MESHES[0]:
            known = {it.claim for it in listed}
            findings = tuple(
                msgspec.structs.replace(it, outcome=Outcome.VIOLATED if it.id in known else Outcome.HELD)
                for it in verdict.findings
            )
            verdict = msgspec.structs.replace(verdict, outcome=Outcome.VIOLATED, passed=False, findings=findings)
        outage_bundle.bundle_of(outage_bundle.outage(), place, verdict, listed if mesh == _MESHES[0] else ())
    evidence.write_index(reports, {})
    return reports / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Return a Chromium of this machine; skip where there is none."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the extra may be absent

    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(_NAMES)} is on PATH")
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox itself as root; it opens nothing but files of ours.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=_PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture
def visit(browser: "Browser", pages: dict[str, Path]) -> Iterator[Visit]:
    """Return what opens a page of ours at a width; a request that leaves it, or a complaint of it, fails the test."""
    trouble: list[str] = []

    def opened(name: str, width: int = _DESK, *, scheme: str = "light", script: bool = True) -> "Page":
        address = pages[name].as_uri()
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=script,
        )
        context.set_default_timeout(_PATIENCE_MS)
        page = context.new_page()
        page.on("request", lambda it: trouble.append(f"asked for {it.url}") if it.url != address else None)
        page.on("console", lambda it: trouble.append(it.text))
        page.on("pageerror", lambda it: trouble.append(str(it)))
        page.goto(address)
        return page

    yield opened
    for context in browser.contexts:
        context.close()
    assert trouble == []


def unfold(page: "Page") -> None:
    """Open everything that is folded."""
    page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")


@pytest.mark.parametrize(("scheme", "width"), [("light", _DESK), ("dark", _PHONE)])
@pytest.mark.parametrize("name", _PAGES)
def test_no_rule_of_accessibility_is_broken(visit: Visit, name: str, scheme: str, width: int) -> None:
    """Axe finds no violation in light and in dark, wide and narrow, with everything unfolded."""
    page = visit(name, width, scheme=scheme)
    unfold(page)
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert found.response["passes"], "axe looked at nothing"


@pytest.mark.parametrize("width", [_PHONE, _DESK])
@pytest.mark.parametrize("name", _PAGES)
def test_a_page_never_scrolls_sideways(visit: Visit, name: str, width: int) -> None:
    """Nothing is wider than the page, unfolded or not: wide tables scroll in their own frame."""
    page = visit(name, width)
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") == width
        unfold(page)


@pytest.mark.parametrize("width", [_PHONE, _DESK])
def test_nothing_in_the_matrix_leaves_its_cell(visit: Visit, width: int) -> None:
    """Five meshes side by side: no answer and no known failure is written over its neighbour."""
    page = visit("full", width)
    cells = page.locator(".matrix td")
    assert cells.count() == len(_MESHES)
    assert page.locator(".matrix .of-issue a:visible").count() == 2
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.matrix td')].filter(it => it.scrollWidth > it.clientWidth).length"
        )
        == 0
    )


def test_an_answer_is_broken_between_its_words(visit: Visit) -> None:
    """In a narrow cell FAILED_OBSERVABLY stands in two lines, not in letters; elsewhere it stands in one."""
    page = visit("full")
    heights = {
        place: page.locator(f"{place} .badge.FAILED_OBSERVABLY").first.evaluate(
            "it => it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight)"
        )
        for place in (".matrix td", "table:not(.matrix) td")
    }
    assert heights[".matrix td"] == pytest.approx(2, abs=0.3)
    assert heights["table:not(.matrix) td"] == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("name", ["run", "control"])
def test_what_is_broken_is_open_and_what_held_is_folded(visit: Visit, name: str) -> None:
    """A reader sees the reasons of broken claims without a click, and each answer in words beside its shape."""
    page = visit(name)
    for claim in page.query_selector_all("details.claim"):
        answer = claim.query_selector("summary .badge")
        assert answer is not None
        assert answer.inner_text().strip() in {it.value for it in Outcome}
        assert answer.query_selector("svg use") is not None
        assert (claim.get_attribute("open") is None) == (answer.inner_text().strip() == "HELD")


def test_shapes_tell_the_answers_apart_without_colour(visit: Visit) -> None:
    """Each answer has a shape of its own."""
    page = visit("index")
    shapes = page.evaluate("[...document.querySelectorAll('symbol')].map(it => it.innerHTML)")
    assert len(shapes) == len(set(shapes)) == len(Outcome)


def test_the_timeline_is_drawn_to_scale(visit: Visit) -> None:
    """The fault's mark lies where the fault is hatched, on a phone as on a desk."""
    for width in (_PHONE, _DESK):
        page = visit("run", width)
        plot = page.locator(".plot.tall").first.bounding_box()
        mark = page.locator(".line .no").first.bounding_box()
        assert plot is not None
        assert mark is not None
        assert mark["x"] + mark["width"] / 2 == pytest.approx(plot["x"] + 0.2 * plot["width"], abs=2)
        assert plot["width"] > width / 2


@pytest.mark.parametrize("width", [_PHONE, _DESK])
def test_no_label_of_the_timeline_is_squeezed(visit: Visit, width: int) -> None:
    """Whatever a row has to tell beside it, its name takes at most three lines, and its drawing most of a phone."""
    page = visit("run", width)
    page.evaluate("for (const it of document.querySelectorAll('.row > .s')) it.textContent += ', and more'.repeat(9)")
    labels = page.evaluate("[...document.querySelectorAll('.row > .t')].map(it => it.getBoundingClientRect().height)")
    assert labels
    assert max(labels) < 3 * 24
    plots = page.evaluate("[...document.querySelectorAll('.row > .plot')].map(it => it.getBoundingClientRect().width)")
    assert min(plots) > width / 2.2


def test_paper_shows_what_is_folded(visit: Visit) -> None:
    """In print the numbers of a claim that held are visible, with script or without."""
    for script in (True, False):
        page = visit("run", script=script)
        numbers = page.locator("details.claim:not([open]) table").first
        assert not numbers.is_visible()
        page.emulate_media(media="print")
        assert numbers.is_visible()
        assert page.locator("nav.page").is_hidden()


def test_a_browser_prints_it(visit: Visit) -> None:
    """The PDF is there and has no blank book of pages."""
    printed = visit("run").pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert 1 <= printed.count(b"/Type /Page\n") <= 12


def rows_of(page: "Page") -> list[str]:
    """Return the visible rows of the list of runs, each as its time and mesh."""
    rows = page.locator("tr[data-answer]:visible")
    return sorted(f"{row.get_attribute('data-mesh')} {row.get_attribute('data-answer')}" for row in rows.all())


def test_without_script_the_index_shows_everything(visit: Visit) -> None:
    """The filters need script and are not shown without it; all runs are."""
    page = visit("index", script=False)
    assert page.locator("form.tools").is_hidden()
    assert len(rows_of(page)) == 3
    assert page.locator(".matrix td:visible").count() == 4


def test_the_filters_of_the_index(visit: Visit) -> None:
    """By words of the drill's name, by mesh, by answer: what does not match is gone, and the count says so."""
    page = visit("index")
    told_of = page.locator("form.tools output")
    assert told_of.inner_text() == "3 of 3 runs"
    page.locator("[name=words]").fill("other")
    assert rows_of(page) == ["story INCONCLUSIVE"]
    assert told_of.inner_text() == "1 of 3 runs"
    page.locator("[name=words]").fill("")
    page.locator("[name=mesh]").select_option("bare")
    assert rows_of(page) == ["bare VIOLATED"]
    assert page.locator(".matrix th:visible").count() == 4  # the head, one mesh, two drills
    page.locator("[name=mesh]").select_option("")
    page.locator("[name=answer][value=VIOLATED]").uncheck()
    assert "bare VIOLATED" not in rows_of(page)
    assert len(rows_of(page)) == 2


def test_the_index_leads_to_the_reports(visit: Visit, pages: dict[str, Path]) -> None:
    """Each run of the index has an address that is the page of that run."""
    page = visit("index")
    links = page.evaluate("[...document.querySelectorAll('main a[href$=html]')].map(it => it.href)")
    assert set(links) == {pages[name].as_uri() for name in ("run", "control", "nothing")}
