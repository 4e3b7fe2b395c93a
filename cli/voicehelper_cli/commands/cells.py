"""``voicehelper cells cordon | uncordon | drain | rebalance``."""

from __future__ import annotations

from typing import Annotated

import typer

from voicehelper_cli.commands.running import JsonOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.output import say, say_json, table

CellArgument = Annotated[str, typer.Argument(metavar="CELL", help="Name of the Cell.")]
GraceOption = Annotated[
    int | None, typer.Option("--grace", metavar="SECONDS", help="How long old cells keep the data, read-only.")
]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Follow the moves until all live elsewhere.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="For --wait.", min=1)]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Who may live in cells, and who should live elsewhere.", no_args_is_help=True)
    for command in (cordon, uncordon, drain, rebalance):
        group.command()(command)
    app.add_typer(group, name="cells")


def cordon(context: typer.Context, cell: CellArgument) -> None:
    """Place nobody more in a cell; who lives there stays."""
    run(_cordon(home_of(context), cell, value=True))
    say(f"cell/{cell} cordoned")


def uncordon(context: typer.Context, cell: CellArgument) -> None:
    """Let tenants be placed in a cell again."""
    run(_cordon(home_of(context), cell, value=False))
    say(f"cell/{cell} uncordoned")


async def _cordon(home: Home, cell: str, *, value: bool) -> None:
    from voicehelper_cli.moves import cordoned
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        await cordoned(resources.store, cell, value=value)


def drain(
    context: typer.Context,
    *,
    cell: CellArgument,
    grace: GraceOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = 3600,
) -> None:
    """Cordon a shared cell, and move all who live there to others."""
    run(_drain(home_of(context), cell, grace, timeout if wait else None))


async def _drain(home: Home, cell: str, grace: int | None, timeout: float | None) -> None:
    from voicehelper_cli.moves import drained, followed
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        names = await drained(resources.store, cell, grace)
        say(f"cell/{cell} cordoned; " + (f"moves: {', '.join(names)}" if names else "nobody lives there"))
        if timeout is not None and names:
            await followed(resources.store, names, timeout)


def rebalance(
    context: typer.Context,
    *,
    apply: Annotated[bool, typer.Option("--apply/--plan", help="Begin the moves, or only show them.")] = False,
    grace: GraceOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = 3600,
    as_json: JsonOption = False,
) -> None:
    """Even out how many tenants shared cells have, with the fewest moves."""
    run(_rebalance(home_of(context), apply=apply, grace=grace, timeout=timeout if wait else None, as_json=as_json))


async def _rebalance(home: Home, *, apply: bool, grace: int | None, timeout: float | None, as_json: bool) -> None:
    from voicehelper_cli.moves import begun, followed, unbalanced
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        steps = await unbalanced(resources.store)
        if as_json:
            say_json([{"tenant": step.tenant, "from": step.source, "to": step.target} for step in steps])
        elif steps:
            say(table(["TENANT", "FROM", "TO"], ([step.tenant, step.source, step.target] for step in steps)))
        else:
            say("the cells are even: nothing to move")
        if not apply:
            if steps and not as_json:
                say("\nNothing has been changed. Begin the moves with --apply.")
            return
        made = [await begun(resources.store, s.tenant, {"cell": s.target}, grace=grace) for s in steps]
        if timeout is not None and made:
            await followed(resources.store, [move.metadata.name for move in made], timeout)
