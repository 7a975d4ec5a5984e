"""The columns that name a group of calls: a lane, a caller. Each has one definition."""

LANE = ("source", "target", "connection")
"""One edge on one kind of connection."""

CALLER = (*LANE, "pod")
"""One pod's calls of a lane."""

CALLER_OF_POD = ("pod", "target", "connection")
"""One of the callers of a pod, all of which call for the same service: it numbers its calls from 0 without a hole."""

LaneKey = tuple[str, str, str]
CallerKey = tuple[str, str, str, str]
CallerOfPodKey = tuple[str, str, str]
CohortKey = tuple[str, str, str, bool]
"""A lane, and whether its calls are those of new pods."""
