"""The names of the files of a bundle, and of the pages beside the bundles."""

from typing import Final

CALLS_FILE: Final = "calls.parquet"
EVENTS_FILE: Final = "events.jsonl"
RUN_FILE: Final = "run.json"
VERDICT_FILE: Final = "verdict.json"
EXPERIMENT_FILE: Final = "experiment.json"
JOURNAL_FILE: Final = "journal.json"
REPORT_MD_FILE: Final = "report.md"
REPORT_HTML_FILE: Final = "report.html"
JUNIT_FILE: Final = "junit.xml"
STATEMENT_FILE: Final = "statement.dsse.json"

DRAWN: Final = (REPORT_MD_FILE, REPORT_HTML_FILE, JUNIT_FILE)
"""Generated from the other files; `meshdrill report` generates them again."""

INDEX_MD_FILE: Final = "README.md"
INDEX_HTML_FILE: Final = "index.html"
MUTATIONS_FILE: Final = "mutations.md"
