"""The part that touches the cluster: faults, workload, probes, undo log and the runner. Its product is a History."""
