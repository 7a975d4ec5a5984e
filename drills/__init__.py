"""Failure drills: run, judge, report."""
