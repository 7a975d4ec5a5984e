"""One run as pages: report.html and report.md."""
