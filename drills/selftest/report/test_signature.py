"""Signatures: whose it is, what happens without one, and keys that are none."""

import inspect
import stat
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from clusters import provision
from clusters.runtime import silent
from drills import plugin
from drills.cli import app as cli
from drills.cli import exits
from drills.report.trust import keys, statement, verification
from drills.run import catalogue
from drills.selftest.doubles.cluster_double import FileCluster, mesh
from drills.selftest.doubles.drill_double import MADE_OF
from drills.selftest.doubles.statements import HELD, canonical, payload_of, restate, written


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return a private key; the public one lies beside it."""
    keys.generate(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle of a run that was never long, with an unsigned statement."""
    return written(tmp_path / "bundle", HELD, None)


@pytest.fixture
def signed(tmp_path: Path, key: Path) -> Path:
    """Return the same bundle, signed."""
    return written(tmp_path / "signed", HELD, key)


def test_a_good_signature_is_told_and_a_wrong_key_refused(
    signed: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the signer's public key `verify` ends with 0; with another key with 1; with no key it says: not checked."""
    assert cli.status(["verify", str(signed), "--key", f"{key}.pub"]) == exits.PASSED
    assert "is good" in capsys.readouterr().out
    keys.generate(tmp_path / "other")
    assert cli.status(["verify", str(signed), "--key", str(tmp_path / "other.pub")]) == exits.VIOLATED
    assert "no good signature" in capsys.readouterr().out
    assert cli.status(["verify", str(signed)]) == exits.PASSED
    assert "not checked" in capsys.readouterr().out


def test_an_unsigned_bundle_fails_where_a_signature_is_asked_for(bundle: Path, key: Path) -> None:
    """Taking the signature away does not help: with a key, unsigned is not intact."""
    found = verification.verify(bundle, keys.public_key(Path(f"{key}.pub")))
    assert not found.is_intact
    assert "unsigned; expected a signature" in found.explain()


def test_a_signed_statement_cannot_be_rewritten(signed: Path, key: Path) -> None:
    """A forged file with a statement made to fit it has no good signature any more."""
    (signed / "report.md").write_text("all is well")
    found = payload_of(signed)
    subjects = [
        {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(statement.digests(signed).items())
    ]
    restate(signed, canonical({**found, "subject": subjects}))
    assert verification.verify(signed).is_intact
    assert not verification.verify(signed, keys.public_key(Path(f"{key}.pub"))).is_intact


@pytest.mark.parametrize("command", ["verify", "run"])
def test_a_file_that_is_no_key_is_wrong_usage(
    command: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key file that holds no key, or is absent, ends with 64 before anything is started."""
    (tmp_path / "no-key").write_text("hello")
    words = {"verify": ["verify", str(bundle)], "run": ["run", "control-plane-outage", "--mesh", "none"]}[command]
    for name in ("no-key", "absent"):
        assert cli.status([*words, "--key", str(tmp_path / name)]) == exits.USAGE
        assert name in capsys.readouterr().err


def test_keygen_makes_a_pair_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The private key is its owner's alone; a second keygen of the name, or over a public key, is refused."""
    file = tmp_path / "key"
    assert cli.status(["keygen", str(file)]) == exits.PASSED
    recorded = capsys.readouterr().out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert keys.public_key(tmp_path / "key.pub").keyid in recorded
    before = file.read_bytes()
    assert cli.status(["keygen", str(file)]) == exits.USAGE
    file.unlink()
    assert cli.status(["keygen", str(file)]) == exits.USAGE
    assert not file.exists()
    (tmp_path / "key.pub").unlink()
    file.write_bytes(before)
    assert cli.status(["keygen", str(file)]) == exits.USAGE
    assert file.read_bytes() == before
    assert not (tmp_path / "key.pub").exists()
    assert cli.status(["keygen", str(tmp_path / "no" / "folder")]) == exits.USAGE


def drill_of() -> None:
    """The hypothesis of a drill."""


@pytest.mark.parametrize("is_given", [True, False])
def test_a_run_signs_its_evidence_with_the_key_that_it_is_given(is_given: bool, key: Path, tmp_path: Path) -> None:
    """The fixture of a drill states its bundle, signed by --key; without one, unsigned."""
    options = {"--reports": tmp_path, "--key": str(key) if is_given else None}
    config = SimpleNamespace(getoption=options.get, stash={plugin.PROGRESS: silent})
    entry = catalogue.find("control-plane-outage")
    function = getattr(import_module(f"drills.{entry.file.stem}"), entry.function)
    request = SimpleNamespace(config=config, function=function, node=SimpleNamespace(stash={}))
    prepared = provision.Prepared(FileCluster(tmp_path / "place"), mesh(), MADE_OF)
    fixture = contextmanager(inspect.unwrap(plugin.drill))
    with fixture(cast("pytest.FixtureRequest", request), prepared) as drill:
        drill.bundle, drill.verdict = written(tmp_path / "a" / "b" / "run", HELD, None), HELD
    public = keys.public_key(Path(f"{key}.pub"))
    assert verification.verify(drill.bundle).is_intact
    assert verification.verify(drill.bundle, public).is_intact is is_given
