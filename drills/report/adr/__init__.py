"""The decision record (ADR): one draft from the evidence of many bundles."""
