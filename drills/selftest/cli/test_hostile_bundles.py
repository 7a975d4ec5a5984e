"""Bundles from an untrusted source, with links, pipes, sparse files and bytes that are no text in it."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from drills.cli import app as cli
from drills.cli import exits
from drills.cli import mutate as cli_mutate
from drills.cli import nightly as cli_nightly
from drills.cli.judge import replay
from drills.judge.bundle_files import DRAWN, INDEX_MD_FILE, REPORT_MD_FILE, STATEMENT_FILE
from drills.judge.files import FileError
from drills.judge.history import History
from drills.report.redraw import redraw
from drills.report.trust import statement, verification
from drills.selftest.doubles import outage_bundle
from drills.selftest.doubles.statements import restate

SPARSE_BYTES = 10_000_000_000
NESTED = b'{"unknown":' + b"[" * 100_000
NO_UTF8 = b'{"unknown":"\xff"}'
AT_ONCE_S = 20.0
RECORD = ("calls.parquet", "events.jsonl", "run.json")
Harm = Callable[[Path], None]


def link(path: Path) -> None:
    """Put a link in the file's place, to a file outside of the bundle."""
    path.unlink()
    (path.parents[4] / "diary").write_text("mine")
    path.symlink_to(path.parents[4] / "diary")


def loose_link(path: Path) -> None:
    """Put a link that leads nowhere yet."""
    path.unlink()
    path.symlink_to(path.parents[4] / "nowhere")


def pipe(path: Path) -> None:
    """Put a pipe in the file's place; nothing ever writes into it."""
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    """Put a link to an endless device in the file's place."""
    path.unlink()
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    """Put a directory in the file's place."""
    path.unlink()
    path.mkdir()


def sparse(path: Path) -> None:
    """Make the file larger than anything that is read, at no cost to the disk."""
    os.truncate(path, SPARSE_BYTES)


SPECIAL = (link, loose_link, pipe, endless)
HARM = (*SPECIAL, folder, sparse)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle of a drill that there is, with the verdict of today, pages and a statement."""
    place = tmp_path_factory.mktemp("pattern") / "20260101T000000Z"
    outage_bundle.bundle_of(outage_bundle.outage(), place)
    text = (place / "run.json").read_text(encoding="utf-8")
    text = text.replace('"test-drill"', '"control-plane-outage"').replace('"mesh": "story"', '"mesh": "none"')
    (place / "run.json").write_text(text, encoding="utf-8")
    verdict = replay(History.load(place))
    (place / "verdict.json").write_bytes(verdict.encode())
    statement.write(place, verdict, None)
    redraw(place)
    return place


@pytest.fixture
def bundle(pattern: Path, tmp_path: Path) -> Path:
    """Return a copy of it in a folder of runs."""
    place = tmp_path / "reports" / "control-plane-outage" / "none" / pattern.name
    return Path(shutil.copytree(pattern, place))


def contents(place: Path) -> dict[str, bytes | None]:
    """Return the bytes of every small regular file below a folder, None for all else."""
    found = sorted(place.rglob("*"))
    small = {it for it in found if it.is_file() and not it.is_symlink() and it.stat().st_size < SPARSE_BYTES}
    return {str(it): it.read_bytes() if it in small else None for it in found}


def status(*words: object) -> int:
    """Run a command in a thread: one that waits for ever fails its test and stops no other."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.status([str(it) for it in words])), daemon=True)
    thread.start()
    thread.join(AT_ONCE_S)
    assert codes, f"{words} still waits"
    return codes[0]


