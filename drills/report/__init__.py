"""What a verdict becomes for people: files only. Reads histories and verdicts, never a cluster."""
