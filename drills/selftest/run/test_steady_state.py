"""A recovery is complete when the mesh is healthy and stays healthy."""

import pytest

from drills.run.steady_state import RecoveryDetector
from drills.run.timing import REAL


class Stream:
    """A clock, and the health of each second: "." healthy and "x" not; the last one repeats for ever."""

    def __init__(self, seconds: str) -> None:
        self.seconds = seconds
        self.passed_s = 0

    def clock_s(self) -> float:
        """Return the time."""
        return float(self.passed_s)

    def is_healthy(self) -> bool:
        """Return whether this second is healthy."""
        return self.seconds[min(self.passed_s, len(self.seconds) - 1)] == "."


@pytest.mark.parametrize(
    ("seconds", "lasts_at_s"),
    [
        ("", None),
        (".", 10),
        ("x" * 5 + ".", 15),
        ("x" * 40 + "." * 9 + "x" + ".", 60),
        ("x" * 170 + ".", 204),
        ("x" * 170 + "." * 30 + "x" * 9 + "." * 41 + "x", None),
        ("x" * 170 + "." * 30 + "x" * 10 + ".", 252),
    ],
)
def test_a_recovery_must_be_stable(seconds: str, lasts_at_s: int | None) -> None:
    """For ten seconds, or a fifth of the elapsed time; a failed call restarts the count."""
    stream = Stream(seconds or "x")
    watched = RecoveryDetector(stream.is_healthy, REAL, stream.clock_s)
    for second in range(400):
        stream.passed_s = second
        if watched.is_stable():
            assert second == lasts_at_s
            return
    assert lasts_at_s is None
