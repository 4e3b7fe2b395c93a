"""Plants canaries at the victim, through its own API, and reads its state for the comparison at the end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from voicehelper_cli.failures import Failure
from voicehelper_cli.isolation.model import Canaries
from voicehelper_cli.isolation.party import Party

CONVERSATIONS, DOCUMENTS, USERS = "/api/v1/conversations", "/api/v1/knowledge/documents", "/api/v1/identity/users"
KEY_USES = ("routes", "keys", "router", "cell")
_INDEX_SECONDS, _USAGE_SECONDS = 120.0, 60.0


async def plant(victim: Party, canaries: Canaries) -> dict[str, str]:
    """A user, a document that is indexed, a conversation with an answer from it; their ids by name. Raises Failure."""
    new = canaries.plant
    email, password = f"{new('address of a user').secret}@example.com", new("password of a user").secret
    person = {"email": email, "display_name": new("name of a user").secret, "password": password}
    user = await victim.call("POST", USERS, json=person)
    key, content = new("idempotency key").secret, new("document").secret
    text = (
        f"# Confidential\n\nThe code word of the vault is {content}. Nobody else may know the code word of the vault."
    )
    body = {"title": new("title of a document").secret, "external_id": new("external id").secret, "content": text}
    uploaded = {"Idempotency-Key": f"{key}-keys"}
    document = await victim.call("POST", DOCUMENTS, json=body, headers=uploaded)
    title = {"title": new("title of a conversation").secret}
    conversation = await victim.call("POST", CONVERSATIONS, json=title, headers={"Idempotency-Key": key})
    for use in KEY_USES:  # one for each attacker: a key that it has used itself proves nothing
        await victim.call("POST", CONVERSATIONS, json=title, headers={"Idempotency-Key": f"{key}-{use}"})
    await _indexed(victim, document["id"])
    messages = f"{CONVERSATIONS}/{conversation['id']}/messages"
    question = f"{new('message').secret}: what is the code word of the vault?"
    answer = await victim.call("POST", messages, json={"content": question}, headers={"Idempotency-Key": f"{key}-m"})
    sent = (await victim.call("GET", messages))["items"]
    facts = {
        "conversation_id": conversation["id"],
        "user_message_id": next(item["id"] for item in sent if item["role"] == "user"),
        "message_id": answer["id"],
        "document_id": document["id"],
        "user_id": user["id"],
    }
    for name, value in facts.items():
        new(name.replace("_", " "), value)
    new("tenant id", victim.tenant_id)
    await _counted(victim)
    return {**facts, "external_id": body["external_id"], "idempotency_key": key}


async def _indexed(victim: Party, document_id: str) -> None:
    end = time.monotonic() + _INDEX_SECONDS
    while True:
        found = await victim.call("GET", f"{DOCUMENTS}/{document_id}")
        if found["status"] == "indexed":
            return
        if found["status"] == "failed" or time.monotonic() > end:
            raise Failure(f"the victim's document was not indexed: {found['status']} {found.get('error', '')}")
        await asyncio.sleep(0.3)


async def _counted(victim: Party) -> None:
    """Usage follows a second later; its totals are part of the state that must not change."""
    end = time.monotonic() + _USAGE_SECONDS
    while int((await victim.call("GET", "/api/v1/usage"))["totals"].get("message_count", 0)) < 2:
        if time.monotonic() > end:
            raise Failure(f"the victim's messages did not reach the usage API within {_USAGE_SECONDS:g} s")
        await asyncio.sleep(0.3)


async def state(victim: Party) -> dict[str, str]:
    """Everything that the victim's admin sees, by name, as text; an attack may change nothing of it."""
    found: dict[str, str] = {}

    def keep(name: str, value: Any) -> None:
        found[name] = json.dumps(value, sort_keys=True, ensure_ascii=False)

    for conversation in await _all(victim, CONVERSATIONS):
        keep(f"conversation {conversation['id']}", conversation)
        for message in await _all(victim, f"{CONVERSATIONS}/{conversation['id']}/messages"):
            keep(f"message {message['id']}", message)
    for document in await _all(victim, DOCUMENTS):
        keep(f"document {document['id']}", document)
        keep(f"text of document {document['id']}", await victim.call("GET", f"{DOCUMENTS}/{document['id']}/content"))
    for user in await _all(victim, USERS):
        keep(f"user {user['id']}", user)
    usage = await victim.call("GET", "/api/v1/usage")
    keep("usage", usage["totals"])
    tenant = await victim.call("GET", f"/api/v1/identity/tenants/{victim.name}")
    keep("tenant", [tenant["spec"], tenant["metadata"].get("deletionTimestamp"), tenant["status"].get("tenantId")])
    return found


async def _all(victim: Party, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await victim.call("GET", path, params={"limit": 100, **({"cursor": cursor} if cursor else {})})
        items += page["items"]
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return items


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What was added, removed or altered, one line each."""
    return [
        *(f"{name} is gone" for name in sorted(before.keys() - after.keys())),
        *(f"{name} is new" for name in sorted(after.keys() - before.keys())),
        *(
            f"{name} was {before[name][:150]} and is {after[name][:150]}"
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        ),
    ]
