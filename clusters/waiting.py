"""The one way to wait: a deadline, and a message that says what was waited for and what was seen instead."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from clusters.errors import HarnessError

Seen = TypeVar("Seen")


def wait_until(
    look: Callable[[], Seen],
    done: Callable[[Seen], bool],
    *,
    what: str,
    within_s: float,
    every_s: float = 0.5,
    next_step: str = "",
) -> Seen:
    """Look again and again until done, and return what was seen.

    Raises HarnessError after within_s, with `what`, the last sight and the next step; errors of `look` pass through.
    """
    waiting = Retrying(
        stop=stop_after_delay(within_s), wait=wait_fixed(every_s), retry=retry_if_result(lambda seen: not done(seen))
    )
    try:
        return waiting(look)
    except RetryError as error:
        seen = error.last_attempt.result()
        raise HarnessError(f"{what}: not within {within_s:g} s. Last seen: {seen!r}. {next_step}".rstrip()) from error
