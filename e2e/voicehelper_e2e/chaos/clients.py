"""Clients that work all the time: they ask, upload, replace and delete, and remember what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from voicehelper_e2e.chaos.calls import Caller, GivenUp, Refused
from voicehelper_e2e.chaos.ledger import Document, Ledger, TenantLedger
from voicehelper_e2e.chaos.platform import FiredOn
from voicehelper_e2e.chaos.schedule import Choice, choices

_TOPICS = ("warranty", "delivery", "invoices", "opening hours", "returns", "spare parts", "training", "security")


def passage(choice: Choice, word: str) -> str:
    """The text of a document's revision: only the word is its own."""
    topic = _TOPICS[int(choice.pick * len(_TOPICS))]
    return f"# About {topic}\n\nThe reference of our {topic} is {word}. Ask for {word} when you call about {topic}.\n"


class Writer:
    """Asks one question after the other in a conversation of its own."""

    def __init__(self, caller: Caller, ledger: Ledger, tenant: TenantLedger, chosen: Iterator[Choice]) -> None:
        self._caller, self._ledger, self._tenant, self._chosen = caller, ledger, tenant, chosen
        self._conversation = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; a question that is under way is ended first."""
        while not stop.is_set():
            with contextlib.suppress(GivenUp, Refused):
                await _rest(stop, await self.once())

    async def once(self) -> float:
        """Ask one question; seconds to rest then. Raises GivenUp, Refused."""
        choice = next(self._chosen)
        self._conversation = self._conversation or await self._open(choice)
        await self._ask(self._conversation, choice)
        return choice.pause

    async def _open(self, choice: Choice) -> str:
        made = await self._caller.send(
            "POST", "/api/v1/conversations", what="conversation", key=f"c-{choice.token}", json={"title": choice.token}
        )
        self._tenant.conversations.append(made["id"])
        return str(made["id"])

    async def _ask(self, conversation: str, choice: Choice) -> None:
        text, begun = f"question {choice.number} about {choice.token}", time.monotonic()
        self._tenant.unanswered.add(text)
        path = f"/api/v1/conversations/{conversation}/messages"
        answer = await self._caller.send("POST", path, what="message", key=f"m-{choice.token}", json={"content": text})
        self._tenant.unanswered.discard(text)
        self._ledger.answered(self._tenant, text, answer["id"], begun)


class Librarian:
    """Uploads, replaces and deletes documents."""

    def __init__(self, caller: Caller, ledger: Ledger, tenant: TenantLedger, chosen: Iterator[Choice]) -> None:
        self._caller, self._ledger, self._tenant, self._chosen = caller, ledger, tenant, chosen

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        for choice in self._chosen:
            if stop.is_set():
                return
            with contextlib.suppress(GivenUp, Refused):
                await self.act(choice)
            await _rest(stop, 2 * choice.pause)

    async def act(self, choice: Choice) -> None:
        """One step. Raises GivenUp, Refused."""
        mine = [d for d in self._tenant.documents.values() if not (d.deleted or d.deleting or d.maybe)]
        if choice.act == "upload" or not mine:
            await self._upload(choice)
            return
        document = mine[int(choice.pick * len(mine))]
        await (self._replace(choice, document) if choice.act == "replace" else self._delete(document))

    async def _upload(self, choice: Choice) -> None:
        self._tenant.unknown_uploads.add(choice.token)
        made = await self._send(choice, choice.token, external_id=choice.token)
        self._tenant.unknown_uploads.discard(choice.token)
        self._tenant.documents[made["id"]] = Document(made["id"], choice.token, external_id=choice.token)

    async def _replace(self, choice: Choice, document: Document) -> None:
        document.maybe = choice.token
        await self._send(choice, choice.token, external_id=document.external_id)
        document.old.append(document.word)
        document.word, document.maybe = choice.token, None

    async def _send(self, choice: Choice, word: str, *, external_id: str) -> dict[str, str]:
        body = {"title": f"Document {word}", "content": passage(choice, word), "external_id": external_id}
        path = "/api/v1/knowledge/documents"
        made: dict[str, str] = await self._caller.send("POST", path, what="upload", key=f"d-{word}", json=body)
        return made

    async def _delete(self, document: Document) -> None:
        document.deleting = True
        await self._caller.send("DELETE", f"/api/v1/knowledge/documents/{document.id}", what="delete", repeated=404)
        document.deleted, document.deleting = True, False


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@asynccontextmanager
async def working(
    fired: FiredOn, tenants: Sequence[str], seed: int, *, writers: int = 2, ledger: Ledger | None = None
) -> AsyncIterator[Ledger]:
    """Clients of tenants that are Ready work as long as the block runs; what they begun is ended then."""
    ledger = ledger or Ledger()
    stop, callers = asyncio.Event(), []
    async with asyncio.TaskGroup() as group:
        for tenant in await enrol(fired, tenants, ledger):
            caller = Caller(fired, ledger, tenant.name, tenant.tenant_id)
            callers.append(caller)
            for number in range(writers):
                chosen = choices(seed, f"{tenant.name}/writer-{number}")
                group.create_task(Writer(caller, ledger, tenant, chosen).run(stop))
            chosen = choices(seed, f"{tenant.name}/librarian")
            group.create_task(Librarian(caller, ledger, tenant, chosen).run(stop))
        try:
            yield ledger
        finally:
            stop.set()
    for caller in callers:
        await caller.close()


async def enrol(fired: FiredOn, tenants: Sequence[str], ledger: Ledger) -> list[TenantLedger]:
    """Open the ledgers of tenants that exist. Raises KeyError for one that does not."""
    listed, _ = await fired.live()
    known = {tenant.metadata.name: tenant.status for tenant in listed}
    for name in tenants:
        status = known[name]
        assert status.tenant_id and status.cell and status.cell_id, f"tenant/{name} is not placed"
        ledger.tenants.setdefault(name, TenantLedger(name, status.tenant_id, status.cell, status.cell_id))
    return [ledger.tenants[name] for name in tenants]
