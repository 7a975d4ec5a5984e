"""`meshdrill judge`: the drill's own code asks again, and a stored history answers in place of a cluster."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clusters import meshes
from clusters.model import Mesh
from clusters.runtime import InconclusiveError
from drills import catalogue, cli_verify, exits
from drills.judge import claims, files, known
from drills.judge.history import History
from drills.judge.verdict import Verdict
from drills.report import verification
from drills.report.names import DRAWN
from drills.report.redraw import RedrawError, redraw

VERDICT_FILE = "verdict.json"


@dataclass
class Replay:
    """Stands where the `drill` fixture stands: the same mesh, a run that is over, the same judge."""

    mesh: Mesh
    history: History
    verdict: Verdict | None = None

    def run(self, **_asked: object) -> History:
        """Return what was recorded, whatever load and fault the drill asks for."""
        return self.history

    def judge(self, history: History, *asked: claims.Claim) -> Verdict:
        """Judge as the live drill does, and remember the verdict."""
        self.verdict = claims.judge(history, asked)
        return self.verdict


def judge_again(bundle: Path, *, unverified: bool = False) -> tuple[str, int]:
    """Return a text for a person, and the exit code of the verdict that the drill's claims of today get.

    What was known to be violated is what the run recorded of it.

    Raises InconclusiveError for a bundle that is not what its statement says, unless `unverified` asks for it, and
    FileError for one with a file that cannot be read, or with a link or a special file in it.
    """
    files.demand_plain(bundle)
    label = _label(bundle, unverified=unverified)
    history = History.load(bundle)
    verdict = replay(history)
    listed = history.facts.deviates
    lines = (
        verdict.explain(),
        known.told(verdict, listed),
        _compared(bundle, verdict),
        label,
        *_drawn(bundle, verdict, unverified=unverified),
    )
    return "\n".join(filter(None, lines)), exits.of(verdict, listed)


def replay(history: History) -> Verdict:
    """Let the drill that recorded the history ask its claims of it again."""
    stand_in = Replay(meshes.load(history.facts.mesh), history.at_hand())
    try:
        let_ask(history.facts.drill, stand_in)
    except AssertionError:
        if stand_in.verdict is None:
            raise
    if stand_in.verdict is None:
        raise InconclusiveError(
            f"The drill {history.facts.drill} judged nothing; expected one call of drill.judge(...)."
        )
    return stand_in.verdict


def let_ask(drill: str, stand_in: object) -> None:
    """Call the drill of that name with something that stands where its `drill` fixture stands."""
    entry = catalogue.find(drill)
    ask: Callable[[object], None] = getattr(importlib.import_module(f"drills.{entry.file.stem}"), entry.function)
    ask(stand_in)


def _label(bundle: Path, *, unverified: bool) -> str:
    """Return in words how far the files can be believed; refuse those that cannot."""
    if not verification.has_statement(bundle):
        return "No statement: nothing but the seal in run.json vouches for these files."
    text, is_intact = cli_verify.verify(bundle)
    if is_intact:
        return f"Verified: {text}"
    if unverified:
        return f"UNVERIFIED, as asked: {text}"
    raise InconclusiveError(f"{bundle} is {text}\nA verdict on it would prove nothing; --unverified judges it anyway.")


def _drawn(bundle: Path, verdict: Verdict, *, unverified: bool) -> Iterator[str]:
    """Draw the pages anew where they tell of this verdict and the files can be believed; say what became of it."""
    has_pages = any(files.is_there(bundle / name) for name in DRAWN)
    if unverified or not has_pages or _stored(bundle) != verdict.encode():
        return
    try:
        changed = redraw(bundle)
    except RedrawError as error:
        yield f"Pages not drawn: {error}"
        return
    if changed:
        yield f"Drawn anew, as this version draws them: {', '.join(changed)}."


def _compared(bundle: Path, verdict: Verdict) -> str:
    stored = _stored(bundle)
    if stored is None:
        return f"{bundle / VERDICT_FILE} does not exist: nothing to compare with."
    if stored == verdict.encode():
        return f"Byte for byte the stored {VERDICT_FILE}."
    return f"NOT the stored {VERDICT_FILE}: the history, the drill, the mesh's facts or the judge changed since."


def _stored(bundle: Path) -> bytes | None:
    """Return the bytes of the stored verdict, None when there is none."""
    return files.read(bundle / VERDICT_FILE) if files.is_there(bundle / VERDICT_FILE) else None
