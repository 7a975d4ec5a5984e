"""Benchmark the judge: each check runs in a process of its own, on one core, next to the same check in plain Python.

    python -m drills.bench.judging --calls 5000000

A call is a row of the history; every row is in the judged window and on a judged edge. The time covers opening the
files, reading them and judging; nothing is cached from an earlier check. Calls per second are per second of processor
time. Other load on the machine still slows it down (caches, shared cores): use an idle machine, or run old and new code
in turn. This repository keeps no results: those of another machine do not apply to yours.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from drills.bench import plain, table
from drills.judge import checks
from drills.judge.measure import Check

LIMIT_S = 1800
BYTES_PER_KB = 1024
ONCE = checks.conservation(*table.EDGES)
RATE = checks.success_rate(*table.EDGES, at_least=0.9)
FAST = checks.calls_fast(*table.EDGES)
DENIED = checks.denied(*table.EDGES)
UNAUTHENTICATED = checks.unauthenticated(*table.EDGES)


class Timing(msgspec.Struct, frozen=True):
    """One measurement. numbers: what the check counted, to compare the judge with plain Python."""

    calls: int
    cpu_s: float
    peak_bytes: int
    numbers: list[list[int]]


def judged(check: Check, wanted: tuple[str, ...]) -> Callable[[Path, int], list[list[int]]]:
    """Return a function that evaluates a check and reads these numbers of each lane."""

    def ask(folder: Path, calls: int) -> list[list[int]]:
        rows = check.evaluate(table.load(folder, calls), table.window(calls)).rows
        return [[int(row.numbers[name] or 0) for name in wanted] for row in rows]

    return ask


def looped(
    check: Callable[[Path], dict[plain.Lane, tuple[int, int, int]]], columns: int
) -> Callable[[Path, int], list[list[int]]]:
    """Return a function that evaluates a check in plain Python, in the order of the judge's rows."""

    def ask(folder: Path, _calls: int) -> list[list[int]]:
        return [list(numbers[:columns]) for _, numbers in sorted(check(folder / "calls.jsonl").items(), key=str)]

    return ask


def complete(folder: Path, calls: int) -> list[list[int]]:
    """Look for defects of the record, which are no numbers to compare."""
    table.load(folder, calls).completeness()
    return []


WAYS: dict[str, Callable[[Path, int], list[list[int]]]] = {
    "success_rate": judged(RATE, ("calls", "ok")),
    "success_rate, plain Python": looped(plain.success_rate, 2),
    "conservation": judged(ONCE, ("served", "served_not_ok", "lost")),
    "conservation, plain Python": looped(plain.pairs, 3),
    "calls_fast": judged(FAST, ("calls",)),
    "denied": judged(DENIED, ("calls",)),
    "unauthenticated": judged(UNAUTHENTICATED, ("served",)),
    "completeness": complete,
}


def measure(name: str, folder: Path, calls: int) -> Timing:
    """Evaluate a check in this process and measure it."""
    begun_s = time.process_time()
    numbers = WAYS[name](folder, calls)
    cpu_s = time.process_time() - begun_s
    return Timing(calls, cpu_s, peak_bytes(), numbers)


def peak_bytes() -> int:
    """Return the peak memory of this process. getrusage would include that of the process that started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM")]
    return int(peak.split()[1]) * BYTES_PER_KB


def measure_apart(name: str, folder: Path, calls: int) -> Timing:
    """Measure a check in a process of its own, on one thread, so that its peak memory is its own."""
    command = [sys.executable, "-m", "drills.bench.judging", "--one", name, "--folder", str(folder)]
    found = subprocess.run(
        [*command, "--calls", str(calls)],
        check=True,
        timeout=LIMIT_S,
        stdout=subprocess.PIPE,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )
    return msgspec.json.decode(found.stdout, type=Timing)


def compare(calls: int, json_calls: int) -> str:
    """Generate histories, measure every check, and return a table. ValueError if judge and plain Python disagree."""
    with tempfile.TemporaryDirectory() as name:
        many, few = Path(name, "many"), Path(name, "few")
        table.write(many, calls)
        table.write(few, json_calls, as_lines=True)
        looks = {
            way: measure_apart(way, few, json_calls) if "plain" in way else measure_apart(way, many, calls)
            for way in WAYS
        }
        for way in ("success_rate", "conservation"):
            same = measure_apart(way, few, json_calls).numbers
            if same != looks[f"{way}, plain Python"].numbers:
                raise ValueError(
                    f"{way}: the judge counts {same}, plain Python {looks[f'{way}, plain Python'].numbers}"
                )
    lines = [f"{'':<34}{'calls':>12}{'calls/s of one core':>22}{'peak MB':>10}"]
    lines += [
        f"{way:<34}{look.calls:>12,}{look.calls / look.cpu_s:>22,.0f}{look.peak_bytes / 1e6:>10,.0f}"
        for way, look in looks.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Parse the arguments and print the table, or with --one the measurement of one check as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000_000)
    parser.add_argument(
        "--json-calls", type=int, default=500_000, help="number of calls for plain Python, which is slow"
    )
    parser.add_argument("--one", choices=WAYS, help="measure one check in this process")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.one and given.folder:
        sys.stdout.write(msgspec.json.encode(measure(given.one, given.folder, given.calls)).decode())
    else:
        sys.stdout.write(compare(given.calls, min(given.calls, given.json_calls)) + "\n")


if __name__ == "__main__":
    main()
