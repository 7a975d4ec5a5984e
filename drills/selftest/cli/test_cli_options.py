"""The options of a run are the same for pytest and for `meshdrill run`, and mean the same."""

import inspect
import re
from pathlib import Path

import pytest
from typer.main import get_command

from clusters.images.resolve import SOURCES
from drills.cli import app as cli
from drills.cli import options
from drills.selftest.doubles.forked import run_pytest

ROOT = Path(__file__).resolve().parents[3]
FLAGS = {it.flag for it in options.OPTIONS}
PYTEST_FLAGS = {it.pytest_flag or it.flag for it in options.OPTIONS}
PYTEST_KINDS = {it.flag for it in options.OPTIONS if it.is_pytest_kinds}


def of_the_command_line() -> dict[str, object]:
    """Return the options of `meshdrill run` with their defaults."""
    command = get_command(cli.app).commands["run"]  # type: ignore[attr-defined]  # a group, as it has commands
    return {it.opts[0]: it.default for it in command.params if it.opts[0].startswith("--")}


def test_each_option_is_one_of_pytests_and_one_of_the_command_lines(tmp_path: Path) -> None:
    """The two have the same options beside --mesh; those that pytest-kind defines are not defined again."""
    assert set(of_the_command_line()) - {"--help"} == {*FLAGS, "--mesh"}
    text = run_pytest(["--help", "-p", "no:cacheprovider"], within=ROOT, notes=tmp_path).out
    ours = re.search(r"^meshdrill:\n(.*?)\n\n", text, flags=re.MULTILINE | re.DOTALL)
    assert ours is not None
    assert set(re.findall(r"^  (--[a-z-]+)", ours[1], flags=re.MULTILINE)) == {*PYTEST_FLAGS, "--mesh"} - PYTEST_KINDS
    assert set(re.findall(r"^  (--[a-z-]+)", text, flags=re.MULTILINE)) >= PYTEST_KINDS


def test_what_is_not_given_is_the_same_for_both(pytestconfig: pytest.Config) -> None:
    """Each default is the one that the option says, on either side."""
    theirs = of_the_command_line()
    for option in options.OPTIONS:
        default = False if option.kind is bool else option.default
        assert theirs[option.flag] == default, option.flag
        if not option.is_pytest_kinds and not option.env:
            assert pytestconfig.getoption(option.dest) == default, option.flag


def test_every_image_source_is_a_choice() -> None:
    """The sources that both offer are those that images are resolved from."""
    assert tuple(options.ImageSource) == SOURCES


def test_what_the_command_is_given_reaches_pytest() -> None:
    """A switch is its flag alone, a value follows its flag, and what was not given is not there."""
    given: dict[str, object] = dict.fromkeys((it.name for it in options.OPTIONS), None)
    given |= {"bootstrap": True, "keep_cluster": False, "images": Path("a b"), "image_source": "engine"}
    given |= {"strict": True}
    assert options.words(given) == ["--bootstrap", "--images", "a b", "--image-source", "engine", "--drill-strict"]
    assert options.words(dict.fromkeys(given, None)) == []


def test_no_option_depends_on_its_place() -> None:
    """The command takes each by its name, so that a new one changes the meaning of no line."""
    found = [it.parameter() for it in options.OPTIONS]
    assert {it.kind for it in found} == {inspect.Parameter.KEYWORD_ONLY}
    assert [it.name for it in found] == [it.name for it in options.OPTIONS]


def test_the_key_may_be_given_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What CI keeps as a secret is no word of a command line."""
    monkeypatch.setenv(options.KEY_VARIABLE, "a key")
    parser = pytest.Parser(_ispytest=True)
    group = parser.getgroup("ours")
    for option in options.OPTIONS:
        option.add_to(group)
    assert parser.parse([]).key == Path("a key")
