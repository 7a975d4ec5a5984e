"""Whether a share of bad calls exceeds what a claim allows: by chance, or beyond it.

A lane is out when its 95 % interval lies wholly beyond the bound. A lane whose share is above the bound and that is not
out is decided with all lanes of its claim: one lost call of a lane of 500 is 0.2 %, and one of 30,000 is well within
0.1 %. Few bad calls are good news only where enough calls were made to see some: COARSEST.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from drills.judge.checks.tally import TWO_SIDED_95, error_rate_upper_95
from drills.judge.measure import Truth

COARSEST = 0.05
"""A lane whose calls, at 95 % confidence, could all have missed a larger share of bad ones proves nothing: it needs 60
calls, with or without a bad one among them. A bound of 0.1 % would need 3,000 on each lane, ten minutes at the usual
pace."""


@dataclass(frozen=True)
class Share:
    """Bad calls among all calls of a lane, or of all lanes of a claim."""

    bad: int
    calls: int

    def exceeds(self, most: float) -> bool:
        """Whether the whole 95 % interval of the share lies above `most`."""
        return self.calls > 0 and lowest(self.bad, self.calls) > most

    def is_within(self, most: float) -> bool:
        """Whether the share itself is at most `most`."""
        return self.bad <= most * self.calls + 1e-9


@dataclass(frozen=True)
class Shares:
    """The shares of all lanes of a claim. most: the largest share of bad calls that it allows. did: what they did.

    resolves: the largest share of bad calls of which a lane may show none, at 95 % confidence.
    """

    lanes: tuple[Share, ...]
    most: float
    did: str
    resolves: float = COARSEST

    def decide(self, lane: Share) -> tuple[Truth, str]:
        """Return whether the share of a lane is within the bound, and why it is not or is not known to be."""
        found, whole = f"{lane.bad} of {lane.calls} calls {self.did}", total(self.lanes)
        if lane.exceeds(self.most):
            return Truth.FALSE, f"{found}, at most {self.most:.4g} of them may"
        if not lane.is_within(self.most) and not whole.is_within(self.most):
            found = f"{found}, {whole.bad} of {whole.calls} on all edges"
            if whole.exceeds(self.most):
                return Truth.FALSE, f"{found}, at most {self.most:.4g} of them may"
            return Truth.UNKNOWN, f"{found}: too few to decide whether more than {self.most:.4g} are"
        unseen = error_rate_upper_95(0, lane.calls)
        if unseen > max(self.resolves, self.most):
            return Truth.UNKNOWN, f"{found}: so few cannot show a share below {unseen:.1%}, needs {self.resolves:.0%}"
        return Truth.TRUE, ""

    def summary(self) -> str:
        """Return what the run showed and could have missed."""
        whole = total(self.lanes)
        missed = max((error_rate_upper_95(lane.bad, lane.calls) for lane in self.lanes), default=1.0)
        return f"{whole.bad} of {whole.calls} calls {self.did}; at 95 % confidence below {missed:.2%} on each edge"


def total(shares: Sequence[Share]) -> Share:
    """Return the share of all of them together."""
    return Share(sum(share.bad for share in shares), sum(share.calls for share in shares))


def lowest(bad: int, calls: int, z: float = TWO_SIDED_95) -> float:
    """Return the lower end of Wilson's interval with continuity correction (Newcombe 1998); calls must be positive.

    Without the correction one bad call of 100 would lie above 0.1 %, though such a share shows one in 10 % of runs.
    """
    if not bad:
        return 0.0
    share = bad / calls
    spread = z * math.sqrt(max(z * z - 2 - 1 / calls + 4 * share * (calls * (1 - share) + 1), 0.0))
    return max(0.0, (2 * calls * share + z * z - 1 - spread) / (2 * (calls + z * z)))
