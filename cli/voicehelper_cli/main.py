"""The application: global options, commands of this room, and those of the rooms that are installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Annotated

import typer

from voicehelper_cli.commands import cells, chat, keys, knowledge, prove, release, resources, tenant, token, usage
from voicehelper_cli.context import ContextName
from voicehelper_cli.failures import EXIT_FAILED, Failure
from voicehelper_cli.output import note

_OTHER_ROOMS = ("voicehelper_embedded.commands",)
"""Modules that may be there, each with ``register(app: typer.Typer) -> None``."""


def _version(value: bool) -> None:
    if value:
        from voicehelper_core.settings import distribution_version

        typer.echo(distribution_version())
        raise typer.Exit


def create_app() -> typer.Typer:
    """All commands that are installed."""
    app = typer.Typer(
        name="voicehelper",
        help="VoiceHelper Cells: an AI assistant platform in which every tenant lives in a cell of its own.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        context: typer.Context,
        name: Annotated[
            ContextName,
            typer.Option("--context", envvar="VOICEHELPER_CONTEXT", help="Where the platform runs."),
        ] = ContextName.embedded,
        _: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None:
        context.obj = name

    for group in (resources, tenant, cells, release, token, keys, chat, knowledge, usage, prove):
        group.register(app)
    for module in _OTHER_ROOMS:
        if _installed(module):
            importlib.import_module(module).register(app)
    return app


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    try:
        create_app()(prog_name="voicehelper")
    except Failure as failure:
        note(f"error: {failure.message}")
        sys.exit(failure.exit_code)
    except BrokenPipeError:
        # The reader (a pager, head) has gone; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
