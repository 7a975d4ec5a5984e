"""Measurements of our own speed, run by hand; no part of the package that is installed."""
