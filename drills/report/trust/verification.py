"""Verify a bundle against its statement, and the statement's signature."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key

from drills.judge import files, inert
from drills.judge.bundle_files import RUN_FILE, STATEMENT_FILE, VERDICT_FILE
from drills.report.trust.statement import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Statement,
    digests,
    result_of,
)

_LIMIT_BYTES = 8_000_000  # our statements have a few thousand


class _Named(msgspec.Struct, frozen=True):
    id: str = ""  # the first edition has none


class _Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What has an outcome. verdict: its name before format 3."""

    outcome: str | None = None
    verdict: str | None = None

    @property
    def said(self) -> str | None:
        """Return the outcome under either name."""
        return self.outcome or self.verdict


class _Finding(_Answered, frozen=True, kw_only=True):
    """The part of a finding that a statement repeats."""

    id: str = ""  # the first edition has none


class _Judged(_Answered, frozen=True, kw_only=True):
    """The part of verdict.json that a statement repeats; the rest may be of another version."""

    drill: str
    mesh: str
    run_id: str
    is_control: bool
    passed: bool
    findings: tuple[_Finding, ...]
    without_fault: bool = False


class _Facts(msgspec.Struct, frozen=True):
    """The part of the facts in run.json that a verdict repeats."""

    drill: str
    mesh: str
    run_id: str
    is_control: bool = False
    without_fault: bool = False
    claims: tuple[_Named, ...] | msgspec.UnsetType = msgspec.UNSET  # the first edition stored none


class _Run(msgspec.Struct, frozen=True):
    facts: _Facts


class _Signature(msgspec.Struct, frozen=True):
    keyid: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{1,128}\Z")]  # hex, as securesystemslib makes it
    sig: str


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """A DSSE envelope, typed here because securesystemslib does not check the types of its fields."""

    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


class StatementError(Exception):
    """The statement is missing, cannot be read, or is not one of ours."""


class Verification(msgspec.Struct, frozen=True):
    """The result. Each complaint names one file or one flaw of the statement; without any, nothing changed."""

    files: int  # in the statement
    signature: str  # in words
    complaints: tuple[str, ...]
    is_signed: bool = False

    @property
    def is_intact(self) -> bool:
        """Whether every file matches the statement, none is missing or extra, and a required signature is good."""
        return not self.complaints

    def explain(self) -> str:
        """Return the result as text."""
        outcome = "every file is as stated" if self.is_intact else "NOT the bundle that the statement describes"
        lines = (*(f"  {complaint}" for complaint in self.complaints), f"  {self.signature}")
        return inert.lines((f"{outcome} ({self.files} files)", *lines))


def has_statement(bundle: Path) -> bool:
    """Return whether the bundle has a statement."""
    return files.is_there(bundle / STATEMENT_FILE)


def verify(bundle: Path, key: Key | None = None) -> Verification:
    """Compare every file of the bundle with the statement; with a public key, check the signature too.

    Raises StatementError if there is no statement, or it cannot be read.
    """
    envelope = _read(bundle / STATEMENT_FILE)
    statement = _decode(envelope, bundle / STATEMENT_FILE)
    signature, is_good = _signature(envelope, key)
    complaints = (
        *_differences(bundle, statement),
        *_contradictions(bundle, statement),
        *(() if is_good else (f"{STATEMENT_FILE}: {signature}",)),
    )
    return Verification(len(statement.subject), signature, complaints, bool(envelope.signatures))


def _differences(bundle: Path, statement: Statement) -> Iterator[str]:
    stated = {it.name: it.digest.get("sha256", "") for it in statement.subject}
    found = digests(bundle)
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            yield f"{name}: missing; the statement lists it"
        elif name not in stated:
            yield f"{name}: extra; the statement does not list it"
        elif not found[name]:
            yield f"{name}: changed; it is no plain file any more, or too large to be read"
        elif found[name] != stated[name]:
            yield f"{name}: changed; its SHA-256 is {found[name]}, the statement says {stated[name]}"


