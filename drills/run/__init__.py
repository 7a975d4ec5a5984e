"""What touches the cluster: faults, workload, probes, undo log and runner. The result of a run is a History."""
