"""Runs a command's coroutine; what commands share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from voicehelper_cli.context import Home
from voicehelper_cli.output import note

T = TypeVar("T")
TenantOption = Annotated[str, typer.Option("--tenant", "-t", help="Name of the tenant.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def home_of(context: typer.Context) -> Home:
    """The home of the context that was chosen."""
    return Home.of(context.obj)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; Ctrl-C ends with 130 and without a traceback."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(130) from None
