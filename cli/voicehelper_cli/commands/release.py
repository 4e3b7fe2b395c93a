"""``voicehelper release plan | start | status | pause | resume | approve | abort | rollback``."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import say, say_json

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the CellRelease.")]
ReleaseArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="The bundle: an installed copy, or an image.")]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy", "-s", metavar="FILE|NAME", help="YAML of spec.strategy, or the name of a CellReleaseStrategy."
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; it is kept in the resource.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Take a release through the cells in waves, and back.", no_args_is_help=True)
    for command in (plan, start, status, pause, resume, approve, abort, rollback, complain):
        group.command()(command)
    app.add_typer(group, name="release")


def plan(
    context: typer.Context,
    *,
    name: NameArgument,
    release: ReleaseArgument,
    strategy: StrategyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the CellRelease, held, and show its waves. Nothing changes before ``resume``."""
    _show(run(_start(home_of(context), name, release, strategy, {"state": "Pause"})), as_json)
    if not as_json:
        say(f"\nNothing has been changed. Begin with `voicehelper release resume {name}`,")
        say(f"or forget it with `voicehelper delete cellrelease {name}`.")


def start(
    context: typer.Context,
    *,
    name: NameArgument,
    release: ReleaseArgument,
    strategy: StrategyOption = None,
    emergency: Annotated[
        str, typer.Option("--emergency", metavar="REASON", help="No bakes, gates, windows, freezes and stages.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
) -> None:
    """Take a release through the cells."""
    more: dict[str, Any] = {"state": "Run"}
    if emergency:
        more["skip"] = {"reason": emergency, "actor": getpass.getuser()}
    found = run(_start(home_of(context), name, release, strategy, more))
    run(_follow(home_of(context), name)) if watch else _show(found, as_json=False)


def status(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the CellRelease; the newest.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show where a release is: waves, cells, what it waits for."""
    if watch:
        run(_follow(home_of(context), name))
    else:
        _show(run(_find(home_of(context), name)), as_json)


def pause(context: typer.Context, name: NameArgument) -> None:
    """Begin no more cells; those under way go on."""
    _change(context, name, lambda spec: spec | {"state": "Pause"}, "begins no more cells")


def resume(context: typer.Context, name: NameArgument) -> None:
    """Go on."""
    _change(context, name, lambda spec: spec | {"state": "Run"}, "goes on")


def approve(
    context: typer.Context,
    *,
    name: NameArgument,
    wave: Annotated[str, typer.Argument(metavar="WAVE", help="Name of the wave.")],
    gate: Annotated[str, typer.Argument(metavar="GATE", help="Name of the gate.")],
    reason: ReasonOption = "",
) -> None:
    """Open a gate."""
    given = {"wave": wave, "gate": gate, "actor": getpass.getuser(), "reason": reason}
    _change(context, name, lambda spec: spec | {"approvals": [*spec.get("approvals", []), given]}, f"may pass {gate}")


def complain(
    context: typer.Context,
    *,
    name: NameArgument,
    cell: Annotated[str, typer.Argument(metavar="CELL", help="In which cell.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many complaints.")] = 1,
    reason: ReasonOption = "",
) -> None:
    """Enter complaints of people about the release: stages may have a limit of them."""
    given = {"cell": cell, "count": count, "actor": getpass.getuser(), "reason": reason}
    told = f"has {count} more complaints in cell {cell}"
    _change(context, name, lambda spec: spec | {"complaints": [*spec.get("complaints", []), given]}, told)


def abort(context: typer.Context, name: NameArgument) -> None:
    """End it: cells that are being upgraded go back, those that are done stay."""
    _change(context, name, lambda spec: spec | {"state": "Stop"}, "ends here")


def rollback(context: typer.Context, name: NameArgument, reason: ReasonOption) -> None:
    """Take every cell back to what it ran before."""
    asked = {"rollback": {"reason": reason, "actor": getpass.getuser()}}
    _change(context, name, lambda spec: spec | asked, "goes back")


async def _start(home: Home, name: str, release: str, strategy: str | None, more: dict[str, Any]) -> Any:
    from voicehelper_cli.releases import begun
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        return await begun(resources.store, name, release, strategy, more)


async def _find(home: Home, name: str | None) -> Any:
    from voicehelper_cli.releases import chosen
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        return await chosen(resources.store, name)


async def _follow(home: Home, name: str | None) -> None:
    from voicehelper_cli.releases import follow
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        last = await follow(resources.store, name)
    if last.status.phase != "Complete":
        raise Failure(f"release '{last.metadata.name}' is {last.status.phase}")


def _change(context: typer.Context, name: str, change: Callable[[dict[str, Any]], dict[str, Any]], told: str) -> None:
    async def work() -> None:
        from voicehelper_cli.releases import changed
        from voicehelper_cli.resources import open_resources

        async with open_resources(home_of(context)) as resources:
            await changed(resources.store, name, change)

    run(work())
    say(f"cellrelease/{name} {told}")


def _show(release: Any, as_json: bool) -> None:
    from voicehelper_cli.releases import text
    from voicehelper_cli.views import document

    say_json(document(release)) if as_json else say(text(release))
