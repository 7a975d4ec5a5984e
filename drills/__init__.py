"""Failure drills: run, judge, report.

PYTEST_DONT_REWRITE stops pytest's warning that this package is imported already: `meshdrill run` starts pytest in its
own process. The modules below are rewritten as usual.
"""
