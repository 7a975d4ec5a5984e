"""What all selftests have in common: processes of xdist side by side, and none of them with threads beside it."""

import gc
import os

# Read when polars is loaded, in the workers, which start after this. A pool of threads in each would only add switches.
os.environ.setdefault("POLARS_MAX_THREADS", "1")


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what was loaded so far: it stays to the end, and each look costs 60 ms."""
    gc.collect()
    gc.freeze()
