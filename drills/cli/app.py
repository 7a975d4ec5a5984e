"""The `meshdrill` command. It imports only light modules, so that a usage error is reported at once."""

# ruff: noqa: PLC0415 - what a command needs is loaded when it runs

import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from clusters.runtime import MeshdrillError, UsageError
from drills.cli import exits, options
from drills.cli import images as cli_images
from drills.cli.output import say, show, write_out
from drills.judge.files import FileError

# typer's own exit codes: after help, interrupted (older releases), bad usage, interrupted.
_TYPER_CODES = {0: exits.PASSED, 1: exits.INTERRUPTED, 2: exits.USAGE, 130: exits.INTERRUPTED}

app = typer.Typer(
    name="meshdrill",
    help="Failure drills for service meshes: break a real mesh, measure real traffic, keep the evidence.",
    epilog="Exit codes: 0 passed, 1 violated, 2 inconclusive, 3 harness error, 64 usage.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_images.app, name="images")

Bundles = Annotated[
    list[Path],
    typer.Argument(help="Bundles, or folders of bundles.", exists=True, file_okay=False, metavar="BUNDLE..."),
]
PublicKey = Annotated[Path | None, typer.Option("--key", help="Public key of the signer.", dir_okay=False)]

_DIFF_CODES = (
    "Exit codes: 0 nothing is worse; 1 an answer, a claim or a number is worse, or is not promised or not asked any "
    "more; 2 nothing is worse, but something is not known any more, or a bundle cannot be read; 64 usage."
)

_JUDGE_CODES = (
    "Exit codes: those of the verdict; 2 also if the history does not give the stored verdict, or the bundle does not "
    "match its statement; 64 usage."
)

_AUDIT_CODES = (
    "Exit codes: 0 the bundle shows whether the call was allowed; 2 it does not, or it does not match its statement; "
    "64 usage. Anything else that was not recorded is named and changes no exit code."
)

_NIGHT_CODES = (
    "Exit codes: the worst of all runs and of the comparison with the baseline: 0 passed, 1 violated or worse, "
    "2 inconclusive, 3 a run could not work or did not start in time, 64 usage, 130 interrupted."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Bootstrap = Annotated[bool, options.BOOTSTRAP.for_typer()]
Bundle = Annotated[Path, typer.Argument(help="Directory of one run's evidence.", exists=True, file_okay=False)]


@app.command()
def doctor(json: Json = False, bootstrap: Bootstrap = False) -> None:
    """Report what this machine can do, and how to close each gap."""
    import msgspec

    from clusters import host

    report = host.ensure(bootstrap=True, progress=say) if bootstrap else host.inspect()
    show(msgspec.json.format(msgspec.json.encode(report)).decode() if json else host.render(report))
    _end(exits.HARNESS if any(gap.fatal for gap in host.gaps(report)) else exits.PASSED)


@app.command("list")
def list_drills(
    places: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders with drills of your own.", metavar="[FILE|DIR]...")
    ] = None,
    json: Json = False,
) -> None:
    """List every drill with its hypothesis, what it requires of a mesh, and the meshes that it can run on."""
    from drills.cli import list as cli_list

    listed = cli_list.listed(places or ())
    show(cli_list.as_json(listed) if json else cli_list.as_text(listed))


def _run(drill: str, mesh: str, **given: object) -> None:
    """Run one drill on one mesh in a kind cluster of its own, and write an evidence bundle."""
    from drills.cli import keyring
    from drills.run import catalogue, controls
    from drills.run.declare import unmet

    entry, facts = catalogue.find(drill), catalogue.find_mesh(mesh)
    if reason := unmet(entry.requires, facts):
        raise UsageError(f"{entry.name} cannot be asked of {mesh}: {reason}.")
    if given[options.NO_FAULT.name]:
        controls.demand_possible(facts)
    key = given["key"]
    keyring.signer_in(str(key) if key else None)
    from drills.cli import run as console

    _end(console.run(entry, mesh, options.words(given)))


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the parameters of a run in the form that typer reads."""
    drill, mesh, _ = inspect.signature(command).parameters.values()
    drill = drill.replace(
        annotation=Annotated[str, typer.Argument(help="A drill of `meshdrill list`, or FILE.py::test_x.")]
    )
    mesh = mesh.replace(
        annotation=Annotated[str, typer.Option("--mesh", help="Mesh to run it on; see `meshdrill list`.")]
    )
    found = [drill, mesh, *(option.parameter() for option in options.OPTIONS)]
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
    command.__annotations__ = {it.name: it.annotation for it in found}
    return command


app.command("run")(_with_options(_run))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the drill in kebab-case, for example dns-outage.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.", file_okay=False)] = Path("drills"),
) -> None:
    """Write a working drill to start from, and its selftest."""
    from drills.cli import new as cli_new

    show(cli_new.write(name, folder))


@app.command()
def migrate(
    place: Annotated[
        Path,
        typer.Argument(help="Directory of one run, or of many.", exists=True, file_okay=False, metavar="BUNDLE|DIR"),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", help="Private key that signs what changed.", dir_okay=False)
    ] = None,
) -> None:
    """Convert bundles of an older format to this version's: store the claims that they were asked, judge, draw.

    Calls and events stay as they are. Older bundles can be read without this.
    """
    from drills.cli import migrate as cli_migrate

    show(cli_migrate.migrate(place, key))


@app.command(epilog=_JUDGE_CODES)
def judge(
    bundle: Bundle,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Judge a bundle even if it does not match its statement.")
    ] = False,
    current: Annotated[
        bool, typer.Option("--current", help="Ask the claims of today's drill instead of the stored ones.")
    ] = False,
    drill: Annotated[
        str | None, typer.Option("--drill", help="With --current: FILE.py::test_x of a drill of your own.")
    ] = None,
    strict: Annotated[bool, options.STRICT.for_typer()] = False,
    key: PublicKey = None,
) -> None:
    """Judge a stored run again, without a cluster. The same history and claims give the same verdict.json."""
    from drills.cli import judge as cli_judge

    text, code = cli_judge.judge_again(
        bundle, unverified=unverified, current=current, drill=drill, strict=strict, key=key
    )
    show(text)
    _end(code)


@app.command()
def report(
    place: Annotated[
        Path,
        typer.Argument(help="Directory of one run, or of many.", exists=True, file_okay=False, metavar="BUNDLE|DIR"),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", help="Private key that signs what changed.", dir_okay=False)
    ] = None,
) -> None:
    """Draw report.html, report.md and junit.xml of stored runs again, and for a folder of runs its index."""
    from drills.cli import report as cli_report

    show(cli_report.draw(place, key))


@app.command()
def mutate(
    bundle: Annotated[
        Path | None, typer.Argument(help="Directory of one run's evidence.", exists=True, file_okay=False)
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", help="Mutate the newest bundles here; write mutations.md.", exists=True, file_okay=False
        ),
    ] = None,
) -> None:
    """Change one thing at a time in a stored run and show which claims detect it; an undetected change exits with 1."""
    if (bundle is None) == (page is None):
        raise UsageError("mutate takes either one BUNDLE or --page REPORTS.")
    from drills.cli import mutate as cli_mutate

    text, is_killed = cli_mutate.mutate(bundle) if bundle else cli_mutate.write_page(page or Path())
    show(text)
    _end(exits.PASSED if is_killed else exits.VIOLATED)


@app.command()
def verify(
    bundle: Bundle,
    key: Annotated[Path | None, typer.Option("--key", help="Public key of the signer.", dir_okay=False)] = None,
) -> None:
    """Check every file of a bundle against its statement, and with a key the statement's signature."""
    from drills.cli import verify as cli_verify

    text, is_intact = cli_verify.verify(bundle, key)
    show(text)
    _end(exits.PASSED if is_intact else exits.VIOLATED)


@app.command()
def keygen(
    file: Annotated[Path, typer.Argument(help="Where to write the private key; FILE.pub is the public one.")],
) -> None:
    """Make a key pair: `run` signs evidence with the private key, `verify` checks it with the public key."""
    from drills.cli import keyring

    show(keyring.make(file))


@app.command()
def sweep() -> None:
    """Undo what killed runs left in clusters: every fault whose undo is still on disk."""
    from drills.cli import sweep as cli_sweep

    for line in cli_sweep.sweep_all(say):
        show(line)


@app.command()
def adr(
    bundles: Bundles,
    out: Annotated[Path, typer.Option("--out", help="The record; an existing one is updated.", dir_okay=False)],
    title: Annotated[str | None, typer.Option("--title", help="Title of a new record.")] = None,
    stale_after_days: Annotated[
        int,
        typer.Option(
            "--stale-after-days",
            min=1,
            max=36_500,
            help="Days until evidence is stale; a mesh has a new minor release about every quarter.",
        ),
    ] = 90,
    key: PublicKey = None,
) -> None:
    """Write a decision record from bundles: what they show, with hashes, and a placeholder for each human decision.

    An existing record keeps every word outside its generated blocks. A bundle that does not match its statement is
    refused (2).
    """
    from drills.cli import adr as cli_adr

    show(cli_adr.write(bundles, out, title=title, stale_after_days=stale_after_days, key=key))


@app.command(epilog=_AUDIT_CODES)
def audit(
    bundle: Annotated[Path, typer.Argument(help="Directory of one run's evidence.", exists=True, file_okay=False)],
    at: Annotated[str, typer.Option("--at", help="RFC 3339, or seconds after the run's start, e.g. +42.")],
    source: Annotated[str, typer.Option("--from", help="The service that calls.")],
    target: Annotated[str, typer.Option("--to", help="The service that is called.")],
    route: Annotated[str, typer.Option("--route", help="Path of the call; by default any.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    key: PublicKey = None,
) -> None:
    """Answer about one instant: was the call allowed, encrypted, under which identity and certificate, by which policy.

    Each part is answered from what the run recorded around that instant, or reported as not recorded.
    """
    from drills.cli import audit as cli_audit

    text, is_answered = cli_audit.ask(
        bundle, at=at, source=source, target=target, route=route, as_json=as_json, key=key
    )
    show(text)
    _end(exits.PASSED if is_answered else exits.INCONCLUSIVE)


@app.command(epilog=_DIFF_CODES)
def diff(
    old: Annotated[Path, typer.Argument(help="Folder of the earlier runs.", exists=True, file_okay=False)],
    new: Annotated[Path, typer.Argument(help="Folder of the runs to compare with them.", exists=True, file_okay=False)],
    mesh: Annotated[list[str] | None, typer.Option("--mesh", help="Compare only this mesh; may be repeated.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the Markdown to this file.", dir_okay=False)
    ] = None,
    key: PublicKey = None,
) -> None:
    """Compare two sets of runs, and print Markdown for a comment on a pull request.

    It lists answers and claims that changed, drills that are gone or new, numbers beyond chance, and flaky drills.
    """
    from drills.cli import diff as cli_diff

    text, code = cli_diff.compare_folders([old], [new], mesh or (), key=key)
    if out is not None:
        write_out(out, text)
    show(text)
    _end(code)


@app.command(epilog=_NIGHT_CODES)
def nightly(
    run_options: Annotated[
        list[str] | None,
        typer.Argument(
            help="After `--`: options for each `meshdrill run`, for example --bootstrap.", metavar="OPTION..."
        ),
    ] = None,
    mesh: Annotated[list[str] | None, typer.Option("--mesh", help="Only this mesh; may be repeated.")] = None,
    drill: Annotated[list[str] | None, typer.Option("--drill", help="Only this drill; may be repeated.")] = None,
    reports: Annotated[
        Path, typer.Option("--reports", help="Folder for the night's bundles and nightly.md.", file_okay=False)
    ] = Path("nightly"),
    baseline: Annotated[
        Path, typer.Option("--baseline", help="The accepted runs to compare with.", file_okay=False)
    ] = Path("reports"),
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=100, help="How many times to run each drill.")] = 1,
    limit_minutes: Annotated[
        int, typer.Option("--limit-minutes", min=1, max=100_000, help="Start no run after this many minutes.")
    ] = 600,
    no_fault: Annotated[bool, options.NO_FAULT.for_typer()] = False,
) -> None:
    """Run every drill on every mesh, one after the other; write a summary, the index, and what changed.

    A run that does not pass is repeated once, and both count: a failure that does not repeat itself is flaky. With
    --no-fault the night makes the no-fault control of every drill, into the same folder.
    """
    from drills.cli import nightly as cli_nightly

    run_words = (*(run_options or ()), *options.NO_FAULT.words(no_fault))
    asked = cli_nightly.plan(reports, mesh or (), drill or (), run_words, repeat=repeat, limit_s=limit_minutes * 60)
    text, code = cli_nightly.run(asked, baseline, say)
    show(text)
    _end(code)


@app.command()
def metrics(
    bundles: Bundles,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file and print nothing.", dir_okay=False)
    ] = None,
    key: PublicKey = None,
) -> None:
    """Print stored runs as OpenMetrics: verdict, recovery, longest outage, time to signal, latency of the baseline.

    The numbers are those of the newest run of each drill and mesh. A bundle that does not match its
    statement is refused (2).
    """
    from drills.cli import metrics as cli_metrics

    text = cli_metrics.write(bundles, out, key)
    if out is None:
        show(text, end="")


def status(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure is one message on stderr.

    An unforeseen exception is a defect of the harness and exits with a code that no verdict has.
    """
    try:
        return _ended(arguments)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BaseException:  # noqa: BLE001 - a panic inside polars is no Exception
        traceback.print_exc()
        say(f"meshdrill: {exits.DEFECT}")
        return exits.HARNESS


def _ended(arguments: Sequence[str]) -> int:
    try:
        typer.main.get_command(app).main(args=list(arguments), prog_name="meshdrill")
    except SystemExit as end:
        return _TYPER_CODES[int(end.code or 0)]
    except exits.EndedError as end:
        return end.code
    except (MeshdrillError, FileError) as error:
        say(f"meshdrill: {error}")
        return error.exit_code
    return exits.PASSED


def main() -> NoReturn:
    """Run the `meshdrill` program."""
    sys.exit(status(sys.argv[1:]))


def _end(code: int) -> NoReturn:
    raise exits.EndedError(code)