def _contradictions(bundle: Path, statement: Statement) -> Iterator[str]:
    """Yield the contradictions between the statement, the verdict and the facts of the run."""
    try:
        judged = files.decode(bundle / VERDICT_FILE, _Judged)
    except files.FileError as error:
        yield f"{VERDICT_FILE}: cannot be read as a verdict: {error}"
        return
    try:
        facts = files.decode(bundle / RUN_FILE, _Run).facts
    except files.FileError as error:
        yield f"{RUN_FILE}: cannot be read as the facts of a run: {error}"
        return
    if judged.said is None:
        yield f"{VERDICT_FILE}: has no outcome, which the statement repeats"
        return
    yield from _differing(STATEMENT_FILE, _stated(statement), _of_verdict(judged))
    if not all(it.id for it in judged.findings):
        return  # of the first edition, which named its claims by their sentences
    yield from _differing(STATEMENT_FILE, {"answers": _claims_stated(statement)}, {"answers": _claims_judged(judged)})
    named = {name: getattr(facts, name) for name in ("drill", "mesh", "run_id", "is_control", "without_fault")}
    claims = {} if facts.claims is msgspec.UNSET else {"claims": [it.id for it in facts.claims]}
    wanted = {**_of_verdict(judged), "claims": [it.id for it in judged.findings]}
    yield from _differing(RUN_FILE, {**named, **claims}, wanted)


def _differing(file: str, found: Mapping[str, object], judged: Mapping[str, object]) -> Iterator[str]:
    for name, value in found.items():
        if value != judged[name]:
            words = f": it says {value}, {VERDICT_FILE} says {judged[name]}" if isinstance(value, str | bool) else ""
            yield f"{file}: its {name} is not that of {VERDICT_FILE}{words}"


def _stated(statement: Statement) -> dict[str, object]:
    said = statement.predicate.meshdrill
    names = ("drill", "mesh", "run_id", "is_control", "without_fault", "verdict", "passed")
    return {"result": statement.predicate.result, **{name: getattr(said, name) for name in names}}


def _of_verdict(judged: _Judged) -> dict[str, object]:
    outcome = judged.said or ""
    result = result_of(outcome, passed=judged.passed, is_control=judged.is_control)
    return {**msgspec.structs.asdict(judged), "result": result, "verdict": outcome}


def _claims_stated(statement: Statement) -> list[tuple[str, str | None]]:
    return [(it.claim, it.verdict) for it in statement.predicate.meshdrill.claims]


def _claims_judged(judged: _Judged) -> list[tuple[str, str | None]]:
    return [(it.id, it.said) for it in judged.findings]


def _signature(envelope: Envelope, key: Key | None) -> tuple[str, bool]:
    """Return the state of the signature in words, and whether it is as good as required."""
    signers = ", ".join(sorted(envelope.signatures))
    if key is None:
        if not signers:
            return "unsigned: a change of a file and of the statement would go unnoticed", True
        return f"signed by key {signers}, not checked: give --key with the public key", True
    if not signers:
        return f"unsigned; expected a signature by key {key.keyid}", False
    try:
        envelope.verify([key], 1)
    except VerificationError:
        return f"no good signature by key {key.keyid}; it carries one by {signers}", False
    return f"signature by key {key.keyid} is good", True


def _read(path: Path) -> Envelope:
    try:
        return Envelope.from_dict(msgspec.to_builtins(files.decode(path, _Envelope, limit_bytes=_LIMIT_BYTES)))
    except files.NoFileError as error:
        raise StatementError(
            f"{inert.printable(str(path))} does not exist: nothing vouches for the files of this bundle."
        ) from error
    except files.FileError as error:
        raise StatementError(str(error)) from error
    except ValueError as error:  # the payload or the signature is not base64
        raise _unreadable(path, error) from error


def _decode(envelope: Envelope, path: Path) -> Statement:
    if envelope.payload_type != PAYLOAD_TYPE:
        raise _unreadable(path, f"its payload is {envelope.payload_type!r}, expected {PAYLOAD_TYPE!r}")
    try:
        statement = msgspec.json.decode(envelope.payload, type=Statement)
        canonical = rfc8785.dumps(msgspec.json.decode(envelope.payload))
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise _unreadable(path, error) from error
    if canonical != envelope.payload:
        raise _unreadable(path, "its payload is not canonical JSON (RFC 8785), so two readers might read two things")
    if (statement.type, statement.predicate_type) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise _unreadable(path, f"it is a {statement.type} about {statement.predicate_type}")
    return statement


def _unreadable(path: Path, reason: object) -> StatementError:
    name, words = inert.printable(str(path)), inert.one_line(str(reason))
    return StatementError(f"{name} cannot be read as an in-toto statement: {words}. Judge an intact copy.")
