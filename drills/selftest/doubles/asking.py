"""Asking a history claims that no drill has named: in tests, most claims need no id."""

from collections.abc import Mapping, Sequence

from drills.judge import claims
from drills.judge.claims import Claim
from drills.judge.history import History
from drills.judge.verdict import Verdict


def named(asked: Sequence[Claim]) -> Mapping[str, Claim]:
    """Return the claims under ids by their order: claim-1, claim-2."""
    return {f"claim-{number}": claim for number, claim in enumerate(asked, start=1)}


def judge(history: History, asked: Sequence[Claim]) -> Verdict:
    """Judge a history by claims without ids."""
    return claims.judge(history, named(asked))
