"""``voicehelper apply | get | describe | delete | wait``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from voicehelper_cli.commands.running import home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.durations import seconds
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import note, say, say_json, say_yaml

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help="tenant, plan, cell, cellclass, or KIND/NAME.")]
NameArgument = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the resource.")]
TimeoutOption = Annotated[str, typer.Option("--timeout", help="How long to wait: 60s, 2m, 1h30m.")]


class Format(StrEnum):
    """How ``get`` prints."""

    table = "table"
    wide = "wide"
    json = "json"
    yaml = "yaml"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (apply, get, describe, delete, wait):
        app.command()(command)


def apply(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Option("--filename", "-f", help="A YAML file, a folder of them, or - for standard input."),
    ],
) -> None:
    """Create resources, or bring their spec to what the files say."""
    run(_apply(home_of(context), files))


async def _apply(home: Home, files: list[str]) -> None:
    from voicehelper_cli.kinds import title
    from voicehelper_cli.manifests import load
    from voicehelper_cli.resources import apply_all, open_resources

    manifests = [manifest for file in files for manifest in load(file)]
    if not manifests:
        raise Failure(f"{', '.join(files)}: there is no resource in it")
    refused = 0
    async with open_resources(home) as resources:
        async for result in apply_all(resources.store, manifests):
            if isinstance(result, Failure):
                refused += 1
                note(f"error: {result.message}")
            else:
                _, resource, outcome = result
                say(f"{title(resource)} {outcome}")
    if refused:
        raise Failure(f"{refused} of {len(manifests)} resources were refused")


def get(
    context: typer.Context,
    kind: KindArgument,
    name: NameArgument = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="How to print.")] = Format.table,
) -> None:
    """Show one resource or all of a kind."""
    run(_get(home_of(context), kind, name, output))


async def _get(home: Home, kind: str, name: str | None, output: Format) -> None:
    from voicehelper_cli.kinds import target
    from voicehelper_cli.resources import find, open_resources
    from voicehelper_cli.views import document, listing, resource_table

    model, wanted = target(kind, name)
    async with open_resources(home) as resources:
        if wanted:
            items = [await find(resources.store, model, wanted)]
        else:
            items = await resources.store.list(model)
    if output in (Format.json, Format.yaml):
        shown = document(items[0]) if wanted else listing(model, items)
        (say_json if output is Format.json else say_yaml)(shown)
    elif items:
        say(resource_table(model, items, wide=output is Format.wide))
    else:
        note(f"there are no {model.plural}")


def describe(context: typer.Context, kind: KindArgument, name: NameArgument = None) -> None:
    """Show a resource's spec, status, conditions and events."""
    run(_describe(home_of(context), kind, name))


async def _describe(home: Home, kind: str, name: str | None) -> None:
    from voicehelper_cli.kinds import named
    from voicehelper_cli.resources import find, open_resources
    from voicehelper_cli.views import description

    model, wanted = named(kind, name)
    async with open_resources(home) as resources:
        resource = await find(resources.store, model, wanted)
        say(description(resource, await resources.events.events(model.kind_name, wanted)))


def delete(
    context: typer.Context,
    kind: KindArgument,
    name: NameArgument = None,
    wait_: Annotated[bool, typer.Option("--wait", help="Return when the resource is gone.")] = False,
    timeout: TimeoutOption = "120s",
) -> None:
    """Delete a resource; a tenant's deletion policy says what happens to its data."""
    run(_delete(home_of(context), kind, name, seconds(timeout) if wait_ else None))


async def _delete(home: Home, kind: str, name: str | None, timeout: float | None) -> None:
    from voicehelper_core import errors

    from voicehelper_cli.kinds import named
    from voicehelper_cli.resources import find, open_resources, wait_deleted

    model, wanted = named(kind, name)
    title = f"{model.kind_name.lower()}/{wanted}"
    async with open_resources(home) as resources:
        await find(resources.store, model, wanted)
        try:
            await resources.store.delete(model, wanted)
        except errors.NotFound:
            pass  # somebody else was quicker
        except errors.AppError as error:
            raise Failure(f"{title}: {error.detail}") from None
        if timeout is None:
            say(f"{title} deletion requested")
        else:
            await wait_deleted(resources.store, model, wanted, timeout=timeout)
            say(f"{title} deleted")


def wait(
    context: typer.Context,
    targets: Annotated[list[str], typer.Argument(metavar="KIND/NAME...", help="What to wait for.")],
    wanted: Annotated[str, typer.Option("--for", help="condition=NAME[=True|False|Unknown], or delete.")],
    timeout: TimeoutOption = "60s",
) -> None:
    """Wait until resources have a condition (for their newest spec) or are gone."""
    run(_wait(home_of(context), targets, wanted, seconds(timeout)))


async def _wait(home: Home, targets: list[str], wanted: str, timeout: float) -> None:
    import asyncio

    from voicehelper_cli.kinds import named
    from voicehelper_cli.resources import open_resources, wait_condition, wait_deleted

    name, status = _condition(wanted)
    models = [named(item) for item in targets]
    async with open_resources(home) as resources:

        async def one(model: type, item: str) -> None:
            if name is None:
                await wait_deleted(resources.store, model, item, timeout=timeout)
            else:
                await wait_condition(resources.store, model, item, name, status=status, timeout=timeout)
            say(f"{model.kind_name.lower()}/{item} {'deleted' if name is None else 'condition met'}")  # type: ignore[attr-defined]

        results = await asyncio.gather(*(one(*item) for item in models), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _condition(wanted: str) -> tuple[str | None, str]:
    """Name and status of ``condition=Ready`` or ``condition=Ready=False``; no name for ``delete``."""
    if wanted == "delete":
        return None, ""
    kind, _, rest = wanted.partition("=")
    name, _, status = rest.partition("=")
    status = (status or "True").capitalize()
    if kind != "condition" or not name or status not in ("True", "False", "Unknown"):
        raise typer.BadParameter("--for takes condition=NAME, condition=NAME=False, or delete")
    return name, status
