"""The commands of `meshdrill` that read many stored runs at once. Only light things are imported here."""

# ruff: noqa: PLC0415 - what a command needs is loaded when it runs

from pathlib import Path
from typing import Annotated

import typer

Bundles = Annotated[
    list[Path],
    typer.Argument(help="Bundles, or folders of bundles.", exists=True, file_okay=False, metavar="BUNDLE..."),
]
PublicKey = Annotated[Path | None, typer.Option("--key", help="Public key of the signer.", dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(adr)


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
