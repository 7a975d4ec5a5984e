"""Waits for a cluster that may be broken on purpose: an error of a query counts as "not yet"."""

from collections.abc import Callable

from clusters.runtime import HarnessError, wait_until

_EVERY_S = 0.5


def wait_for(what: str, missing: Callable[[], str], *, within_s: float, every_s: float = 0.0) -> None:
    """Call `missing` every every_s (by default 0.5 s) until it returns "".

    missing: returns in words what is missing; the message of a HarnessError counts as such words.
    Raises HarnessError after within_s with `what` and the last words.
    """

    def look() -> str:
        try:
            return missing()
        except HarnessError as error:
            return str(error)

    wait_until(look, lambda words: not words, what=what, within_s=within_s, every_s=every_s or _EVERY_S)
