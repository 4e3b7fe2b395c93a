"""``voicehelper knowledge add | search | list | show | delete``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from voicehelper_cli.commands.running import JsonOption, TenantOption, home_of, run
from voicehelper_cli.context import Home
from voicehelper_cli.durations import seconds
from voicehelper_cli.failures import Failure
from voicehelper_cli.output import age, note, say, say_json, table

_DOCUMENTS = "/api/v1/knowledge/documents"
DocumentArgument = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Id of the document, or its external id.")]


class Mode(StrEnum):
    """How passages are found."""

    hybrid = "hybrid"
    vector = "vector"
    bm25 = "bm25"


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Documents of a tenant: add, search, list, show, delete.", no_args_is_help=True)
    group.command("add")(add)
    group.command("search")(search)
    group.command("list")(list_documents)
    group.command("show")(show)
    group.command("delete")(delete)
    app.add_typer(group, name="knowledge")


def add(
    context: typer.Context,
    *,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files and folders (.md .txt .html .json).")],
    tenant: TenantOption,
    wait: Annotated[bool, typer.Option(help="Wait until the documents are indexed.")] = True,
    timeout: Annotated[str, typer.Option("--timeout", help="Give up when nothing moves for so long.")] = "2m",
    as_json: JsonOption = False,
) -> None:
    """Upload documents and wait until they can be found. The same file replaces its earlier version."""
    from voicehelper_cli.documents import collect

    report = run(_add(home_of(context), tenant, collect(paths), seconds(timeout), wait))
    for file, reason in report.failed.items():
        note(f"error: {file}: {reason}")
    pace = report.total / report.seconds if report.seconds else 0.0
    if as_json:
        say_json(
            {
                "total": report.total,
                "indexed": report.indexed,
                "chunks": report.chunks,
                "failed": report.failed,
                "seconds": round(report.seconds, 2),
                "documents_per_second": round(pace, 1),
            }
        )
    elif wait:
        say(
            f"{report.indexed} of {report.total} documents indexed in {report.seconds:.1f} s"
            f" ({pace:.1f} documents/s, {report.chunks} chunks)"
        )
    else:
        say(f"{report.total - len(report.failed)} of {report.total} documents uploaded in {report.seconds:.1f} s")
    if report.failed:
        raise Failure(f"{len(report.failed)} of {report.total} documents failed")


async def _add(home: Home, tenant: str, uploads: list[Any], timeout: float, wait: bool) -> Any:
    from voicehelper_cli.client import tenant_client
    from voicehelper_cli.ingest import ingest

    async with tenant_client(home, tenant) as client:
        if not sys.stderr.isatty():
            return await ingest(client, uploads, idle_timeout=timeout, wait=wait)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            sent = bar.add_task("uploaded", total=len(uploads))
            settled = bar.add_task("indexed", total=len(uploads)) if wait else None

            def moved(uploaded: int, done: int) -> None:
                bar.update(sent, completed=uploaded)
                if settled is not None:
                    bar.update(settled, completed=done)

            return await ingest(client, uploads, idle_timeout=timeout, wait=wait, progress=moved)


def search(
    context: typer.Context,
    *,
    text: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    tenant: TenantOption,
    mode: Annotated[Mode, typer.Option(help="How passages are found.")] = Mode.hybrid,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=100, help="How many.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Find passages in a tenant's documents."""
    body = {"query": text, "top_k": top_k, "mode": mode.value}
    found = run(_call(home_of(context), tenant, "POST", "/api/v1/knowledge/search", json=body))
    if as_json:
        say_json(found)
        return
    if not found["hits"]:
        note("nothing was found")
    for number, hit in enumerate(found["hits"], 1):
        say(f"[{number}] {hit.get('title') or 'untitled'}  ({hit.get('external_id')}, score {hit.get('score', 0):.3f})")
        excerpt = " ".join(str(hit.get("text", "")).split())
        say(f"    {excerpt if len(excerpt) <= 300 else excerpt[:299] + '…'}")


def list_documents(context: typer.Context, tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List a tenant's documents."""
    items = run(_list(home_of(context), tenant, {"limit": 100}))
    if as_json:
        say_json({"items": items})
        return
    if not items:
        note("there are no documents")
        return
    rows = [[d["id"], d.get("external_id"), d.get("title"), d["status"], d.get("chunk_count"), _age(d)] for d in items]
    say(table(["ID", "EXTERNAL-ID", "TITLE", "STATUS", "CHUNKS", "AGE"], rows))


def _age(document: dict[str, Any]) -> str:
    from datetime import datetime

    try:
        return age(datetime.fromisoformat(document["created_at"]))
    except (KeyError, ValueError, TypeError):
        return "-"


def show(
    context: typer.Context,
    *,
    document: DocumentArgument,
    tenant: TenantOption,
    start: Annotated[int, typer.Option(min=0, help="Open at this character (a citation's start).")] = 0,
    end: Annotated[int | None, typer.Option(min=0, help="Up to this character (a citation's end).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a document's text, or the part of it that a citation names."""
    found = run(_show(home_of(context), tenant, document))
    text = found["text"][start:end]
    if as_json:
        say_json({**found, "text": text, "start": start, "end": start + len(text)})
    else:
        say(text)


def delete(
    context: typer.Context, documents: Annotated[list[str], typer.Argument(metavar="DOCUMENT...")], tenant: TenantOption
) -> None:
    """Delete documents; they are found no more."""
    for document in run(_delete(home_of(context), tenant, documents)):
        say(f"document/{document} deleted")


async def _call(home: Home, tenant: str, method: str, path: str, **arguments: Any) -> Any:
    from voicehelper_cli.client import tenant_client

    async with tenant_client(home, tenant) as client:
        return await client.request(method, path, **arguments)


async def _list(home: Home, tenant: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    from voicehelper_cli.client import tenant_client

    async with tenant_client(home, tenant) as client:
        return [item async for item in client.pages(_DOCUMENTS, params)]


async def _resolve(client: Any, document: str) -> str:
    """The id of a document that is named by its id or its external id. Raises Failure."""
    import uuid

    try:
        return str(uuid.UUID(document))
    except ValueError:
        page = await client.request("GET", _DOCUMENTS, params={"external_id": document})
        if not page["items"]:
            raise Failure(f"there is no document with the external id {document!r}") from None
        return str(page["items"][0]["id"])


async def _show(home: Home, tenant: str, document: str) -> dict[str, Any]:
    from voicehelper_cli.client import tenant_client

    async with tenant_client(home, tenant) as client:
        found: dict[str, Any] = await client.request("GET", f"{_DOCUMENTS}/{await _resolve(client, document)}/content")
    return found


async def _delete(home: Home, tenant: str, documents: list[str]) -> list[str]:
    from voicehelper_cli.client import tenant_client

    async with tenant_client(home, tenant) as client:
        found = [await _resolve(client, document) for document in documents]
        for document in found:
            await client.request("DELETE", f"{_DOCUMENTS}/{document}")
    return found
