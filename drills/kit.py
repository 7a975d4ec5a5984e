"""The names that a drill may use: break a part of the mesh, load the lab, claim."""

from clusters.model import Capability, Mesh, Role
from drills import suites
from drills.judge import checks
from drills.judge import claims as claim
from drills.judge.claims import Claim
from drills.judge.measure import Invariant, Occurrence
from drills.run import faults, lab
from drills.run.declare import drill
from drills.run.experiment import Experiment, NewPods, PolicyChanges
from drills.run.faults import Fault

__all__ = [
    "Capability",
    "Claim",
    "Experiment",
    "Fault",
    "Invariant",
    "Mesh",
    "NewPods",
    "Occurrence",
    "PolicyChanges",
    "Role",
    "checks",
    "claim",
    "drill",
    "faults",
    "lab",
    "suites",
]
