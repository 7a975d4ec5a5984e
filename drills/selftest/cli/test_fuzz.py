"""Changed bundles through every reader: a sentence and a code, never a trace, and 1 only for a VIOLATED claim.

MESHDRILL_FUZZ_BUNDLES=10000 pytest -s -n 0 drills/selftest/cli/test_fuzz.py runs a longer one and prints its figures.
"""

import os
import random
import resource
import shutil
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

from drills.cli import app as cli
from drills.cli import exits
from drills.cli.judge import replay
from drills.judge.history import History
from drills.selftest.doubles import forger, fuzzer, outage_bundle

VARIABLE = "MESHDRILL_FUZZ_BUNDLES"
BUNDLES = int(os.environ.get(VARIABLE, "300"))
READERS_EACH = None if VARIABLE in os.environ else 4
"""How many readers get each bundle, chosen at random; the longer fuzz gives it to all."""
MUTATE_EVERY = 60
"""Mutating asks every claim some hundred times, so only some bundles are mutated."""
SHARDS = 3
SEED = int(os.environ.get("MESHDRILL_FUZZ_SEED", "1"))
AT_ONCE_S = 20.0
MAX_MEMORY_KIB = 2_000_000
SAY_EVERY = 50
DIARY = "mine"


@dataclass
class Figures:
    """What a fuzz found. flaws: each with its seed and command."""

    commands: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    longest_s: float = 0.0
    flaws: list[str] = field(default_factory=list)

    def say(self, bundles: int) -> None:
        """Print the figures so far."""
        memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(  # noqa: T201 - the longer fuzz is run for its figures
            f"{bundles} bundles, {self.commands.total()} commands {dict(self.commands)}, codes {dict(self.codes)}, "
            f"longest {self.longest_s:.1f} s, at most {memory_mib} MiB, {len(self.flaws)} flaws"
        )


def readers(bundle: Path, out: Path) -> list[tuple[object, ...]]:
    """Return every command line that reads a bundle, but `mutate`; the last ones write into it."""
    asked = ("--at", "+12", "--from", "frontend", "--to", "checkout")
    return [
        ("verify", bundle),
        ("judge", bundle),
        ("judge", bundle, "--unverified"),
        ("audit", bundle, *asked),
        ("audit", bundle, *asked, "--json"),
        ("diff", bundle, bundle),
        ("metrics", bundle),
        ("adr", bundle, "--title", "Which mesh", "--out", out),
        ("report", bundle),
        ("report", bundle.parents[2]),
        ("migrate", bundle),
    ]


def flaw(words: tuple[object, ...], code: int, said: str, took_s: float) -> str:
    """Return what is wrong with the end of a command; "" if nothing is."""
    last = said.strip().rpartition("\n")[2]
    if "Traceback" in said or code not in {exits.PASSED, exits.VIOLATED, exits.INCONCLUSIVE, exits.USAGE}:
        trace = [line for line in said.splitlines() if line and not line.startswith((" ", "meshdrill:"))]
        return f"trace {trace[-1] if trace else last}"
    if took_s > AT_ONCE_S:
        return f"took {took_s:.0f} s"
    proof = {"verify": "", "judge": "VIOLATED", "mutate": "SURVIVED"}.get(str(words[0]))
    is_false = code == exits.VIOLATED and (proof is None or proof not in said)
    return f"ended with {code}: {last}" if is_false else ""


def chosen(bundle: Path, out: Path, number: int, rng: random.Random) -> list[tuple[object, ...]]:
    """Return the command lines that get this bundle, in the order of `readers`."""
    every = readers(bundle, out)
    places = range(len(every)) if READERS_EACH is None else sorted(rng.sample(range(len(every)), READERS_EACH))
    kept = [every[place] for place in places]
    return [*kept, ("mutate", bundle)] if number % MUTATE_EVERY == 0 else kept


def ask(words: tuple[object, ...], figures: Figures, label: str) -> None:
    """Run one command and note how it ended."""
    out, began_s = StringIO(), time.monotonic()
    with redirect_stdout(out), redirect_stderr(out):
        code = cli.status([str(it) for it in words])
    took_s = time.monotonic() - began_s
    figures.commands[str(words[0])] += 1
    figures.codes[code] += 1
    figures.longest_s = max(figures.longest_s, took_s)
    if found := flaw(words, code, out.getvalue(), took_s):
        figures.flaws.append(f"{label} {words[0]}: {found}")
        print(figures.flaws[-1])  # noqa: T201 - as above


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle with failures, alerts, new pods and policy changes, with pages and a statement."""
    place = outage_bundle.bundle_of(outage_bundle.outage(), tmp_path_factory.mktemp("pattern") / "20260101T000000Z")
    forger.restate(place, replay(History.load(place)))
    return place


@pytest.mark.timeout(0 if VARIABLE in os.environ else 300)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_changed_bundle_ends_in_a_trace(shard: int, pattern: Path, tmp_path: Path) -> None:
    """Every reader answers each of them with a sentence, in time and memory, and writes nothing outside."""
    figures, diary = Figures(), tmp_path / "diary"
    diary.write_text(DIARY)
    for number in range(shard, BUNDLES, SHARDS):
        bundle = tmp_path / "reports" / "test-drill" / "story" / pattern.name
        shutil.rmtree(tmp_path / "reports", ignore_errors=True)
        shutil.copytree(pattern, bundle)
        rng = random.Random(f"{SEED} {number}")  # noqa: S311 - changes, no secret
        fuzzer.change(bundle, rng, diary)
        for words in chosen(bundle, tmp_path / "adr.md", number, rng):
            ask(words, figures, f"{SEED} {number}")
        (tmp_path / "adr.md").unlink(missing_ok=True)
        if number // SHARDS % SAY_EVERY == SAY_EVERY - 1:
            figures.say(number // SHARDS + 1)
    figures.say(BUNDLES // SHARDS)
    assert not figures.flaws
    assert diary.read_text() == DIARY
    assert {path.name for path in tmp_path.iterdir()} == {"diary", "reports"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MAX_MEMORY_KIB
    assert figures.codes[exits.PASSED]
    assert figures.codes[exits.INCONCLUSIVE]
