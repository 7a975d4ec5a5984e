"""Benchmarks of the judge, run by hand; not part of the installed package."""
