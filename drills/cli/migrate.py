"""`meshdrill migrate`: convert bundles of an older format to this version's."""

import json
from pathlib import Path

import msgspec
from securesystemslib.signer import Signer

from clusters.runtime import InconclusiveError, UsageError
from drills.cli.judge import replay
from drills.cli.keyring import signer_in
from drills.judge import files, migration, storage
from drills.judge.bundle_files import EXPERIMENT_FILE, RUN_FILE, VERDICT_FILE
from drills.judge.files import FileError
from drills.judge.history import History
from drills.judge.verdict import read_verdict
from drills.report import folders, redraw
from drills.report.trust import statement, verification


def migrate(place: Path, key: Path | None = None) -> str:
    """Migrate one bundle, or each one below a folder, and return a line for each.

    A bundle stays as it is when it cannot be read, does not match its statement, is signed and no key is given, or
    would get another outcome: InconclusiveError names each, after the others were migrated.
    """
    bundles = folders.below(place, RUN_FILE)
    if not bundles:
        raise UsageError(f"{place} holds no {RUN_FILE}: expected a bundle, or a folder of bundles.")
    signer, lines, refused = signer_in(key), [], []
    for bundle in bundles:
        try:
            lines.append(f"{bundle}: {_migrate(bundle, signer)}.")
        except (InconclusiveError, FileError) as error:
            refused.append(str(error))
    if refused:
        raise InconclusiveError("\n".join([*lines, *refused]))
    return "\n".join(lines)


def _migrate(bundle: Path, signer: Signer | None) -> str:
    run = storage.read_json(bundle / RUN_FILE)
    before = migration.format_of(run)
    if before == migration.FORMAT:
        return "has this version's format"
    _refuse_unverified(bundle, signer)
    history = History.load(bundle)
    outcomes = {it.id: it.outcome for it in read_verdict(bundle).findings}
    verdict = replay(history)
    changed = [it.id for it in verdict.findings if outcomes[it.id] is not it.outcome]
    if changed:
        raise InconclusiveError(f"{bundle}: {', '.join(changed)} would get another outcome. It stays as it is.")
    upgraded = migration.upgrade_run(run, storage.read_json(bundle / VERDICT_FILE))
    claims = msgspec.to_builtins(history.facts.claims)
    files.write(bundle / RUN_FILE, _text(upgraded))
    if before < migration.SECOND and files.is_there(bundle / EXPERIMENT_FILE):
        experiment = migration.upgrade_experiment(storage.read_json(bundle / EXPERIMENT_FILE), claims)
        files.write(bundle / EXPERIMENT_FILE, json.dumps(experiment, indent=2).encode() + b"\n")
    files.write(bundle / VERDICT_FILE, verdict.encode())
    if verification.has_statement(bundle):
        statement.write(bundle, verdict, signer)
    redraw.redraw(bundle, signer)
    return f"migrated from format {before} to {migration.FORMAT}, {len(verdict.findings)} claims"


def _refuse_unverified(bundle: Path, signer: Signer | None) -> None:
    if not verification.has_statement(bundle):
        return
    try:
        found = verification.verify(bundle)
    except verification.StatementError as error:
        raise InconclusiveError(str(error)) from error
    if not found.is_intact:
        raise InconclusiveError(f"{bundle} is {found.explain()}\nIt stays as it is.")
    if found.is_signed and signer is None:
        raise InconclusiveError(f"{bundle} is signed, and no --key is given to sign it again. It stays as it is.")


def _text(content: migration.Json) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2) + b"\n"
