"""The options of a run, each defined once for pytest and for every command of meshdrill that has it."""

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import pytest
import typer
from typer.models import OptionInfo

from clusters.images.resolve import SOURCES

KEY_VARIABLE: Final = "MESHDRILL_KEY"
ImageSource = StrEnum("ImageSource", {name.upper(): name for name in SOURCES})  # type: ignore[misc]
"""The sources of an image, as clusters.images.resolve names them."""


@dataclass(frozen=True)
class Option:
    """One option of a run.

    kind: bool for a switch, str, Path, or an enum of choices. is_pytest_kinds: pytest-kind defines it for pytest. env:
    the environment variable that gives its value where the option is absent. pytest_flag: its flag for pytest, where
    pytest has another option of that name.
    """

    flag: str
    help: str
    kind: type = str
    default: object = None
    is_folder: bool = False
    is_pytest_kinds: bool = False
    env: str = ""
    pytest_flag: str = ""

    @property
    def dest(self) -> str:
        """Return its name among pytest's options."""
        return (self.pytest_flag or self.flag).removeprefix("--").replace("-", "_")

    @property
    def name(self) -> str:
        """Return the name of its Python parameter: --chart-dir -> chart_dir."""
        return self.flag.removeprefix("--").replace("-", "_")

    def add_to(self, group: pytest.OptionGroup) -> None:
        """Add the option to a group of pytest's options."""
        if self.is_pytest_kinds:
            return
        if self.kind is bool:
            group.addoption(self.pytest_flag or self.flag, action="store_true", help=self.help)
            return
        default = os.environ.get(self.env, self.default) if self.env else self.default
        choices = [str(it) for it in self.kind] if issubclass(self.kind, StrEnum) else None
        kind = str if choices else self.kind
        group.addoption(self.flag, type=kind, choices=choices, default=default, help=self.help)

    def for_typer(self) -> OptionInfo:
        """Return the option for the annotation of a typer command's parameter."""
        info: OptionInfo = typer.Option(
            self.flag,
            help=self.help,
            envvar=self.env or None,
            file_okay=not self.is_folder,
            dir_okay=self.is_folder or self.kind is not Path,
        )
        return info

    def parameter(self) -> inspect.Parameter:
        """Return the option as a parameter of a typer command."""
        kind = self.kind if self.kind is bool or self.default is not None else self.kind | None
        default = False if self.kind is bool else self.default
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, self.for_typer()]
        )

    def words(self, value: object) -> tuple[str, ...]:
        """Return the arguments of a command line that give the option this value; none for None and False."""
        if value is None or value is False:
            return ()
        flag = self.pytest_flag or self.flag
        return (flag,) if value is True else (flag, str(value))


BOOTSTRAP: Final = Option(
    "--bootstrap", "First prepare a Debian or Ubuntu host, as root: install and start Docker.", bool
)
IMAGES: Final = Option("--images", "Directory of `docker save` archives.", Path, is_folder=True)
REGISTRY_MIRROR: Final = Option("--registry-mirror", "HOST[:PORT] to pull from instead of each official registry.")
STRICT: Final = Option(
    "--strict",
    "Fail a run that breaks, or cannot decide, what the mesh does not promise, too.",
    bool,
    pytest_flag="--drill-strict",
)
NO_FAULT: Final = Option(
    "--no-fault", "Break nothing: run the drill's no-fault control, in which every claim must hold.", bool
)
OPTIONS: Final = (
    BOOTSTRAP,
    Option("--keep-cluster", "Leave the cluster for the next run.", bool, is_pytest_kinds=True),
    Option("--cluster-name", "Name of the kind cluster; by default meshdrill-MESH.", is_pytest_kinds=True),
    IMAGES,
    Option("--image-source", "Take images only from this source.", ImageSource),
    REGISTRY_MIRROR,
    Option("--chart-dir", "Directory of Helm charts.", Path, is_folder=True),
    Option("--chart-repository", "URL of a Helm repository to take charts from."),
    Option("--reports", "Folder for evidence bundles.", Path, Path("reports"), is_folder=True),
    Option("--key", "Private key that signs the evidence.", Path, env=KEY_VARIABLE),
    STRICT,
    NO_FAULT,
)


def words(given: Mapping[str, object]) -> list[str]:
    """Return the given options of a command as arguments of pytest's command line."""
    return [word for option in OPTIONS for word in option.words(given[option.name])]
