"""Waiting for a cluster that may be broken on purpose: an error while looking counts as "not yet"."""

from collections.abc import Callable

from clusters.runtime import HarnessError, wait_until

_EVERY_S = 0.5


def wait_for(what: str, missing: Callable[[], str], *, within_s: float, every_s: float = 0.0) -> None:
    """Look every so often, by default twice a second, until nothing is missing ("").

    `missing` says in words what is; a HarnessError that it raises is such words too.
    Raises HarnessError after within_s with what was waited for and what was missing last.
    """

    def look() -> str:
        try:
            return missing()
        except HarnessError as error:
            return str(error)

    wait_until(look, lambda words: not words, what=what, within_s=within_s, every_s=every_s or _EVERY_S)
