"""The decision record (ADR): the evidence of bundles for each of its sections, and fields for a person to fill."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final

from drills.report import blocks, figures, known_issues
from drills.report.adr import controls, review, rollback, topics
from drills.report.adr.citations import NO_EVIDENCE, NOT_ASKED, Citations, Select, findings
from drills.report.adr.rollback import NO_NUMBER, number
from drills.report.bundles import Run
from drills.report.index.beliefs import as_control
from drills.report.markdown import Markdown, cell, link, table, template
from drills.report.run_file import parts_of, recorded_by

STALE_AFTER_DAYS: Final = 90
"""A quarter: meshes and Kubernetes publish a minor release about that often."""
FOR_A_PERSON: Final = "[FOR A PERSON:"


def render(title: str, citations: Citations, stale_after_days: int) -> str:
    """Return a new record. The same bundles give the same bytes."""
    made = generate(citations, stale_after_days)
    return template("adr.md.j2").render(
        title=Markdown(title),  # a person's own words
        titles=citations.titles,
        reviewed=review.for_a_person(),
        person=lambda what: Markdown(f"**{FOR_A_PERSON} {what}]**"),
        block=lambda name: Markdown(blocks.wrap(name, made[name].content)),
    )


def update(text: str, citations: Citations, stale_after_days: int) -> str:
    """Return an existing record with its blocks generated again. Raises BlockError if edits would be lost."""
    return blocks.update(text, generate(citations, stale_after_days))


def generate(citations: Citations, stale_after_days: int) -> dict[str, blocks.Block]:
    """Return every generated block of a record, by name, in its order."""
    upgrade, security = topics.topic("consequences-upgrade"), ("consequences-security", "### Security posture")
    parts: Mapping[tuple[str, str], Iterator[str]] = {
        ("context", "## Context"): _context(citations, stale_after_days),
        ("invariants", topics.INVARIANTS): _invariants(citations),
        **{(it.block, it.heading): _answers(citations, it) for it in topics.TOPICS if it.is_invariant},
        ("invariant-l7", topics.topic("invariant-l7").heading): _l7(citations),
        ("alternatives", "## Alternatives Considered"): _alternatives(citations),
        ("consequences-operations", "### Operational cost"): _operations(citations),
        security: iter(citations.claims(lambda _, finding: finding.must_hold)),
        ("consequences-debugging", "### Debugging"): _debugging(citations),
        (upgrade.block, upgrade.heading): iter(citations.claims(upgrade.bears)),
        ("rollback", "## Rollback Plan"): rollback.lines(citations),
        ("evidence", "## Evidence Required"): _evidence(citations, stale_after_days),
        ("review", "## Review Before Production"): review.lines(citations),
    }
    return {name: blocks.Block(heading, "\n".join(lines)) for (name, heading), lines in parts.items()}


def stale_on(run: Run, stale_after_days: int) -> date:
    """Return the day from which a run is too old to count as evidence for production."""
    return run.began.date() + timedelta(days=stale_after_days)


def _context(citations: Citations, stale_after_days: int) -> Iterator[str]:
    days = sorted(run.began.date().isoformat() for run in citations.runs)
    drills = {run.verdict.drill for run in citations.runs}
    stale = min(stale_on(run, stale_after_days) for run in citations.runs)
    yield f"The evidence: {len(citations.runs)} runs of {len(drills)} drills, made from {days[0]} to {days[-1]}."
    yield controls.summary(citations)
    yield f"**It is stale from {stale} on**, {stale_after_days} days after the oldest run: run the drills again then."
    yield "A run is identified by the first digits of its statement's SHA-256, and links to its report."
    yield "Of several runs of one question the worst counts; `-`: no run asked it of that mesh."
    yield ""
    yield from table(
        ("mesh", "made of", "runs"),
        ((title, *_made_of(citations, mesh)) for mesh, title in citations.titles.items()),
    )
    yield ""
    yield from citations.notes()
    yield ""
    yield "Where identity is bound, where traffic is intercepted, and what enforces the policy:"
    yield ""
    yield from table(
        ("mesh", "policy", "identity is bound by", "traffic is intercepted", "enforced by", "runs"), _points(citations)
    )
    yield ""
    yield "What differs from production in these runs, every image that is not shown to be the official one included:"
    yield ""
    yield from table(("setting", "here", "why, or where it came from", "runs"), _deviations(citations))


def _invariants(citations: Citations) -> Iterator[str]:
    yield "For each invariant: the worst answer to any of its questions, in how many of the runs that asked, and one"
    yield "such run. `-`: not asked of that mesh. An invariant that no check answers says so."
    yield ""
    yield from table(
        ("invariant", *citations.titles.values()),
        ((it.heading.lstrip("# "), *citations.row(it.bears, it.unanswered)) for it in topics.TOPICS if it.is_invariant),
    )


def _made_of(citations: Citations, mesh: str) -> tuple[str, str]:
    by_versions: dict[tuple[str, ...], list[Run]] = {}
    for run in citations.of(mesh):
        by_versions.setdefault(parts_of(run.environment), []).append(run)
    if not by_versions:
        return NO_EVIDENCE, ""
    return (
        Markdown(" <br>or: ".join(cell("; ".join(versions)) for versions in by_versions)),
        Markdown("; ".join(citations.refs(runs) for runs in by_versions.values())),
    )


def _points(citations: Citations) -> Iterator[tuple[str, ...]]:
    for mesh, title in citations.titles.items():
        found: dict[tuple[str, ...], list[Run]] = {}
        for run in citations.of(mesh):
            for it in run.environment.points:
                found.setdefault((it.policy, it.identity, it.interception, it.enforcement), []).append(run)
        for words, runs in found.items():
            yield (title, *words, citations.refs(runs))
        if not found:
            yield title, NO_EVIDENCE, "", "", "", ""


def _deviations(citations: Citations) -> Iterator[tuple[str, ...]]:
    found: dict[tuple[str, str, str], list[Run]] = {}
    for run in citations.runs:
        for it in run.environment.overrides:
            found.setdefault((it.setting, it.value, it.reason), []).append(run)
        for image in run.environment.images:
            if not image.is_official and not image.is_baked:
                found.setdefault(
                    (f"image {image.name} {image.version}", image.standing, image.details or "not recorded"), []
                ).append(run)
    for setting, runs in found.items():
        yield (*setting, "all" if len(runs) == len(citations.runs) else citations.refs(runs))


def _answers(citations: Citations, topic: topics.Topic) -> Iterator[str]:
    yield from citations.claims(topic.bears, topic.unanswered)


def _l7(citations: Citations) -> Iterator[str]:
    yield from _answers(citations, topics.topic("invariant-l7"))
    yield ""
    yield "How forbidden calls were refused. Only an L7 proxy can answer with an HTTP status; a reset or a timeout does"
    yield "not show whether one is active."
    yield ""
    yield from table(("mesh", "refused calls by error, all forbidden edges together", "runs"), _refusals(citations))


def _refusals(citations: Citations) -> Iterator[tuple[str, ...]]:
    for mesh, title in citations.titles.items():
        counted: Counter[str] = Counter()
        runs: dict[str, Run] = {}
        for run, finding in findings(citations.of(mesh), topics.any_check("denied")):
            runs[run.statement_sha256] = run
            for row in finding.rows:
                errors = {name: count for name, count in row.numbers.items() if name.startswith("error ")}
                counted.update({name: count for name, count in errors.items() if isinstance(count, int)})
        by_error = ", ".join(f"{name.removeprefix('error ')} {count}" for name, count in counted.most_common())
        yield title, (by_error or "no call was refused") if runs else NO_EVIDENCE, citations.refs(runs.values())


def _alternatives(citations: Citations) -> Iterator[str]:
    drills = sorted({run.verdict.drill for run in citations.runs})
    yield from table(
        ("drill", *citations.titles.values(), "control", "no-fault controls"),
        (
            (
                drill,
                *(_answer(citations, mesh, drill) for mesh in citations.titles),
                controls.unprotected(citations, drill),
                controls.no_fault(citations, drill),
            )
            for drill in drills
        ),
    )


def _answer(citations: Citations, mesh: str, drill: str) -> str:
    runs = [run for run in citations.of(mesh) if run.verdict.drill == drill]
    if not runs:
        reason = citations.skipped.get((drill, mesh))
        return f"cannot be asked: {reason}" if reason else "no evidence"
    known = (issue.url for run in runs for issue in known_issues.expected(run.verdict, run.history.facts.known_issues))
    links = "".join(f" {link('known', url)}" for url in dict.fromkeys(known))
    doubt = controls.doubt(citations, drill, mesh)
    return Markdown(f"{citations.counted(runs)}{links}{f'; **{cell(doubt)}**' if doubt else ''}")


def _operations(citations: Citations) -> Iterator[str]:
    yield from citations.claims(topics.topic("consequences-operations").bears)
    yield ""
    yield "Measured: latency of successful calls in the baseline; from the injection on, the calls lost on all routes"
    yield "that worked before, the longest outage of one caller, and the first signal. Routes that the drill or a probe"
    yield "closes do not count. Runs on one small machine: compare rows with each other and with the control, not with"
    yield "production."
    yield ""
    rows = (_measured(citations, run) for run in citations.measured)
    yield from table(
        ("mesh", "drill", "p50 ms", "p99 ms", "calls lost", "longest outage", "first signal s", "run"), rows
    )


def _measured(citations: Citations, run: Run) -> tuple[str, ...]:
    latency, outage = figures.latency(run.history), figures.outage(run.history)
    signals = figures.times_to_signal_s(run.history)
    return (
        citations.titles.get(run.verdict.mesh, run.environment.mesh_title),
        run.verdict.drill,
        number(latency.p50_ms if latency else None),
        number(latency.p99_ms if latency else None),
        str(outage.lost) if outage else NO_NUMBER,
        f"{outage.length} ({outage.route})" if outage and outage.lost else NO_NUMBER,
        number(min(signals.values(), default=None)),
        citations.ref(run),
    )


def _debugging(citations: Citations) -> Iterator[str]:
    about_signals = topics.topic("consequences-debugging")
    yield from citations.claims(lambda run, finding: about_signals.bears(run, finding) or finding.signal is not None)


def _evidence(citations: Citations, stale_after_days: int) -> Iterator[str]:
    """Yield the required evidence; what no run can show is left to a person."""
    required: tuple[tuple[str, Select], ...] = (
        (
            "mTLS metrics: readable on the wire, identities that servers saw, certificates; measured by the harness",
            topics.any_check(*_SEEN_OF_MTLS),
        ),
        ("flow logs: both ends of every call, as the harness logged them", topics.any_check(*_TWO_WITNESSES)),
        ("flow logs: the mesh's own record of calls that were not served", topics.any_check(*_OWN_RECORD)),
        ("policy audit: denied calls, and the effect of policy changes", topics.topic("invariant-identity").bears),
        ("conformance test: for a person, see below", topics.CONFORMANCE.bears),
        ("failure drill", lambda _run, _finding: True),
    )
    yield from table(
        ("required", *citations.titles.values()),
        ((name, *_required(citations, select)) for name, select in required),
    )
    yield ""
    yield "Claims that bear on no line above:"
    yield ""
    yield from citations.claims(topics.bears_on_none, absent="none")
    yield ""
    yield "The bundles. `sha256sum` of a bundle's `statement.dsse.json` shows that it is the one meant here,"
    yield "`meshdrill verify FOLDER` that no other file changed, `meshdrill judge FOLDER` that the verdict follows."
    yield from citations.notes()
    yield ""
    yield from table(
        (
            "run",
            "drill",
            "mesh",
            "answer",
            "made at",
            "meshdrill",
            "stale from",
            "SHA-256 of its statement",
            "signature",
        ),
        (_bundle(citations, run, stale_after_days) for run in citations.runs),
    )
    yield ""
    yield from citations.links()


_SEEN_OF_MTLS = ("plaintext", "plaintext_tried", "unauthenticated", "certificate_validity")
_TWO_WITNESSES = ("attempts_per_request", "conservation")
_OWN_RECORD = ("drops_witnessed",)


def _required(citations: Citations, select: Select) -> Iterator[str]:
    return (NO_EVIDENCE if answer == NOT_ASKED else answer for answer in citations.row(select))


def _kind(run: Run) -> str:
    if run.verdict.without_fault:
        return f"no-fault control {run.standing}"
    if run.verdict.is_control:
        return as_control(run.detected)
    return str(run.verdict.standing)


def _bundle(citations: Citations, run: Run, stale_after_days: int) -> tuple[str, ...]:
    verdict = run.verdict
    return (
        citations.ref(run),
        verdict.drill,
        verdict.mesh,
        _kind(run),
        f"{run.began:%Y-%m-%dT%H:%M:%SZ}",
        cell(recorded_by(run.environment)),
        stale_on(run, stale_after_days).isoformat(),
        Markdown(f"`{run.statement_sha256}`"),
        run.signature,
    )
