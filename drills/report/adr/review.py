"""The review before production: each line with the answers of drills, or left to a person."""

from collections.abc import Iterator
from dataclasses import dataclass

from drills.judge.verdict import Finding
from drills.report.adr.citations import NO_EVIDENCE, NOT_ASKED, Citations
from drills.report.bundles import Run
from drills.report.markdown import table


@dataclass(frozen=True)
class Line:
    """One line of the review. A claim bears on it by its check or by a word in its drill's name.

    A line without checks and drills is for a person, and stands below the table.
    """

    part: str
    asks: str
    checks: frozenset[str] = frozenset()
    drills: tuple[str, ...] = ()

    @property
    def is_for_a_person(self) -> bool:
        """Whether no drill can answer the line."""
        return not self.checks and not self.drills

    def bears(self, run: Run, finding: Finding) -> bool:
        """Whether the claim bears on this line."""
        return finding.check in self.checks or any(word in run.verdict.drill for word in self.drills)


_MEMBERS = frozenset({"mesh_membership", "outside_mesh", "drift_found"})
LINES = (
    Line("architecture", "the scope is explicit"),
    Line("architecture", "paths out of the mesh are known: workloads outside of it are found", _MEMBERS),
    Line("architecture", "north-south and east-west are separated"),
    Line("architecture", "the role of the Gateway API is decided"),
    Line("architecture", "the role of the CNI's policies is decided"),
    Line("architecture", "business authorization stays in the application"),
    Line("security", "the identity model holds: servers see the caller's identity", frozenset({"unauthenticated"})),
    Line("security", "the mTLS mode is explicit: nothing is readable", frozenset({"plaintext", "plaintext_tried"})),
    Line("security", "rotation is tested", drills=("rotation", "issuer-expired", "beyond-life")),
    Line(
        "security", "the policy's default is understood: a caller that is not allowed is refused", frozenset({"denied"})
    ),
    Line("security", "denials are observable on the mesh's own record", frozenset({"drops_witnessed"})),
    Line("security", "a break-glass exists"),
    Line("operations", "control-plane failure is tested", drills=("control-plane-", "apiserver-", "identity-outage")),
    Line(
        "operations", "data-plane failure is tested", drills=("node-", "cni-", "enforcer-", "l7-proxy-", "injection-")
    ),
    Line("operations", "upgrade and rollback are tested", drills=("upgrade", "rollback")),
    Line("operations", "a bound on tail latency is tested", frozenset({"calls_fast"})),
    Line("operations", "the overhead per pod and node is measured"),
    Line("debugging", "it is visible whether a request entered the mesh", frozenset({"mesh_membership"})),
    Line("debugging", "a flow can be traced end to end by the mesh's own telemetry"),
    Line("debugging", "the reason of a denial is visible"),
    Line("debugging", "a failed mTLS handshake can be distinguished from a network drop"),
    Line("debugging", "the status of a policy object shows that it is not enforced", drills=("request-rule", "l7-")),
)


def lines(citations: Citations) -> Iterator[str]:
    """Yield the lines of the block."""
    yield "The answers of drills to each line: the worst, in how many runs, and one such run. A line that failed"
    yield "observably was tested, too. A line that no check answers says so; those below the table are for a person."
    yield ""
    yield from table(
        ("part", "line", *citations.titles.values()),
        ((it.part, it.asks, *_answers(citations, it)) for it in LINES if not it.is_for_a_person),
    )


def for_a_person() -> tuple[str, ...]:
    """Return the lines that no drill can answer."""
    return tuple(it.asks for it in LINES if it.is_for_a_person)


def _answers(citations: Citations, line: Line) -> Iterator[str]:
    return (NO_EVIDENCE if answer == NOT_ASKED else answer for answer in citations.row(line.bears))
