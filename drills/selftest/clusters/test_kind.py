"""The shared directory of a kind cluster: no other user can prepare it, and it is deleted with the cluster."""

import fcntl
import os
import stat
from pathlib import Path

import pytest
import yaml

from clusters import kind
from clusters.runtime import HarnessError
from clusters.tools import Tools

TOOLS = Tools(Path("kind"), Path("kubectl"), Path("helm"), {})


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory instead of /dev/shm, with an engine that has cluster `stands` and accepts each command."""
    found = tmp_path / "shm"
    found.mkdir()
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setattr(kind, "_MEMORY", found)
    monkeypatch.setattr(kind, "state_dir", lambda: state)
    monkeypatch.setattr(kind, "ensure_tools", lambda _progress: TOOLS)
    monkeypatch.setattr(kind, "run", lambda words, **_how: "stands\n" if "get" in words else "")
    return found


def shares(memory: Path) -> Path:
    """Return the directory of all shares."""
    return memory / f"meshdrill-{os.geteuid()}"


def made(name: str) -> kind.Maker:
    """Return a cluster that was just made."""
    maker = kind.Maker(name, image="", tools=TOOLS)
    maker.make(restrict_oom=False)
    return maker


def made_again(name: str) -> kind.Maker:
    """Return the cluster as a later run finds it."""
    return kind.Maker(name, image="", tools=TOOLS)


def test_what_is_shared_lies_where_no_other_user_can_enter(memory: Path) -> None:
    """Programs of any user on the nodes can write logs; no other user of this machine can reach them."""
    maker = made("a")
    assert maker.share == shares(memory) / "a"
    assert stat.S_IMODE(shares(memory).stat().st_mode) == 0o700
    assert stat.S_IMODE((maker.share / "logs").stat().st_mode) == 0o1777
    mounts = yaml.safe_load((maker.home / "kind.yaml").read_text())["nodes"][0]["extraMounts"]
    assert [mount["hostPath"] for mount in mounts] == [str(maker.share)]


@pytest.mark.parametrize("prepared", ["open to all", "a link", "a file"])
def test_a_directory_that_somebody_prepared_is_refused(prepared: str, memory: Path, tmp_path: Path) -> None:
    """A cluster is not made on a directory that another user could read, redirect or fill."""
    match prepared:
        case "open to all":
            shares(memory).mkdir()
            shares(memory).chmod(0o777)
        case "a link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            shares(memory).symlink_to(tmp_path / "elsewhere")
        case _:
            shares(memory).touch()
    with pytest.raises(HarnessError, match="expected a directory of user"):
        made("a")
    assert not (tmp_path / "elsewhere" / "a").exists()


def test_logs_of_a_cluster_that_was_deleted_by_hand_are_not_taken_for_new_ones(memory: Path) -> None:
    """A new cluster of the same name begins with an empty directory."""
    old = made("a").share / "logs" / "frontend.jsonl"
    old.write_text("{}")
    assert made("a").share == shares(memory) / "a"
    assert not old.exists()


@pytest.mark.usefixtures("memory")
def test_what_was_installed_in_a_cluster_that_was_deleted_by_hand_is_not_taken_for_installed() -> None:
    """A new cluster of the same name has no mesh yet, no pending undo, and another API to discover."""
    home = made("a").home
    for name in ("installed.json", "made-of.json", "authority.json", "discovery.json"):
        (home / name).write_text("{}")
    (home / "undo").mkdir()
    (home / "undo" / "0001.json").write_text("{}")
    assert {it.name for it in made("a").home.iterdir()} == {"kind.yaml"}


def test_a_cluster_shares_what_it_was_made_with(memory: Path) -> None:
    """Its nodes mount one directory for as long as it stands, whatever this machine has in memory later."""
    share = made("a").share
    memory.rename(memory.parent / "gone")
    assert kind.Maker("a", image="", tools=TOOLS).share == share


@pytest.mark.usefixtures("memory")
def test_state_of_a_cluster_is_for_its_owner_alone() -> None:
    """It holds the undo log and the mesh's keys: the mode of an existing directory is corrected, too."""
    maker = made("a")
    maker.home.chmod(0o755)
    assert stat.S_IMODE(made_again("a").home.stat().st_mode) == 0o700


def test_shares_without_a_cluster_are_removed(memory: Path) -> None:
    """The share of a deleted cluster is removed; that of an existing or locked cluster stays."""
    for name in ("stands", "gone", "held"):
        made(name)
    with kind._lock("held").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert kind.remove_orphans(print) == ("gone",)
    assert {path.name for path in shares(memory).iterdir()} == {"stands", "held"}


def test_without_shares_there_is_nothing_to_remove(memory: Path) -> None:
    """No directory is made by looking for one."""
    assert kind.remove_orphans(print) == ()
    assert not shares(memory).exists()
