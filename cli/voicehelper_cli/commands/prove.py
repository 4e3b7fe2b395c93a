"""``voicehelper prove``: proofs about a running platform."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.failures import EXIT_USAGE, Failure
from voicehelper_cli.output import note, say, say_json

if TYPE_CHECKING:
    from voicehelper_cli.isolation.attack import Attack
    from voicehelper_cli.isolation.report import Report

EXIT_NOT_RUN = 3


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="prove", help="Prove what the platform promises, against the one that runs.")
    group.command()(isolation)
    group.command()(verify)
    app.add_typer(group)


def isolation(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    out: Annotated[
        str, typer.Option("--out", help="Write NAME.md and NAME.json, signed with the platform's key.", metavar="NAME")
    ] = "",
    tenant: Annotated[
        str,
        typer.Option(
            "--tenant",
            "-t",
            help="Attack this existing tenant instead of a throwaway one. A user, a document and a conversation with"
            " canaries are made in it; the conversation stays.",
        ),
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Run only attacks of this name or group (tokens, sql.rls, 'http.*'); repeatable."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the attacks and end.")] = False,
    seconds: Annotated[
        float, typer.Option("--timeout", min=10, help="Give up (and clean up) after so many seconds.")
    ] = 600,
) -> None:
    """Attack a tenant from its neighbours and from other cells, and report what they got.

    Makes throwaway tenants, plants canaries in one of them, and attacks it with the API tokens of another tenant in the
    same cell, with those of a tenant in another cell, with real store credentials of another cell, and as another user
    of the machine. Everything is removed at the end. Exit status: 0 nothing got through, 1 something did, 2 wrong
    usage, 3 the proof could not be carried through, 130 interrupted.
    """
    from voicehelper_cli.isolation.attack import chosen
    from voicehelper_cli.isolation.report import summary

    home = home_of(context)
    attacks = chosen(only or [])
    if not attacks:
        raise typer.BadParameter(f"there is no attack called {', '.join(only or [])}: --list shows them")
    if listing:
        for item in attacks:
            say(f"{item.name:28} {item.title}")
        return
    target = _target(out)
    try:
        report = run(_bounded(home, attacks, tenant, only or [], seconds))
        signed = run(_signed(home, report, target))
    except Failure as failure:
        note(f"error: {failure.message}")
        raise typer.Exit(EXIT_USAGE if failure.exit_code == EXIT_USAGE else EXIT_NOT_RUN) from None
    if as_json:
        say_json(signed)
    else:
        say(summary(report))
    raise typer.Exit(report.exit_code)


def _target(out: str) -> Path | None:
    """The report's path without suffix. Refused before anything is done where it cannot be written."""
    if not out:
        return None
    path = Path(out).expanduser()
    target = path.with_suffix("") if path.suffix in (".md", ".json") else path
    if target.is_dir() or not target.parent.is_dir():
        raise typer.BadParameter(f"--out: {target} is a folder, or its folder does not exist")
    return target


async def _bounded(home: Home, attacks: list[Attack], tenant: str, only: list[str], seconds: float) -> Report:
    from voicehelper_cli.isolation.runner import prove

    task = asyncio.current_task()
    if task is not None:  # end as after Ctrl-C: what was made is removed
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with asyncio.timeout(seconds):
            return await prove(home, attacks, tenant=tenant, only=only, say=note)
    except TimeoutError:
        raise Failure(f"the proof did not end within {seconds:g} s") from None
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _signed(home: Home, report: Report, target: Path | None) -> dict[str, Any]:
    from voicehelper_cli.isolation.report import markdown
    from voicehelper_cli.isolation.sign import sign

    page = markdown(report)
    signed = await sign(report.document(), page, home.secrets())
    if signed["signature"] is None:
        note("the report is not signed: this user may not read the platform's signing key")
    if target is not None:
        target.with_name(f"{target.name}.md").write_text(page)
        target.with_name(f"{target.name}.json").write_text(json.dumps(signed, indent=2, ensure_ascii=False) + "\n")
        note(f"report: {target}.md and {target}.json")
    return signed


def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The report: NAME.json, or NAME.md with NAME.json beside it.")],
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="The platform's key set (JWKS) as a file; by default the running platform's."),
    ] = None,
) -> None:
    """Verify the signature of an isolation report. Exit status: 0 genuine, 1 not."""
    from voicehelper_cli.isolation.sign import verify as check

    document, page = file.with_suffix(".json"), file.with_suffix(".md")
    try:
        signed = json.loads(document.read_text())
        text = page.read_text() if page.exists() else None
        known = json.loads(keys.read_text()) if keys else _published(home_of(context))
    except (OSError, ValueError) as error:
        raise Failure(f"cannot be read: {error}") from None
    body = check(signed, known, text)
    say(f"genuine: signed by this platform; started {body['started']}, release {body['release']}, {body['verdict']}")
    if text is None:
        note(f"{page} is not there: only the JSON was checked")


def _published(home: Home) -> Any:
    import httpx

    from voicehelper_cli.failures import NotRunning

    try:
        answer = httpx.get(f"{home.router_url()}/.well-known/jwks.json", timeout=10, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError:
        raise NotRunning from None
    return answer.json()
