"""The one poller: looks at an interval, ends with what was last seen, and can be ended from outside."""

from collections.abc import Callable

import pytest

from clusters.runtime import HarnessError, TimeUpError, wait_for, wait_until


def answers(*given: str) -> Callable[[], str]:
    """Return a query with these answers; the last one repeats, and "error" is raised."""
    left = list(given)

    def look() -> str:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer == "error":
            raise HarnessError("the API is away")
        return answer

    return look


def test_the_accepted_answer_is_returned() -> None:
    """The wait ends at the first look that is accepted."""
    assert wait_until(answers("", "", "a", "b"), bool, what="An answer", within_s=5, every_s=0.01) == "a"


def test_a_wait_beyond_its_bound_says_what_it_last_saw() -> None:
    """The error has the subject, the bound, the last answer and the next step; without a bound there is one look."""
    with pytest.raises(TimeUpError, match=r"^Pods ready: not within 0 s\. Last seen: 'two'\. Look at them\.$"):
        wait_until(answers("two"), lambda _seen: False, what="Pods ready", within_s=0, next_step="Look at them.")


def test_a_pause_that_fails_ends_the_wait() -> None:
    """The pause can end the wait at once, with an error of its own."""

    def pause(seconds: float) -> None:
        raise KeyError(seconds)

    with pytest.raises(KeyError, match=r"0\.25"):
        wait_until(answers(""), bool, what="An answer", within_s=60, every_s=0.25, pause=pause)


def test_an_error_counts_as_missing() -> None:
    """In a cluster that is broken on purpose a query may fail, and may succeed later."""
    wait_for("The undo", answers("error", "one pod", ""), within_s=5, every_s=0.01)
    with pytest.raises(TimeUpError, match=r"The undo: not within 0 s\. Last seen: 'the API is away'"):
        wait_for("The undo", answers("error"), within_s=0)
    with pytest.raises(HarnessError, match="the API is away"):
        wait_until(answers("error"), bool, what="The undo", within_s=0)
