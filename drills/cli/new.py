"""`meshdrill new`: write a working drill to start from, and its selftest."""

import re
from pathlib import Path
from typing import Final

from clusters.runtime import UsageError

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_DRILL: Final = '''"""What this file asks, in one sentence."""

from drills.kit import Experiment, Mesh, Role, checks, claim, drill, faults, suites

BACK_S = 40


@drill(requires=[Role.CONTROL_PLANE])
def test_{function}(mesh: Mesh) -> Experiment:
    """With no control plane, known routes keep working, nothing unauthorised gets in, and an alert fires."""
    return Experiment(
        method=faults.{fault}(Role.CONTROL_PLANE, hold_s=30),
        claims={{
            **suites.security(),
            **suites.keeps_working(),
            "control-plane-down-alerts": claim.sometimes(checks.signal_seen("control-plane-down")),
            **suites.recovers(within_s=BACK_S, new_pods="anywhere"),
        }},
    )
'''

_SELFTEST: Final = '''"""The drill {name} is sound, as far as a test without a cluster can show."""

from pathlib import Path

from drills import prove
from drills.run import catalogue


def test_the_drill_is_sound() -> None:
    """It can be built for every mesh that it can run on, and no claim is decided by an empty history."""
    found = catalogue.find(f"{{Path(__file__).with_name('test_{function}.py')}}::test_{function}")
    assert prove.defects(found) == ()
'''


def write(name: str, folder: Path) -> str:
    """Write a drill and its selftest into the folder, and return what to do next.

    name: in kebab-case, for example dns-outage. Raises UsageError for another form and for a file that exists.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a drill; expected kebab-case, for example dns-outage.")
    function = name.replace("-", "_")
    texts = {
        folder / f"test_{function}.py": _DRILL.format(function=function, fault="make_unavailable"),
        folder / f"test_{function}_selftest.py": _SELFTEST.format(name=name, function=function),
    }
    for file in texts:
        if file.exists():
            raise UsageError(f"{file} exists: give another name, or another --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    drill, selftest = texts
    return (
        f"Wrote {drill} and {selftest}.\n"
        f"Run the selftest:  pytest {selftest}\n"
        f"Run the drill:     meshdrill run {drill}::test_{function} --mesh none --bootstrap"
    )
