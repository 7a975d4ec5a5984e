"""The commands of `meshdrill` that tell more of stored runs than a verdict. Only light things are imported here."""

# ruff: noqa: PLC0415 - what a command needs is loaded when it runs

from pathlib import Path
from typing import Annotated

import typer

from drills import exits

Bundles = Annotated[
    list[Path],
    typer.Argument(help="Bundles, or folders of bundles.", exists=True, file_okay=False, metavar="BUNDLE..."),
]
PublicKey = Annotated[Path | None, typer.Option("--key", help="Public key of the signer.", dir_okay=False)]

_DIFF_CODES = (
    "Exit codes: 0 nothing is worse; 1 an answer, a claim or a number is worse, or is not promised or "
    "not asked any more; "
    "2 nothing is worse, but something is not known any more, or a bundle cannot be read; 64 usage."
)

_AUDIT_CODES = (
    "Exit codes: 0 the bundle tells whether it was allowed, 2 it cannot tell or is not as stated, 64 usage. "
    "What else is not recorded is said, and changes no exit code."
)

_NIGHT_CODES = (
    "Exit codes: the worst of every run, and of the comparison with the baseline: 0 passed, 1 violated or worse, "
    "2 inconclusive, 3 a run could not work or was not begun in time, 64 usage, 130 interrupted."
)


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(adr)
    app.command(epilog=_AUDIT_CODES)(audit)
    app.command(epilog=_DIFF_CODES)(diff)
    app.command(epilog=_NIGHT_CODES)(nightly)
    app.command()(metrics)


def adr(
    bundles: Bundles,
    out: Annotated[Path, typer.Option("--out", help="The record; an existing one is updated.", dir_okay=False)],
    title: Annotated[str | None, typer.Option("--title", help="Title of a new record.")] = None,
    stale_after_days: Annotated[
        int,
        typer.Option(
            "--stale-after-days",
            min=1,
            help="Life of evidence; a quarter, because meshes bring a minor release about that often.",
        ),
    ] = 90,
    key: PublicKey = None,
) -> None:
    """Write a decision record from bundles: what they say, with hashes, and a mark wherever a person decides.

    An existing record keeps every word outside of its generated blocks. A bundle that is not as stated is refused (2).
    """
    from drills import cli_adr

    typer.echo(cli_adr.write(bundles, out, title=title, stale_after_days=stale_after_days, key=key))


def audit(
    bundle: Annotated[Path, typer.Argument(help="Directory of one run's evidence.", exists=True, file_okay=False)],
    at: Annotated[str, typer.Option("--at", help="RFC 3339, or seconds after the run's start, e.g. +42.")],
    source: Annotated[str, typer.Option("--from", help="The service that calls.")],
    target: Annotated[str, typer.Option("--to", help="The service that is called.")],
    route: Annotated[str, typer.Option("--route", help="Path of the call; by default any.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    key: PublicKey = None,
) -> None:
    """Tell of one instant: was the call allowed, encrypted, under which identity and certificate, by which policy.

    Each part is answered from what the run recorded around that instant, or says that it is not recorded.
    """
    from drills import cli_audit

    text, is_answered = cli_audit.ask(
        bundle, at=at, source=source, target=target, route=route, as_json=as_json, key=key
    )
    typer.echo(text)
    raise exits.EndedError(exits.PASSED if is_answered else exits.INCONCLUSIVE)


def diff(
    old: Annotated[Path, typer.Argument(help="Folder of the runs before.", exists=True, file_okay=False)],
    new: Annotated[Path, typer.Argument(help="Folder of the runs now.", exists=True, file_okay=False)],
    mesh: Annotated[list[str] | None, typer.Option("--mesh", help="Compare only this mesh; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the Markdown here too.", dir_okay=False)] = None,
) -> None:
    """Compare two sets of runs, and print Markdown for a comment on a pull request.

    Tells of answers and claims that changed, drills that are gone or new, numbers beyond chance, and flaky drills.
    """
    from drills import cli_diff
    from drills.judge import files

    text, code = cli_diff.compare_folders([old], [new], mesh or ())
    if out is not None:
        files.write(out, text.encode())
    typer.echo(text)
    raise exits.EndedError(code)


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
        Path, typer.Option("--reports", help="Where the night's bundles and nightly.md go.", file_okay=False)
    ] = Path("nightly"),
    baseline: Annotated[
        Path, typer.Option("--baseline", help="The accepted runs to compare with.", file_okay=False)
    ] = Path("reports"),
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="How often each drill is asked.")] = 1,
    limit_minutes: Annotated[int, typer.Option("--limit-minutes", min=1, help="When nothing more is begun.")] = 600,
) -> None:
    """Ask every drill of every mesh, one after the other; write a summary, the index, and what changed since.

    What does not pass is asked once more, and both runs count: a failure that does not repeat itself is flaky.
    """
    from drills import cli_images, cli_nightly

    asked = cli_nightly.plan(
        reports, mesh or (), drill or (), run_options or (), repeat=repeat, limit_s=limit_minutes * 60
    )
    text, code = cli_nightly.run(asked, baseline, cli_images.say)
    typer.echo(text)
    raise exits.EndedError(code)


def metrics(
    bundles: Bundles,
    out: Annotated[Path | None, typer.Option("--out", help="Write it here and print nothing.", dir_okay=False)] = None,
) -> None:
    """Print stored runs as OpenMetrics: verdict, recovery, longest outage, time to signal, latency of the baseline.

    The numbers are those of the newest run of each drill and mesh. A bundle that is not as stated is refused (2).
    """
    from drills import cli_metrics

    text = cli_metrics.write(bundles, out)
    if out is None:
        typer.echo(text, nl=False)
