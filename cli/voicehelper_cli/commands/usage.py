"""``voicehelper usage``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, TenantOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.output import say, say_json, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(usage)


def usage(
    context: typer.Context,
    tenant: TenantOption,
    start: Annotated[str, typer.Option("--from", help="Begin, RFC 3339; by default an hour ago.")] = "",
    end: Annotated[str, typer.Option("--to", help="End, RFC 3339; by default now.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show a tenant's messages, tokens and cost by minute, as ClickHouse has them about a second later."""
    found = run(_usage(home_of(context), tenant, {"from": start, "to": end}))
    if as_json:
        say_json(found)
        return
    rows = [[item["minute"], item["user_id"], *_totals(item)] for item in found["items"]]
    say(table(["MINUTE", "USER", *_HEADERS], [*rows, ["total", "", *_totals(found["totals"])]]))


_HEADERS = ("MESSAGES", "FROM-USER", "FROM-ASSISTANT", "TOKENS", "COST-USD")


def _totals(item: dict[str, Any]) -> list[Any]:
    # int64 may arrive as a string: that is how protobuf's JSON writes it
    return [
        *(str(item.get(name, 0)) for name in ("message_count", "user_message_count", "assistant_message_count")),
        str(item.get("total_tokens", 0)),
        item.get("total_cost", "0"),
    ]


async def _usage(home: Home, tenant: str, window: dict[str, str]) -> dict[str, Any]:
    from voicehelper_cli.client import tenant_client

    params = {name: value for name, value in window.items() if value}
    async with tenant_client(home, tenant) as client:
        found: dict[str, Any] = await client.request("GET", "/api/v1/usage", params=params)
        while cursor := found.get("next_cursor"):
            # Later pages must speak of the same window.
            page = await client.request(
                "GET", "/api/v1/usage", params={"from": found["from"], "to": found["to"], "cursor": cursor}
            )
            found["items"] += page["items"]
            found["next_cursor"] = page.get("next_cursor")
    return found
