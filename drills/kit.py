"""The public names a drill may use: how to load the lab, hurt the mesh, watch, and claim."""

from clusters.model import BYSTANDER, VICTIM, Capability, Mesh, Role
from drills.judge import checks
from drills.judge.claims import Claim, always, eventually, never, reached, sometimes
from drills.judge.history import History
from drills.judge.records import NEW, REUSED
from drills.judge.verdict import Verdict
from drills.run import faults
from drills.run.calls import Calls, calls
from drills.run.edges import BYPASS, DENIED, FRESH, ROUTES, SENTINEL, UNKNOWN, WELCOME
from drills.run.faults import Fault
from drills.run.needs import install, requires
from drills.run.probes import new_pods, policy_change, signals, wire
from drills.run.runner import Drill
from drills.run.traffic import traffic

__all__ = [
    "BYPASS",
    "BYSTANDER",
    "DENIED",
    "FRESH",
    "NEW",
    "REUSED",
    "ROUTES",
    "SENTINEL",
    "UNKNOWN",
    "VICTIM",
    "WELCOME",
    "Calls",
    "Capability",
    "Claim",
    "Drill",
    "Fault",
    "History",
    "Mesh",
    "Role",
    "Verdict",
    "always",
    "calls",
    "checks",
    "eventually",
    "faults",
    "install",
    "never",
    "new_pods",
    "policy_change",
    "reached",
    "requires",
    "signals",
    "sometimes",
    "traffic",
    "wire",
]
