"""Changes a stored bundle at random, as damage and as forgers do; the same seed gives the same bundle."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from clusters.runtime import MeshdrillError
from drills.cli.judge import replay
from drills.judge.files import FileError
from drills.judge.history import History
from drills.judge.verdict import read_verdict
from drills.selftest.doubles import forger, hostile

JSON_FILES = ("run.json", "run.json", "verdict.json", "statement.dsse.json")
RECORD = ("calls.parquet", "events.jsonl")
NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**62, 2**63, 2**64, -(2**63), 10**400, 0.5, -1e308, 1e308, 1e-308)
DEEP = json.loads("[" * 900 + "]" * 900)
INSTANTS_NS = (None, -(2**63), -1, 0, 2**62, 2**63 - 1)

Change = Callable[[Path, random.Random], None]


def change(bundle: Path, rng: random.Random, outside: Path) -> None:
    """Make one to three changes, then let the digests be wrong, or match again in one of three ways.

    In one bundle of twenty something else then takes the place of a file: a link to the file outside, for example.
    """
    for _ in range(rng.randint(1, 3)):
        with suppress(OSError, ValueError, KeyError, RecursionError, pl.exceptions.PolarsError):  # already broken
            rng.choice(CHANGES)(bundle, rng)
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError, FileError, MeshdrillError):
        rng.choice((_leave, forger.reseal, _restate, _judge, _judge))(bundle)
    if rng.random() < 0.05:
        _replace_file(bundle, rng, outside)


def _leave(_bundle: Path) -> None:
    """Change nothing more."""


def _restate(bundle: Path) -> None:
    forger.reseal(bundle)
    forger.restate(bundle, read_verdict(bundle))


def _judge(bundle: Path) -> None:
    """Store the verdict that the changed history gives, so that every reader draws what it holds."""
    forger.reseal(bundle)
    forger.restate(bundle, replay(History.load(bundle)))


def _bytes(bundle: Path, rng: random.Random) -> None:
    path = rng.choice(sorted(it for it in bundle.iterdir() if it.is_file()))
    content = bytearray(path.read_bytes())
    at, length = rng.randrange(len(content)), rng.choice((1, 8, 200))
    match rng.randrange(5):
        case 0:
            content[at] ^= 1 << rng.randrange(8)
        case 1:
            del content[at:]
        case 2:
            del content[at : at + length]
        case 3:
            content[at:at] = rng.randbytes(length)
        case _:
            content[at : at + length] = bytes(len(content[at : at + length]))
    path.write_bytes(content)


def _json(bundle: Path, rng: random.Random) -> None:
    path = bundle / rng.choice(JSON_FILES)
    content = msgspec.json.decode(path.read_bytes())
    _mutate(content, rng)
    path.write_bytes(_encoded(content))


def _event(bundle: Path, rng: random.Random) -> None:
    path = bundle / "events.jsonl"
    lines = path.read_bytes().splitlines()
    at = rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines[at:at] = [lines[at]] * rng.choice((1, 3, 2000))
        case 2:
            rng.shuffle(lines)
        case _:
            event = msgspec.json.decode(lines[at])
            _mutate(event, rng)
            lines[at] = _encoded(event)
    path.write_bytes(b"\n".join(lines) + b"\n")


def _table(bundle: Path, rng: random.Random) -> None:
    path = bundle / "calls.parquet"
    table = pl.read_parquet(path)
    name = rng.choice(table.columns)
    share = pl.int_range(pl.len()) % rng.choice((1, 2, 17, 1000)) == 0
    match rng.randrange(6):
        case 0:
            table = table.filter(~share)
        case 1:
            table = pl.concat([table, table.filter(share)])
        case 2:
            table = table.sample(fraction=1.0, shuffle=True, seed=rng.randrange(2**30))
        case 3 if rng.random() < 0.2:
            table = table.drop(name)
        case _:
            value = _cell(table.schema[name], rng)
            table = table.with_columns(
                pl.when(share).then(pl.lit(value, table.schema[name])).otherwise(name).alias(name)
            )
    table.write_parquet(path)


def _cell(kind: pl.DataType, rng: random.Random) -> object:
    if kind == pl.String:
        return rng.choice((None, "", "ok", "frontend", *hostile.PAYLOADS))
    if kind == pl.Int64:
        return rng.choice(INSTANTS_NS)
    return rng.choice((None, True)) if kind == pl.Boolean else rng.choice((None, -1, 0, 2**31 - 1))


def _mutate(content: Any, rng: random.Random) -> None:  # noqa: ANN401 - any JSON
    """Change one value somewhere inside."""
    holder, key = rng.choice(list(_places(content)))
    match rng.randrange(6):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(hostile.PAYLOADS)] = holder.pop(key)
        case 2 if isinstance(holder, list):
            holder[:] = holder * rng.choice((0, 2, 50))
        case _:
            holder[key] = rng.choice((_evil, _number, _text))(rng)


def _evil(rng: random.Random) -> object:
    return rng.choice((None, True, False, "", [], {}, [[]], {"": None}, DEEP))


def _number(rng: random.Random) -> object:
    return rng.choice(NUMBERS)


def _text(rng: random.Random) -> object:
    return rng.choice(hostile.PAYLOADS) * rng.choice((1, 1, 1, 1000))


def _places(content: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        pairs = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
        found += [(holder, key) for key, _ in pairs]
        waiting += [part for _, part in pairs if isinstance(part, dict | list)]
    return found


def _encoded(content: object) -> bytes:
    """Return JSON, also of numbers that msgspec refuses to write."""
    return json.dumps(content).encode()


def _replace_file(bundle: Path, rng: random.Random, outside: Path) -> None:
    """Put something else where a file was, a link to a file outside among them."""
    path = bundle / rng.choice((*JSON_FILES, *RECORD, "report.md", "report.html", "junit.xml", "new", "odd\nname"))
    path.unlink(missing_ok=True)
    match rng.randrange(5):
        case 0:
            path.symlink_to(outside)
        case 1:
            path.mkdir()
        case 2:
            os.mkfifo(path)
        case 3:
            path.touch()
        case _:
            pass


CHANGES: tuple[Change, ...] = (_bytes, _json, _json, _json, _event, _event, _table, _table)