def readers(bundle: Path, out: Path) -> list[tuple[object, ...]]:
    """Return every command line that reads a bundle and takes its word."""
    return [
        ("judge", bundle),
        ("judge", bundle, "--unverified"),
        ("report", bundle),
        ("audit", bundle, "--at", "+1", "--from", "a", "--to", "b"),
        ("diff", bundle, bundle),
        ("metrics", bundle),
        ("adr", bundle, "--title", "Which mesh", "--out", out),
    ]


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", [*RECORD, "verdict.json", STATEMENT_FILE])
def test_what_is_no_plain_file_is_refused_at_once(
    harm: Harm, name: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that reads the file ends with 2 and names it, waits for nothing, and writes nothing."""
    harm(bundle / name)
    before = contents(tmp_path)
    is_skipped = name == STATEMENT_FILE and harm not in SPECIAL  # --unverified says that no statement is asked for
    for words in readers(bundle, tmp_path / "adr.md"):
        if is_skipped and "--unverified" in words:
            continue
        assert status(*words) == exits.INCONCLUSIVE, words
        said = capsys.readouterr()
        assert name in said.err, words
        assert "Traceback" not in said.err, words
    assert status("verify", bundle) == exits.VIOLATED  # its own answer: the bundle is not as stated
    assert name in capsys.readouterr().out
    assert contents(tmp_path) == before


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", RECORD)
def test_a_mutation_reads_plain_files_only(
    harm: Harm, name: str, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mutate`, which asks for no statement, refuses them as the others do."""
    harm(bundle / name)
    assert status("mutate", bundle) == exits.INCONCLUSIVE
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("is_stated", [True, False])
@pytest.mark.parametrize("harm", [*SPECIAL, folder])
@pytest.mark.parametrize("name", DRAWN)
def test_no_page_is_written_through_a_link(
    harm: Harm, name: str, is_stated: bool, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`judge` and `report` refuse a bundle with a page that is none before anything is written, stated or not."""
    if not is_stated:
        (bundle / STATEMENT_FILE).unlink()
    for page in DRAWN:
        (bundle / page).write_text("an older page")
    harm(bundle / name)
    before = contents(tmp_path)
    assert status("report", bundle) == exits.INCONCLUSIVE
    assert name in capsys.readouterr().err
    if harm in SPECIAL:
        assert status("judge", bundle) == exits.INCONCLUSIVE
        assert name in capsys.readouterr().err
    else:
        status("judge", bundle)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("harm", [link, pipe])
def test_a_link_that_is_no_page_keeps_pages_from_being_drawn(harm: Harm, bundle: Path, tmp_path: Path) -> None:
    """Wherever in the bundle it lies, nothing is written beside it."""
    (bundle / STATEMENT_FILE).unlink()
    (bundle / REPORT_MD_FILE).write_text("an older page")
    (bundle / "more").mkdir()
    (bundle / "more" / "extra").touch()
    harm(bundle / "more" / "extra")
    before = contents(tmp_path)
    assert status("report", bundle) == status("judge", bundle) == exits.INCONCLUSIVE
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", [INDEX_MD_FILE, "index.html"])
def test_no_index_is_written_through_a_link(
    name: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`report` on a folder whose README.md or index.html is a link ends with 2, and neither is written."""
    (tmp_path / "diary").write_text("mine")
    reports = bundle.parents[2]
    (reports / name).symlink_to(tmp_path / "diary")
    before = contents(tmp_path)
    assert status("report", reports) == exits.INCONCLUSIVE
    assert f"{name} is a link, expected a regular file" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_a_folder_of_runs_does_not_lead_elsewhere(
    levels: int, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle to which a link leads is not drawn: it belongs to another folder. The others and the index are."""
    other = tmp_path / "other" / "control-plane-outage" / "none" / bundle.name
    shutil.copytree(bundle, other)
    (other / REPORT_MD_FILE).write_text("an older page")
    paths = (bundle, *bundle.parents), (other, *other.parents)
    shutil.rmtree(paths[0][levels])
    paths[0][levels].symlink_to(paths[1][levels])
    before = contents(tmp_path / "other")
    assert status("report", tmp_path / "reports") == exits.INCONCLUSIVE
    assert "is a link, expected a folder of runs" in capsys.readouterr().err
    assert contents(tmp_path / "other") == before
    assert (tmp_path / "reports" / "index.html").exists()


def test_no_other_page_is_written_through_a_link(bundle: Path, tmp_path: Path) -> None:
    """Summary of a night, mutations, metrics, comparison and record: each refuses to write where a link lies."""
    (tmp_path / "diary").write_text("mine")
    place = tmp_path / "pages"
    place.mkdir()
    for name in ("nightly.md", "mutations.md", "out"):
        (place / name).symlink_to(tmp_path / "diary")
    with pytest.raises(FileError, match=r"nightly\.md is a link"):
        cli_nightly._write(place, ["# Night"])
    before = contents(tmp_path)
    assert status("metrics", bundle, "--out", place / "out") == exits.USAGE
    assert status("diff", bundle, bundle, "--out", place / "out") == exits.USAGE
    assert status("adr", bundle, "--title", "mine", "--out", place / "out") == exits.USAGE
    with pytest.raises(FileError, match=r"mutations\.md is a link"):
        cli_mutate._write(place, [])
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [NESTED, NO_UTF8])
@pytest.mark.parametrize("name", ["events.jsonl", "run.json", "verdict.json"])
def test_json_that_cannot_be_decoded_is_reported_in_a_sentence(
    content: bytes, name: str, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are no UTF-8, and nesting deeper than Python's stack, end with 2 wherever they are read."""
    verdict = replay(History.load(bundle))
    (bundle / STATEMENT_FILE).unlink()
    (bundle / name).write_bytes(content)
    if name != "verdict.json":
        assert status("judge", bundle) == exits.INCONCLUSIVE
        assert f"{name} cannot be read" in capsys.readouterr().err
    assert status("report", bundle) == exits.INCONCLUSIVE
    assert f"{name} cannot be read" in capsys.readouterr().err
    statement.write(bundle, verdict, None)
    assert status("metrics", bundle) == exits.INCONCLUSIVE
    assert name in capsys.readouterr().err
    assert status("report", bundle.parents[2]) == exits.INCONCLUSIVE
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("content", [NESTED, NO_UTF8])
def test_a_statement_that_cannot_be_decoded_vouches_for_nothing(content: bytes, bundle: Path) -> None:
    """Neither as an envelope nor as its payload."""
    restate(bundle, content)
    with pytest.raises(verification.StatementError, match="cannot be read"):
        verification.verify(bundle)
    (bundle / STATEMENT_FILE).write_bytes(content)
    with pytest.raises(verification.StatementError, match="cannot be read"):
        verification.verify(bundle)


@pytest.mark.parametrize("signature", [{"keyid": 1, "sig": "AA=="}, {"keyid": "a", "sig": 1}, {"keyid": "a"}, 7])
def test_a_signature_of_other_types_is_none(signature: object, bundle: Path) -> None:
    """A key's name that is a number, for example, makes the statement unreadable."""
    envelope = json.loads((bundle / STATEMENT_FILE).read_bytes())
    (bundle / STATEMENT_FILE).write_text(json.dumps({**envelope, "signatures": [signature]}))
    with pytest.raises(verification.StatementError, match="cannot be read"):
        verification.verify(bundle)


def test_a_name_that_is_no_utf8_can_be_printed(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is an extra file to `verify`, and a bundle with it is neither judged nor drawn; each says so in print."""
    (bundle / os.fsdecode(b"odd-\xff")).touch()
    assert status("verify", bundle) == exits.VIOLATED
    assert "odd-\\udcff: extra" in capsys.readouterr().out
    (bundle / STATEMENT_FILE).unlink()
    assert status("judge", bundle) == status("report", bundle) == exits.INCONCLUSIVE
    assert "odd-\\udcff has a name that is not UTF-8" in capsys.readouterr().err
