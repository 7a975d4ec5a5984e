"""A recovery ends when all is well and stays so, not in a lucky moment amid it."""

import pytest

from drills.run import calm
from drills.run.calm import Calm


class Stream:
    """Time, and whether it is calm: a mark a second, "." calm and "x" not; the last mark goes on for ever."""

    def __init__(self, marks: str) -> None:
        self.marks = marks
        self.passed_s = 0

    def monotonic(self) -> float:
        """Return the time."""
        return float(self.passed_s)

    def is_calm(self) -> bool:
        """Tell whether it is calm now."""
        return self.marks[min(self.passed_s, len(self.marks) - 1)] == "."


@pytest.mark.parametrize(
    ("marks", "lasts_at_s"),
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
def test_a_calm_must_last(marks: str, lasts_at_s: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds, or a fifth of what came before; a failed call begins it anew."""
    stream = Stream(marks or "x")
    monkeypatch.setattr(calm, "time", stream)
    watched = Calm(stream.is_calm)
    for second in range(400):
        stream.passed_s = second
        if watched.is_lasting():
            assert second == lasts_at_s
            return
    assert lasts_at_s is None
