"""Probes: observers of the harness for what the lab's callers do not try: new pods, policy changes, conditions."""
