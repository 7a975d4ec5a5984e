"""Which claims of which drills bear on which line of a decision record."""

from collections.abc import Callable
from dataclasses import dataclass

from drills.judge.verdict import Finding
from drills.report.bundles import Run


@dataclass(frozen=True)
class Topic:
    """One section of the record. A claim bears on it by its check, by a word in its drill's name, and by its window."""

    block: str
    heading: str
    checks: frozenset[str] = frozenset()
    drills: tuple[str, ...] = ()  # words in the drill's name
    during: frozenset[str] = frozenset()  # empty: any window

    @property
    def is_invariant(self) -> bool:
        """Whether the line is one of the record's invariants."""
        return self.block.startswith("invariant")

    def bears(self, run: Run, finding: Finding) -> bool:
        """Whether the claim bears on this line."""
        is_named = finding.check in self.checks or any(word in run.verdict.drill for word in self.drills)
        return is_named and (not self.during or finding.during in self.during)


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
                "new_pod_refused",
                "certificate_validity",
            }
        ),
    ),
    Topic(
        "invariant-identity",
        "### Authorization is by identity, not by IP",
        frozenset(
            {"denied", "denied_but_served", "unauthenticated", "change_ignored", "change_enforced", "change_refused"}
        ),
    ),
    Topic(
        "invariant-l7",
        "### L7 policy only where an L7 proxy is proven active",
        frozenset({"split_ratio"}),
    ),
    Topic(
        "invariant-retries",
        "### The retry budget is defined centrally",
        frozenset({"attempts_per_request", "conservation"}),
    ),
    Topic(
        "consequences-operations",
        "### Operational cost",
        frozenset(
            {
                "success_rate",
                "availability",
                "errors",
                "latency",
                "blast_radius",
                "recovery_time",
                "served_but_failed",
                "handshake",
            }
        ),
    ),
    Topic(
        "consequences-debugging",
        "### Debugging",
        frozenset({"signal_seen", "signal_absent", "time_to_signal", "condition", "drops_witnessed", "drift_found"}),
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
