"""The names of a bundle's files."""

from typing import Final

RUN_FILE: Final = "run.json"
VERDICT_FILE: Final = "verdict.json"
REPORT_FILE: Final = "report.md"
PAGE_FILE: Final = "report.html"
JUNIT_FILE: Final = "junit.xml"

DRAWN: Final = (REPORT_FILE, PAGE_FILE, JUNIT_FILE)
"""What is made of the other files, and can be made again."""
