"""Verify a bundle against its statement, and the statement's signature."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key

from drills.judge import files, inert
from drills.judge.bundle_files import STATEMENT_FILE, VERDICT_FILE
from drills.judge.verdict import Answer
from drills.report.statement import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Statement,
    digests,
    result_of,
)

_LIMIT_BYTES = 8_000_000  # our statements have a few thousand


class _Judged(msgspec.Struct, frozen=True):
    """The part of verdict.json that a statement repeats; the rest may be of another version."""

    verdict: Answer
    passed: bool
    is_control: bool


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
    """Yield the contradictions between the statement and the verdict."""
    try:
        judged = files.decode(bundle / VERDICT_FILE, _Judged)
    except files.FileError as error:
        yield f"{VERDICT_FILE}: cannot be read as a verdict: {error}"
        return
    said, result = statement.predicate, result_of(judged.verdict, passed=judged.passed, is_control=judged.is_control)
    if (said.result, said.meshdrill.verdict) != (result, judged.verdict):
        yield (
            f"{STATEMENT_FILE}: says {said.result} ({said.meshdrill.verdict}), {VERDICT_FILE} says {result} "
            f"({judged.verdict})"
        )


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
