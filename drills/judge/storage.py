"""The files of a bundle that the judge reads: calls.parquet, events.jsonl, facts and seal in run.json, verdict.json."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import polars as pl

from drills.judge import files, migration
from drills.judge.bundle_files import CALLS_FILE, EVENTS_FILE, RUN_FILE, VERDICT_FILE
from drills.judge.events import Event, decode, encode
from drills.judge.inert import one_line
from drills.judge.records import CALLS_SCHEMA, Defect, RunFacts
from drills.judge.usable_calls import IS_USABLE

_File = TypeVar("_File")


class _RunFile(msgspec.Struct, frozen=True):
    facts: RunFacts
    seal: dict[str, str]
    format: int


def write(bundle: Path, calls: pl.DataFrame, events: tuple[Event, ...], facts: RunFacts) -> None:
    """Write the history; the seal goes last, so a bundle that was cut short has none."""
    bundle.mkdir(parents=True, exist_ok=True)
    ordered = calls.select(pl.col(name).cast(kind) for name, kind in CALLS_SCHEMA.items()).sort("scheduled_ns", "id")
    ordered.write_parquet(bundle / CALLS_FILE, compression="zstd", compression_level=12, statistics=True)
    lines = (encode(event) + b"\n" for event in sorted(events, key=_by_clock))
    (bundle / EVENTS_FILE).write_bytes(b"".join(lines))
    seal = {name: files.digest(bundle / name) for name in (CALLS_FILE, EVENTS_FILE)}
    text = msgspec.json.encode(_RunFile(facts, seal, migration.FORMAT), order="sorted")
    (bundle / RUN_FILE).write_bytes(msgspec.json.format(text, indent=2) + b"\n")


def read(bundle: Path) -> tuple[pl.LazyFrame, tuple[Event, ...], RunFacts, tuple[Defect, ...]]:
    """Return calls (lazily), events, facts, and the defects of the files themselves."""
    run = _read_run(bundle)
    calls, unusable = _read_calls(bundle / CALLS_FILE)
    events = tuple(_read_events(bundle / EVENTS_FILE))
    return calls, events, run.facts, (*_broken_seals(bundle, run.seal), *unusable)


def read_facts(bundle: Path) -> RunFacts:
    """Return the facts of a run alone. Raises FileError as `read` does."""
    return _read_run(bundle).facts


def _by_clock(event: Event) -> int:
    return event.at_ns


def _read_run(bundle: Path) -> _RunFile:
    path, judged = bundle / RUN_FILE, bundle / VERDICT_FILE
    run = read_json(path)
    if read_format(run, path) == migration.FORMAT:
        return files.decode(path, _RunFile)
    verdict = read_json(judged) if files.is_there(judged) else {}
    return upgraded(lambda: migration.upgrade_run(run, verdict), _RunFile, path)


def read_json(path: Path) -> migration.Json:
    """Return the object in a JSON file of a bundle. Raises FileError as `read` does."""
    return files.decode(path, dict[str, object])


def read_format(run: migration.Json, path: Path) -> int:
    """Return the format of a run.json; FileError for one that this version does not know."""
    found = migration.format_of(run)
    if found > migration.FORMAT:
        raise files.FileError(
            f"{path} has format {found}, and this meshdrill reads formats 1 to {migration.FORMAT}: use a newer one."
        )
    if found < migration.FIRST:
        raise _unreadable(path, f"its format is {run['format']!r}, expected a number from {migration.FIRST} on")
    return found


def upgraded(upgrade: Callable[[], migration.Json], kind: type[_File], path: Path) -> _File:
    """Return an upgraded file, converted to its type; FileError where it cannot be upgraded."""
    try:
        return msgspec.convert(upgrade(), kind)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error


def _read_calls(path: Path) -> tuple[pl.LazyFrame, tuple[Defect, ...]]:
    """Return the usable rows, and a defect if there are others.

    Reads every page once: a damaged one is a FileError here, and no error in the midst of a later query.
    """
    files.demand_regular(path, limit_bytes=files.TABLE_BYTES)
    try:
        calls = pl.scan_parquet(path)
        found = calls.collect_schema()
        if found != CALLS_SCHEMA:
            raise _unreadable(path, f"its columns are {dict(found)}, expected {dict(CALLS_SCHEMA)}")
        counts = calls.select(pl.all().null_count(), unusable=(~IS_USABLE).sum()).collect(engine="streaming")
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable(path, error) from error
    count = int(counts["unusable"].item())
    if not count:
        return calls, ()
    message = f"{count} rows of {path.name} lack what their writer always records, or name an impossible instant"
    return calls.filter(IS_USABLE), (Defect("unusable", path.name, message),)


def _read_events(path: Path) -> Iterator[Event]:
    for number, line in enumerate(files.read(path).splitlines(), start=1):
        yield files.parse(path, line, decode, part=f"line {number}: ")


def _unreadable(path: Path, reason: object) -> files.FileError:
    return files.FileError(
        f"{path} cannot be read as part of a history: {one_line(str(reason))}. "
        "It was truncated, edited or written by another version; judge an intact copy of the bundle."
    )


def _broken_seals(bundle: Path, seal: dict[str, str]) -> Iterator[Defect]:
    for name in (CALLS_FILE, EVENTS_FILE):
        if seal.get(name) != files.digest(bundle / name):
            yield Defect(
                "edited", name, f"{name} is not the file that the run wrote: its SHA-256 differs from the seal"
            )
