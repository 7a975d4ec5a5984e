"""Probes: our observers, which try what the callers of the lab do not: new pods, policy changes, conditions."""
