"""From a history to a verdict: pure functions that use no clock and no cluster, and read only the history."""
