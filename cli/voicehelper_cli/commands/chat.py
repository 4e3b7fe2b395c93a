"""``voicehelper chat``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, TenantOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import note, say, say_json, write

if TYPE_CHECKING:
    from voicehelper_cli.client import RouterClient
    from voicehelper_cli.sse import ServerEvent

_RESUMES = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(chat)


def chat(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    tenant: TenantOption,
    conversation: Annotated[str, typer.Option("--conversation", "-c", help="Go on with this conversation.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Ask the assistant; the answer streams in, then come its citations."""
    if not text.strip():
        raise typer.BadParameter("the text is empty")
    run(_chat(home_of(context), tenant, text, conversation, as_json))


async def _chat(home: Home, tenant: str, text: str, conversation: str, as_json: bool) -> None:
    from voicehelper_cli.client import tenant_client

    async with tenant_client(home, tenant) as client:
        if not conversation:
            made = await client.request("POST", "/api/v1/conversations", json={"title": text.strip()[:80]})
            conversation = made["id"]
        path = f"/api/v1/conversations/{conversation}/messages"
        if as_json:
            message = await client.request("POST", path, json={"content": text})
            say_json({"conversation_id": conversation, **message})
            return
        await _stream(client, path, text, tenant)
        note(f"\nconversation {conversation}")


async def _stream(client: RouterClient, path: str, text: str, tenant: str) -> None:
    citations: list[dict[str, Any]] = []
    shown, completed = "", False
    async for event in _followed(client, path, text):
        body = json.loads(event.data) if event.data else {}
        match event.event:
            case "delta":
                piece = delta_of(body)
                shown += piece
                write(piece)
            case "citation":
                citations.append(citation_of(body))
            case "message.completed":
                completed = True
                citations = message_of(body).get("citations") or citations
            case "error":
                raise Failure(f"the answer failed: {body.get('detail') or body}")
    if not shown.endswith("\n"):
        say()
    if not completed:
        raise Failure("the answer broke off; ask again with the same --conversation")
    for line in citation_lines(citations, tenant):
        say(line)


async def _followed(client: RouterClient, path: str, text: str) -> AsyncIterator[ServerEvent]:
    """The events of the answer; where the stream breaks off, the rest is asked for by the last event's id."""
    from voicehelper_cli.client import StreamBroken

    message, last = "", ""
    stream = client.stream("POST", path, {"content": text})
    for attempt in range(_RESUMES + 1):
        try:
            async for event in stream:
                if event.event == "message.started":
                    message = str(message_of(json.loads(event.data)).get("id", ""))
                last = event.id
                yield event
            return
        except StreamBroken:
            if not message or attempt == _RESUMES:
                raise
            await asyncio.sleep(attempt)
            stream = client.stream("GET", f"{path}/{message}/events", after=last)


def delta_of(body: Any) -> str:
    """The text of a ``delta`` event."""
    return str(body.get("delta", "")) if isinstance(body, dict) else ""


def citation_of(body: dict[str, Any]) -> dict[str, Any]:
    """The citation of a ``citation`` event."""
    inner = body.get("citation")
    return inner if isinstance(inner, dict) else body


def message_of(body: dict[str, Any]) -> dict[str, Any]:
    """The message of a ``message.completed`` event."""
    inner = body.get("message")
    return inner if isinstance(inner, dict) else body


def citation_lines(citations: list[dict[str, Any]], tenant: str) -> list[str]:
    """Title, place and beginning of each citation, with the command that opens it."""
    lines: list[str] = []
    for number, item in enumerate(citations, 1):
        start, end = item.get("start", 0), item.get("end", 0)
        excerpt = " ".join(str(item.get("text", "")).split())
        excerpt = excerpt if len(excerpt) <= 100 else excerpt[:99] + "…"
        lines.append(f"[{number}] {item.get('title') or 'untitled'} ({start}-{end}): {excerpt}")
        document = item.get("document_id")
        lines.append(f"    voicehelper knowledge show -t {tenant} {document} --start {start} --end {end}")
    return ["", *lines] if lines else []
