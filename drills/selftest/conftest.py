"""Settings of all selftests: xdist runs them in parallel processes, so polars gets one thread in each."""

import gc
import os

# polars reads this when a worker loads it, which happens later. A thread pool in each would only add context switches.
os.environ.setdefault("POLARS_MAX_THREADS", "1")


def pytest_collection_finish() -> None:
    """Exclude what is loaded so far from garbage collection: it stays to the end, and each pass costs 60 ms."""
    gc.collect()
    gc.freeze()
