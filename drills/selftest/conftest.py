"""What all selftests have in common: processes of xdist side by side, and none of them with threads beside it."""

import os

# Read when polars is loaded, in the workers, which start after this. A pool of threads in each would only add switches.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
