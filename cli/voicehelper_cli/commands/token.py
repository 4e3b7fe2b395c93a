"""``voicehelper token``."""

from __future__ import annotations

from typing import Annotated

import typer

from voicehelper_cli.commands.running import home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.output import say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(token)


def token(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Token of this tenant's admin.")] = None,
    platform: Annotated[bool, typer.Option("--platform", help="Token of the platform admin.")] = False,
) -> None:
    """Print a fresh access token of a tenant's admin or of the platform admin."""
    if (tenant is None) == (not platform):
        raise typer.BadParameter("give either --tenant NAME or --platform")
    say(run(_token(home_of(context), tenant)))


async def _token(home: Home, tenant: str | None) -> str:
    from voicehelper_cli.client import RouterClient, platform_credentials, tenant_credentials

    url = home.router_url()
    credentials = await (tenant_credentials(home, tenant) if tenant else platform_credentials(home))
    async with RouterClient(url, credentials) as client:
        return await client.token()
