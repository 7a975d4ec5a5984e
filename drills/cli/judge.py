"""`meshdrill judge`: judge the history of a bundle by the claims that it stores, or by those of today's drill."""

from collections.abc import Mapping
from pathlib import Path

from clusters import meshes
from clusters.runtime import InconclusiveError, UsageError
from drills.cli import exits
from drills.cli import verify as cli_verify
from drills.judge import files, known, migration, storage
from drills.judge.bundle_files import RUN_FILE, VERDICT_FILE
from drills.judge.claims import Claim, judge, restored
from drills.judge.history import History
from drills.judge.inert import printable
from drills.judge.verdict import Verdict, read_verdict
from drills.report.trust import agreement, verification
from drills.run import catalogue
from drills.run.experiment import promised


def judge_again(
    bundle: Path,
    *,
    unverified: bool = False,
    current: bool = False,
    drill: str | None = None,
    strict: bool = False,
    key: Path | None = None,
) -> tuple[str, int]:
    """Return a text for a person, and the exit code of the verdict; INCONCLUSIVE if the stored one differs from it.

    The known issues are those that the run recorded. unverified: judge a bundle that does not match its statement, too.
    current: ask the claims and promises of today's drill of that name instead of the stored ones. drill:
    FILE.py::test_x, for a drill outside of this package. strict: what the mesh does not promise fails a run, too.

    Raises FileError for a bundle that cannot be read, InconclusiveError for one that does not match its statement or
    stores no claims, UsageError where today's drill cannot be found.
    """
    if drill is not None and not current:
        raise UsageError("--drill needs --current: it names the drill whose claims of today are asked.")
    files.demand_plain(bundle)
    label = _label(bundle, key, unverified=unverified)
    history = History.load(bundle)
    asked = claims_of_today(history, drill) if current else stored_claims(history)
    verdict = judge(history.at_hand(), asked)
    listed = history.facts.known_issues
    code = exits.of(verdict, listed, strict=strict)
    compared = "Claims of today's drill: not compared with the stored verdict."
    if not current:
        compared, is_stored = _compared(bundle, verdict)
        code = code if is_stored else exits.INCONCLUSIVE
    lines = (verdict.explain(), known.describe(verdict, listed, strict=strict), compared, label)
    return "\n".join(filter(None, lines)), code


def replay(history: History) -> Verdict:
    """Judge a history by the claims that its run stored."""
    return judge(history.at_hand(), stored_claims(history))


def stored_claims(history: History) -> dict[str, Claim]:
    """Return the stored claims; FileError when this version cannot ask one, InconclusiveError when there are none."""
    found = restored(history.facts.claims)
    if not found:
        raise InconclusiveError(
            f"The run {history.facts.run_id} stored no claims. `--current` asks those of its drill as it is today."
        )
    return found


def claims_of_today(history: History, drill: str | None = None) -> Mapping[str, Claim]:
    """Return the claims of the run's drill, or of the named one, as it is today."""
    entry, mesh = catalogue.find(drill or history.facts.drill), meshes.load(history.facts.mesh)
    experiment = entry.build(mesh)
    asked = experiment.without_fault(mesh) if history.facts.without_fault else experiment
    return promised(asked.claims, mesh, entry.name)


def _label(bundle: Path, key: Path | None, *, unverified: bool) -> str:
    """Describe how well the files are verified; InconclusiveError for files that do not match their statement.

    With a public key there must be a statement, signed by it.
    """
    if key is None and not verification.has_statement(bundle):
        return "No statement: only the digests in run.json protect these files."
    text, is_intact = cli_verify.verify(bundle, key)
    if is_intact:
        return f"Verified: {text}"
    if unverified:
        return f"UNVERIFIED, as asked: {text}"
    raise InconclusiveError(f"{bundle} is {text}\nA verdict on it proves nothing; --unverified judges it anyway.")


def _compared(bundle: Path, verdict: Verdict) -> tuple[str, bool]:
    """Return how the verdict compares with the stored one, in words, and whether the answers are the same."""
    stored = _stored(bundle)
    if stored is None:
        return f"{bundle / VERDICT_FILE} does not exist: there is nothing to compare with.", True
    if stored == verdict.encode():
        return f"Byte for byte the stored {VERDICT_FILE}.", True
    read = read_verdict(bundle)
    if _is_older(bundle) and read.encode() == verdict.encode():
        return f"Byte for byte the stored {VERDICT_FILE}, as this version reads an older format.", True
    if difference := agreement.difference(read, verdict):
        return printable(f"NOT the stored {VERDICT_FILE}: {difference}. Do not trust either one."), False
    return f"The answers of the stored {VERDICT_FILE}; its wording or its numbers are of another version.", True


def _is_older(bundle: Path) -> bool:
    return migration.format_of(storage.read_json(bundle / RUN_FILE)) < migration.FORMAT


def _stored(bundle: Path) -> bytes | None:
    """Return the bytes of the stored verdict, None when there is none."""
    return files.read(bundle / VERDICT_FILE) if files.is_there(bundle / VERDICT_FILE) else None
