"""From a history to a verdict: pure functions, no clock, no cluster, nothing read but the history itself."""
