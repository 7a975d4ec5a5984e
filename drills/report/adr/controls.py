"""The controls in a decision record: what each shows, and which runs cannot be believed yet."""

from drills.judge.verdict import Outcome
from drills.report.adr.citations import Citations
from drills.report.bundles import Run
from drills.report.index import beliefs
from drills.report.index.beliefs import Belief, NoFault
from drills.report.markdown import Markdown, cell


def summary(citations: Citations) -> str:
    """Return in one sentence how many pairs of drill and mesh cannot be believed yet."""
    pairs = sorted({run.pair for run in citations.asked})
    doubted = sum(bool(doubt(citations, drill, mesh)) for drill, mesh in pairs)
    return (
        f"Of {len(pairs)} pairs of drill and mesh {doubted} are **{beliefs.NOT_YET}**, because a control is missing or "
        "failed; the table of alternatives marks them."
    )


def unprotected(citations: Citations, drill: str) -> Markdown:
    """Return whether the control shows that the drill can detect what it looks for."""
    runs = _unprotected_runs(citations, drill)
    found = _of_unprotected(citations, drill)
    if not runs:
        return cell(found.words if found.is_good else "no control: not shown that the drill can detect a failure")
    failed = [run for run in runs if run.detected is Outcome.VIOLATED]
    shown = "the drill detects failures" if found.is_good else "**INCONCLUSIVE: not shown that it detects a failure**"
    said = "**FAILED, do not trust this row**" if failed else shown
    return Markdown(f"{said} {citations.refs(failed or runs)}")


def no_fault(citations: Citations, drill: str) -> Markdown:
    """Return what each mesh's no-fault control of the drill shows: whether the fault is the cause of what was seen."""
    asked = [mesh for mesh in citations.titles if _runs(citations, drill, mesh)]
    found = (
        f"{cell(citations.titles[mesh])}: {cell(_of_no_fault(citations, drill, mesh).words)} "
        f"{citations.refs(citations.no_fault_controls(drill, mesh))}".rstrip()
        for mesh in asked
    )
    return Markdown("<br>".join(found) or "no run")


def doubt(citations: Citations, drill: str, mesh: str) -> str:
    """Return that the runs of a drill on a mesh cannot be believed yet, "" if they can; the last columns say why."""
    is_believed = _of_unprotected(citations, drill).is_good and _of_no_fault(citations, drill, mesh).is_good
    return "" if is_believed else beliefs.NOT_YET


def _of_unprotected(citations: Citations, drill: str) -> Belief:
    reasons = (citations.skipped.get((drill, mesh), "") for mesh in citations.control_meshes)
    found = [run.detected for run in _unprotected_runs(citations, drill)]
    return beliefs.of_unprotected(found, "; ".join(filter(None, reasons)))


def _of_no_fault(citations: Citations, drill: str, mesh: str) -> Belief:
    """Return what the no-fault controls show; each version of the mesh in the evidence needs one of its own."""
    controls = citations.no_fault_controls(drill, mesh)
    versions = dict.fromkeys(run.made_of for run in _runs(citations, drill, mesh))
    alike = ([NoFault.of(run.verdict) for run in controls if run.made_of == version] for version in versions)
    found = [beliefs.of_no_fault(shown, others=len(controls) - len(shown)) for shown in alike]
    return min(found, key=lambda it: it.is_good)


def _unprotected_runs(citations: Citations, drill: str) -> list[Run]:
    return [run for run in citations.controls if run.verdict.drill == drill]


def _runs(citations: Citations, drill: str, mesh: str) -> list[Run]:
    return [run for run in citations.of(mesh) if run.verdict.drill == drill]
