"""What of a broken claim was so already in the baseline, and is therefore no effect of the fault."""

from dataclasses import replace

from drills.judge.claims import judge, restored
from drills.judge.files import FileError
from drills.judge.history import History
from drills.judge.quantifiers import Quantifier
from drills.judge.verdict import FAILING, Finding, Outcome

_BASELINE = "baseline"
_COMPARABLE = frozenset({Quantifier.ALWAYS, Quantifier.NEVER})
"""Other claims are about what the fault brings about: that it is absent before says nothing."""


def beforehand(history: History, finding: Finding) -> str:
    """Return in one sentence what the baseline says of a claim that broke; "" where it was true then, or not known."""
    if finding.outcome not in FAILING or finding.quantifier not in _COMPARABLE:
        return ""
    if finding.during == _BASELINE:
        return "This was measured in the baseline: the fault did not cause it."
    try:
        claims = restored(claim for claim in history.facts.claims if claim.id == finding.id)
    except FileError:  # a claim of another version, whose check this one lacks
        return ""
    earlier = {name: replace(claim, during=_BASELINE, alerts=()) for name, claim in claims.items()}
    broken = [it for it in judge(history, earlier).findings if it.outcome is Outcome.VIOLATED]
    if not broken:
        return ""
    return f"It was false in the baseline as well, before the fault: {' '.join(broken[0].reason.split())}."
