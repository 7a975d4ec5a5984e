"""What a no-fault control shows: which signals appear although nothing is broken."""

from drills.judge import checks
from drills.judge.history import History
from drills.judge.measure import Truth


def fired_signals(history: History) -> tuple[str, ...]:
    """Return the signals that appeared from the start of the fault window to the end of the run, by name.

    A signal that could not be read is not among them. () for a record without these windows.
    """
    fault, run = history.window("fault"), history.window("run")
    if fault is None or run is None:
        return ()
    window = run.since(fault.start_ns)
    return tuple(
        name
        for name in sorted(history.facts.signals)
        if checks.signal_absent(name).evaluate(history, window).truth is Truth.FALSE
    )
