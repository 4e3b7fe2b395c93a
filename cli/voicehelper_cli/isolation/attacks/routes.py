"""Every route of the cell and of identity, from their OpenAPI, with the victim's ids and the attacker's token.

Each request is made twice, once with the victim's values and once with values that nobody has: the answers must not
differ, or the attacker learns what exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation.arena import Arena
from voicehelper_cli.isolation.attack import Recorder, attack
from voicehelper_cli.isolation.attacks import wire
from voicehelper_cli.isolation.attacks.values import Values, shown
from voicehelper_cli.isolation.model import NEIGHBOUR, STRANGER, Attacker, Outcome
from voicehelper_cli.isolation.party import Party
from voicehelper_cli.isolation.plant import CONVERSATIONS, DOCUMENTS

DESCRIPTIONS = ("/api/v1/openapi.json", "/api/v1/identity/openapi.json")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_PARALLEL = 6
_LOGINS = ("/login", "/refresh", "/logout")  # their own attack: failed logins are limited


@dataclass(frozen=True, slots=True)
class Route:
    """One operation; ``operation`` is empty for a method that the description does not have."""

    method: str
    path: str
    operation: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def area(self) -> str:
        """``conversations``, ``knowledge``, ``usage``, ``identity``."""
        return self.path.removeprefix("/api/v1/").split("/")[0].lstrip(".") or "root"


def operations(description: dict[str, Any]) -> Iterator[Route]:
    """Every path with every method."""
    schemas = description.get("components", {}).get("schemas", {})
    for path, methods in description["paths"].items():
        for method in _METHODS:
            yield Route(method, path, methods.get(method.lower(), {}), schemas)


async def described(party: Party) -> list[Route]:
    """From the running platform, as the attacker sees it. Raises Failure where it is not described."""
    routes: list[Route] = []
    for path in DESCRIPTIONS:
        answer = await party.http.get(path, headers=await party.headers())
        if answer.is_error:
            raise Failure(f"{path} answers {answer.status_code}")
        routes += operations(answer.json())
    return routes


async def cursors(victim: Party, arena: Arena) -> tuple[str, ...]:
    """Real cursors of the victim's pages."""
    found = []
    for path in (f"{CONVERSATIONS}/{arena.facts['conversation_id']}/messages", "/api/v1/identity/users"):
        page = await victim.call("GET", path, params={"limit": 1})
        if page.get("next_cursor"):
            found.append(page["next_cursor"])
    return tuple(found)


def _arguments(route: Route, values: Values, cursor: str) -> tuple[str, dict[str, Any]]:
    path, query, headers = route.path, {}, {"Idempotency-Key": values.known["idempotency_key"]}
    for name in ("conversation_id", "message_id", "document_id", "user_id", "name"):
        path = path.replace(f"{{{name}}}", values.parameter(name, route.path))
    for parameter in route.operation.get("parameters", []):
        if parameter["in"] == "query" and parameter["name"] not in ("limit", "from", "to", "cursor"):
            query[parameter["name"]] = values.parameter(parameter["name"], route.path)
        if parameter["in"] == "query" and parameter["name"] == "cursor" and cursor:
            query["cursor"] = cursor
    arguments: dict[str, Any] = {"params": query, "headers": headers}
    content = route.operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        arguments["json"] = values.body(content["application/json"].get("schema", {}), route.schemas)
    elif content:
        arguments["json"] = {"title": "mine", "content": "mine", "external_id": values.known["external_id"]}
    elif route.method in ("POST", "PUT", "PATCH"):
        arguments["json"] = {}
    if path.endswith("/events"):
        headers["Accept"] = "text/event-stream"
        headers["Last-Event-ID"] = "0"
    return path, arguments


async def send(party: Party, method: str, path: str, **arguments: Any) -> wire.Answer:
    """With the party's token; again while the platform is busy."""
    headers = {**await party.headers(), **arguments.pop("headers", {})}
    for pause in (0.3, 1.0, 2.0, None):
        answer = await party.http.request(method, path, headers=headers, **arguments)
        if answer.status_code not in (429, 503, 504) or pause is None:
            break
        await asyncio.sleep(pause)
    return wire.of(answer)


