"""The answer to an audit as text: each part with its evidence."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from drills.judge import inert
from drills.judge.records import NS_PER_S
from drills.report.audit.answer import Audit, ShownCall
from drills.report.audit.chain import Issuer
from drills.report.audit.objects import PolicyObject, Shown

_SHORT_DIGITS = 12


def render(audit: Audit) -> str:
    """Return the answer in lines of text."""
    return inert.lines(_lines(audit))


def moment(at_ns: int) -> str:
    """Return an instant as RFC 3339 in UTC, to the millisecond."""
    seconds, rest_ns = divmod(at_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1_000_000:03d}Z"


def _lines(audit: Audit) -> Iterator[str]:
    asked = audit.question
    route = f" on route {asked.route}" if asked.route else ""
    during = ", ".join(name for name in audit.during if name != "run") or "outside its windows"
    yield f"{asked.source} -> {asked.target}{route} at {moment(asked.at_ns)}, {audit.after_start_s:+.3f} s ({during})"
    yield f"{audit.drill} on {audit.mesh}, run {audit.run_id}, bundle {audit.bundle}"
    yield f"statement {audit.statement_sha256}, {audit.signature}"
    yield ""
    yield f"allowed      {audit.allowed.answer}: {audit.allowed.says}"
    yield f"encrypted    {audit.encrypted.answer}: {audit.encrypted.says}"
    name = f"{audit.identity.expected} " if audit.identity.expected else ""
    yield f"identity     {name}{audit.identity.answer}: {audit.identity.says}"
    for peer in audit.identity.peers:
        owners = f", by the certificate of {', '.join(peer.certificate_of)}" if peer.certificate_of else ""
        yield f"  {peer.calls} calls: {peer.header}{owners}"
    yield f"certificate  {audit.certificates.answer}: {audit.certificates.says}"
    for shown in audit.certificates.shown:
        yield from _certificate(shown)
    yield from (f"  not certain: {doubt}" for doubt in audit.certificates.doubts)
    yield from _policies(audit)
    yield f"decided      {audit.decided.answer}: {audit.decided.says}"
    yield f"calls        {len(audit.calls)} nearest to the instant" if audit.calls else "calls        not recorded"
    yield from (f"  {_call(call)}" for call in audit.calls)


def _policies(audit: Audit) -> Iterator[str]:
    found = audit.policies
    yield f"policy       {found.answer}: {found.says}"
    if found.answer == "recorded":
        yield f"  objects that applied to {audit.question.target} (their rules are not evaluated here):"
        for one in found.objects:
            yield from _policy(one)
        if not found.objects:
            yield "  none"
    yield from (f"  not certain: {doubt}" for doubt in found.doubts)


def _policy(one: PolicyObject) -> Iterator[str]:
    version = f"resource version {one.resource_version}, SHA-256 {one.sha256[:_SHORT_DIGITS]}"
    yield f"  {one.name}, {version}, first seen {-one.since_s:.1f} s before"
    yield f"    {msgspec.json.encode(one.manifest.get('spec', {}), order='sorted').decode()}"


def _certificate(shown: Shown) -> Iterator[str]:
    seen = " and ".join(f"{offset_s:+.1f} s" for offset_s in shown.seen_s)
    validity = f"{moment(shown.not_before_ns)} to {moment(shown.not_after_ns)}"
    yield f"  {shown.pod}: SHA-256 {shown.fingerprint}, seen at {seen}"
    names = ", ".join(shown.san) or "no alternative name"
    yield f"    {names}, subject {shown.subject or 'empty'}, serial {shown.serial}, issued by {shown.issuer or '?'}"
    yield f"    valid {validity}, {'valid' if shown.is_valid else 'NOT VALID'} at the instant"
    if not shown.is_whole_chain:
        yield "    chain not recorded: only the leaf"
    elif not shown.above:
        yield "    chain: only the leaf was presented, without its issuer"
    for number, it in enumerate(shown.above, 1):
        yield from _issuer(number, it)


def _issuer(number: int, it: Issuer) -> Iterator[str]:
    if it.error:
        yield f"    chain {number}: SHA-256 {it.sha256 or '?'}, cannot be read: {it.error}"
        return
    signed = {True: "signed the one below", False: "DID NOT sign the one below", None: "whether it signed is not known"}
    names = f" ({', '.join(it.san)})" if it.san else ""
    yield f"    chain {number}: {it.subject or 'no subject'}{names}, serial {it.serial}, issued by {it.issuer or '?'}"
    yield f"      SHA-256 {it.sha256}, {signed[it.has_signed]}"
    validity = f"{moment(it.not_before_ns)} to {moment(it.not_after_ns)}"
    yield f"      valid {validity}, {'valid' if it.is_valid else 'NOT VALID'} at the instant"


def _call(call: ShownCall) -> str:
    status = "" if call.status is None else f" {call.status}"
    error = f" {call.error}" if call.error else ""
    served = f"served by {call.served_by} with {call.served_status}" if call.served_by else "recorded by no server"
    return f"{call.after_s:+.3f} s {call.id}: {call.outcome}{status}{error}, {served}"
