"""``voicehelper tenant export | import | verify | move``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.output import note, say, say_json

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="An archive.", exists=True, dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Archives of tenants, and their moves: export, import, verify, move.", no_args_is_help=True
    )
    group.command("export")(export)
    group.command("import")(restore)
    group.command("verify")(verify)
    group.command("move")(move)
    app.add_typer(group, name="tenant")


def export(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the tenant.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the archive goes.")],
    as_json: JsonOption = False,
) -> None:
    """Back a tenant up while it goes on: one verified file. It holds password hashes: keep it as a secret."""
    report = run(_export(home_of(context), name, output))
    if as_json:
        say_json(report)
        return
    pace = report["bytes"] / 2**20 / report["seconds"] if report["seconds"] else 0.0
    say(f"tenant/{name} exported to {output} ({_size(report['bytes'])}, {report['seconds']:.1f} s, {pace:.1f} MiB/s)")
    say(_contents(report))


async def _export(home: Home, name: str, output: Path) -> dict[str, Any]:
    from voicehelper_cli.archives import download
    from voicehelper_cli.client import RouterClient, platform_credentials

    async with RouterClient(home.router_url(), await platform_credentials(home)) as client:
        return await download(client, name, output)


def restore(
    context: typer.Context,
    *,
    file: FileArgument,
    name: Annotated[str, typer.Option("--name", help="Instead of the archive's.")] = "",
    cell: Annotated[str, typer.Option("--cell", help="Exactly this cell.")] = "",
    plan: Annotated[str, typer.Option("--plan", help="Instead of the archive's.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a tenant of an archive. After an interruption the same command begins anew, without doubles."""
    report = run(_restore(home_of(context), file, {"name": name, "cell": cell, "plan": plan}))
    if as_json:
        say_json(report)
        return
    say(
        f"tenant/{report['tenant']} restored in cell {report['cell']} in {report['seconds']:.1f} s:"
        f" {sum(report['rows'].values())} rows, {report['objects']} objects, {report['vectors']} vectors,"
        f" {report['users']} users; all of it compared with the archive"
    )
    if report["renamed_users"]:
        note(f"{report['renamed_users']} users have new ids, since the old ones are in use here")


async def _restore(home: Home, file: Path, wishes: dict[str, str]) -> dict[str, Any]:
    from voicehelper_cli.archives import checked, upload
    from voicehelper_cli.client import RouterClient, platform_credentials

    checked(file)
    async with RouterClient(home.router_url(), await platform_credentials(home)) as client:
        return await upload(client, file, {key: value for key, value in wishes.items() if value}, _told)


def _told(event: dict[str, Any]) -> None:
    """How far it is."""
    if event["event"] == "verified":
        note(f"the archive of {event['archive']['tenant']} is whole: making tenant/{event['tenant']}")
    elif "total" in event:
        note(f"{event['stage']}: {event['done']} of {event['total']}")


def verify(file: FileArgument, as_json: JsonOption = False) -> None:
    """Read an archive through, without a platform: is it whole and unaltered, and what is in it?"""
    from voicehelper_cli.archives import checked, described

    manifest, digest = checked(file)
    report = described(manifest, digest, file.stat().st_size)
    if as_json:
        say_json(report)
        return
    say(
        f"{file} is whole: tenant {manifest.tenant} ({manifest.tenant_id}), {manifest.created_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    say(_contents(report))


def _contents(report: dict[str, Any]) -> str:
    lines = [f"  {title}: {count} rows" for title, count in report["rows"].items()]
    objects = f"  objects: {report['objects']} ({_size(report['object_bytes'])})"
    return "\n".join([*lines, objects, f"  users: {report['users']}", f"  manifest sha256: {report['digest']}"])


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count} bytes"


def move(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the tenant.")],
    to: Annotated[str, typer.Option("--to", metavar="CELL", help="Exactly this cell.")] = "",
    isolation: Annotated[
        str, typer.Option("--isolation", metavar="KIND", help="dedicated: a cell of its own; shared: with others.")
    ] = "",
    region: Annotated[str, typer.Option("--region", help="A cell of this region.")] = "",
    grace: Annotated[
        int | None, typer.Option("--grace", metavar="SECONDS", help="How long the old cell keeps the data, read-only.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow the move until the tenant lives there.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="For --wait.", min=1)] = 3600,
) -> None:
    """Move a tenant to another cell while it is served. Without a target the placement decides."""
    given = {"cell": to, "isolation": isolation, "region": region}
    target = {key: value for key, value in given.items() if value}
    run(_move(home_of(context), name, target, grace, timeout if wait else None))


async def _move(home: Home, name: str, target: dict[str, str], grace: int | None, timeout: float | None) -> None:
    from voicehelper_cli.moves import begun, followed
    from voicehelper_cli.resources import open_resources

    async with open_resources(home) as resources:
        made = (await begun(resources.store, name, target, grace=grace)).metadata.name
        say(f"tenantmove/{made} created")
        if timeout is not None:
            await followed(resources.store, [made], timeout)