async def _try(arena: Arena, tried: Recorder, route: Route, *, party: Party, by: Attacker, cursor: str) -> None:
    theirs, nobody = Values.of_victim(arena, "routes"), Values.of_nobody()
    path, arguments = _arguments(route, theirs, cursor)
    sent = [path, str(arguments)]
    answer = await send(party, route.method, path, **arguments)
    other_path, other = _arguments(route, nobody, cursor)
    control = await send(party, route.method, other_path, **other)
    what = f"{route.method} {path} {shown(arguments.get('json'))}{' with the cursor of the victim' if cursor else ''}"
    finding = f"http.ids.{route.area}"
    same = wire.shape(answer, *theirs.said)[0] == wire.shape(control, *nobody.said)[0]
    listing = "{" not in route.path or answer.status >= 400
    if arena.canaries.seen(answer.raw, sent=sent):
        tried.judge(what, answer.text, by=by, finding=finding, sent=sent)
    elif answer.status >= 500:
        reason = f"the platform failed with {answer.status}: what it would have answered is not known"
        tried.note(Outcome.error, what, answer.text, by=by, finding=finding, reason=reason)
    elif not listing and answer.status < 300 and route.operation:
        tried.leaked(what, answer.text, by=by, finding=finding, reason=f"it was done ({answer.status})")
    elif not same or (answer.status >= 400 and wire.shape(answer, *theirs.said) != wire.shape(control, *nobody.said)):
        reason = f"what exists is answered with {answer.status}, what does not with {control.status}: {control.text}"
        tried.leaked(what, answer.text, by=by, finding=f"http.existence.{route.area}", reason=reason)
    else:
        tried.held(what, answer.text, by=by, finding=finding)


async def _all(arena: Arena, tried: Recorder, party: Party, by: Attacker) -> None:
    gate = asyncio.Semaphore(_PARALLEL)
    pages = await cursors(arena.victim, arena)

    async def one(route: Route, cursor: str = "") -> None:
        async with gate:
            await _try(arena, tried, route, party=party, by=by, cursor=cursor)

    async with asyncio.TaskGroup() as group:
        for route in await described(party):
            if route.path.endswith(_LOGINS):
                continue
            group.create_task(one(route))
            paged = any(item["name"] == "cursor" for item in route.operation.get("parameters", []))
            for cursor in pages if paged else ():
                group.create_task(one(route, cursor))


@attack("http.routes", surface="http")
async def routes(arena: Arena, tried: Recorder) -> None:
    """Every route and method with the victim's ids, by another tenant of the cell."""
    await _all(arena, tried, arena.neighbour, NEIGHBOUR)


@attack("http.routes-afar", surface="http", needs=("stranger",))
async def routes_afar(arena: Arena, tried: Recorder) -> None:
    """Every route and method with the victim's ids, by a tenant of another cell."""
    await _all(arena, tried, arena.stranger, STRANGER)


@attack("http.search", surface="http")
async def search(arena: Arena, tried: Recorder) -> None:
    """Lists, searches and usage must have nothing of the victim."""
    party, own = arena.neighbour, Values.of_victim(arena, "routes").lent
    word, title = arena.canaries.of("document").secret, arena.canaries.of("title of a document").secret
    for mode in ("hybrid", "vector", "bm25"):
        for query in (word, title, "the code word of the vault"):
            body = {"query": query, "mode": mode, "top_k": 100}
            answer = await send(party, "POST", "/api/v1/knowledge/search", json=body)
            tried.judge(
                f"search for '{query}' ({mode})", answer.text, by=NEIGHBOUR, finding="http.search", sent=[query, *own]
            )
    for path in (CONVERSATIONS, DOCUMENTS, "/api/v1/identity/users", "/api/v1/usage", "/api/v1/identity/audit"):
        answer = await send(party, "GET", path, params={"limit": 100})
        tried.judge(f"GET {path}", answer.text, by=NEIGHBOUR, finding=f"http.lists.{path.split('/')[3]}", sent=own)
    chat = await party.call("POST", CONVERSATIONS, json={"title": "mine"})
    question = {"content": "What is the code word of the vault?"}
    answer = await send(party, "POST", f"{CONVERSATIONS}/{chat['id']}/messages", json=question)
    tried.judge("a question that only the victim's document answers", answer.text, by=NEIGHBOUR, finding="http.answers")
