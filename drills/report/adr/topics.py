"""Which claims of which drills bear on which line of a decision record."""

from collections.abc import Callable
from dataclasses import dataclass

from drills.judge.verdict import Finding
from drills.report.adr.citations import NO_CHECK
from drills.report.bundles import Run


@dataclass(frozen=True)
class Topic:
    """One section of the record. A claim bears on it by its check, its id, or a word in its drill's name.

    during, only: a claim of another window, or for which `only` is false, does not. unanswered: what stands in the
    record if no claim bears on it.
    """

    block: str
    heading: str
    checks: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    drills: tuple[str, ...] = ()  # words in the drill's name
    during: frozenset[str] = frozenset()  # empty: any window
    only: Callable[[Finding], bool] = lambda _finding: True
    unanswered: str = NO_CHECK

    @property
    def is_invariant(self) -> bool:
        """Whether the line is one of the record's invariants."""
        return self.block.startswith("invariant")

    def bears(self, run: Run, finding: Finding) -> bool:
        """Whether the claim bears on this line."""
        is_named = finding.check in self.checks or finding.id in self.ids
        is_meant = is_named or any(word in run.verdict.drill for word in self.drills)
        return is_meant and (not self.during or finding.during in self.during) and self.only(finding)


def _lets_retry(finding: Finding) -> bool:
    """Whether the drill lets a request be served more than once: only then does something retry."""
    at_most = finding.params.get("at_most")
    return isinstance(at_most, int) and at_most > 1


INVARIANTS = "## Invariants"
CONSEQUENCES = "## Consequences"

TOPICS = (
    Topic(
        "invariant-mtls",
        "### All in-scope traffic is mTLS",
        frozenset(
            {
                "plaintext",
                "plaintext_tried",
                "unauthenticated",
                "mesh_membership",
                "outside_mesh",
                "new_pod_meshed",
                "certificate_validity",
            }
        ),
    ),
    Topic(
        "invariant-identity",
        "### Authorization is by identity, not by IP",
        frozenset({"denied", "unauthenticated", "change_ignored", "change_enforced"}),
    ),
    Topic(
        "invariant-l7",
        "### L7 policy only where an L7 proxy is proven active",
        ids=frozenset({"closed-route-refused", "unmeshed-caller-denied", "allowed-caller-served"}),
    ),
    Topic(
        "invariant-retries",
        "### The retry budget is defined centrally",
        frozenset({"attempts_per_request"}),
        only=_lets_retry,
        unanswered="not tested: no drill retries a call",
    ),
    Topic(
        "consequences-operations",
        "### Operational cost",
        frozenset(
            {
                "success_rate",
                "availability",
                "attempts_per_request",
                "conservation",
                "split_ratio",
                "calls_fast",
                "blast_radius",
                "handshake",
            }
        ),
    ),
    Topic(
        "consequences-debugging",
        "### Debugging",
        frozenset({"signal_seen", "signal_absent", "drops_witnessed", "drift_found"}),
    ),
    Topic("consequences-upgrade", "### Upgrade", drills=("upgrade", "rollback")),
)
AFTER_UNDO = Topic("", "", frozenset({"plaintext", "plaintext_tried"}), during=frozenset({"recovery", "run"}))
CONFORMANCE = Topic("", "", drills=("conformance",))


def topic(block: str) -> Topic:
    """Return the topic of a block."""
    return next(it for it in TOPICS if it.block == block)


def bears_on_none(run: Run, finding: Finding) -> bool:
    """Whether a claim bears on no topic; such claims get a table of their own."""
    return not any(it.bears(run, finding) for it in TOPICS)


def any_check(*names: str) -> Callable[[Run, Finding], bool]:
    """Select claims by their checks."""
    return lambda _run, finding: finding.check in names
