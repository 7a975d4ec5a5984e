"""junit.xml: the verdict for a CI server, one test case per claim, named by its id."""

from xml.etree import ElementTree as ET

from drills.judge import inert, known
from drills.judge.history import History
from drills.judge.verdict import FAILING, Finding, Outcome, Verdict
from drills.report.wording import promise_of

_UNEXPLAINED = (
    "the run did not pass although no claim failed: the record has defects, or the mesh promises none of its claims"
)
_NO_FAULT_NOTE = "a no-fault control: nothing was broken, and every claim must hold"
_CONTROL_NOTE = "a control: its security claims are meant to be violated"


def render(history: History, verdict: Verdict) -> bytes:
    """Return the document. VIOLATED is a failure, INCONCLUSIVE an error; FAILED_OBSERVABLY passes, with a property.

    A claim that did not hold and that the mesh does not promise is skipped, with its outcome: no run fails by it. If a
    run violates exactly its known issues, these are skipped as expected failures. On a control, a claim that is meant
    to fail passes if it did, with or without an alert, and fails otherwise.
    In a no-fault control each claim that did not hold is a failure, or an error where the run cannot know.
    A run that did not pass always has a failure, an error or known issues.
    """
    run = history.windows().get("run")
    cases = [(finding, _complaint_in(verdict, finding)) for finding in verdict.findings]
    is_known = known.is_expected(verdict, history.facts.known_issues)
    if is_known:
        cases = [(finding, "skipped" if tag == "failure" else tag) for finding, tag in cases]
    is_unexplained = not (verdict.passed or is_known) and not any(tag in {"failure", "error"} for _, tag in cases)
    suite = ET.Element(
        "testsuite",
        name=f"{verdict.drill} on {verdict.mesh}",
        tests=str(len(cases) + is_unexplained),
        failures=str(sum(tag == "failure" for _, tag in cases)),
        errors=str(sum(tag == "error" for _, tag in cases) + is_unexplained),
        skipped=str(sum(tag == "skipped" for _, tag in cases)),
        time=f"{run.length_s if run else 0:.3f}",
    )
    verdict_properties = {
        "outcome": verdict.outcome.value,
        "promised": verdict.promised.value if verdict.promised else "none",
        "passed": str(verdict.passed).lower(),
        "run_id": verdict.run_id,
    }
    if verdict.without_fault:
        verdict_properties["control"] = _NO_FAULT_NOTE
    if verdict.is_control:
        verdict_properties["control"] = _CONTROL_NOTE
    if is_known:
        verdict_properties["known"] = known.describe(verdict, history.facts.known_issues)
    _add_properties(suite, verdict_properties)
    for finding, tag in cases:
        _add_case(suite, verdict, finding, tag)
    if is_unexplained:
        case = ET.SubElement(suite, "testcase", classname=f"{verdict.drill}.{verdict.mesh}", name="the run as a whole")
        ET.SubElement(case, "error", type=verdict.outcome.value, message=_UNEXPLAINED)
    root = ET.Element("testsuites")
    root.append(suite)
    _make_inert(root)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add_case(suite: ET.Element, verdict: Verdict, finding: Finding, tag: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"{verdict.drill}.{verdict.mesh}", name=finding.id)
    properties = {
        "claim": finding.claim,
        "outcome": finding.outcome.value,
        "promise": promise_of(finding),
        "must_hold": str(finding.must_hold).lower(),
    }
    if finding.time_to_signal_s is not None:
        properties |= {"signal": finding.signal or "", "time_to_signal_s": f"{finding.time_to_signal_s:g}"}
    _add_properties(case, properties)
    if tag:
        element = ET.SubElement(case, tag, type=finding.outcome.value, message=_message(finding))
        element.text = inert.lines(f"{it.id} {it.outcome} {it.error}" for it in finding.counter_examples)


def _add_properties(parent: ET.Element, properties: dict[str, str]) -> None:
    holder = ET.SubElement(parent, "properties")
    for name, value in properties.items():
        ET.SubElement(holder, "property", name=name, value=value)


def _complaint_in(verdict: Verdict, finding: Finding) -> str:
    """Return the element of a finding. In a no-fault control no alert excuses a claim that is false."""
    if not verdict.without_fault:
        return _complaint(finding, is_control=verdict.is_control)
    if finding.outcome is Outcome.HELD:
        return ""
    if finding.passes_without_fault:
        return "skipped"
    return "error" if finding.outcome is Outcome.INCONCLUSIVE else "failure"


def _complaint(finding: Finding, *, is_control: bool) -> str:
    """Return the element of the finding: "failure", "error", "skipped", or "" if it passes."""
    if not finding.is_promised:
        is_shown = finding.outcome is not Outcome.HELD and not (is_control and finding.fails_on_control)
        return "skipped" if is_shown else ""
    if finding.outcome is Outcome.INCONCLUSIVE:
        return "error"
    if is_control and finding.fails_on_control:
        return "" if finding.outcome in FAILING else "failure"
    return "failure" if finding.outcome is Outcome.VIOLATED else ""


def _message(finding: Finding) -> str:
    return finding.reason if finding.is_promised else f"{finding.standing}: {finding.reason}"


def _make_inert(root: ET.Element) -> None:
    """Replace every character that does not print, many of which XML 1.0 does not allow, in all attributes and text."""
    for element in root.iter():
        element.attrib.update({name: inert.printable(value, keep="\n\t") for name, value in element.items()})
        element.text = inert.printable(element.text, keep="\n\t") if element.text else None
