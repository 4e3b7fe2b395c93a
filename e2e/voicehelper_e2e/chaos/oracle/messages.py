"""Acknowledged questions and answers are in the API exactly once; others at most once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from voicehelper_e2e.chaos.calls import Caller
from voicehelper_e2e.chaos.ledger import TenantLedger
from voicehelper_e2e.chaos.oracle.finding import Finding, shortened
from voicehelper_e2e.chaos.oracle.world import World, table


async def check(caller: Caller, tenant: TenantLedger) -> list[Finding]:
    """Reads every conversation through the router."""
    questions: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for conversation in tenant.conversations:
        for message in await pages(caller, f"/api/v1/conversations/{conversation}/messages", what="history"):
            if message["role"] == "user":
                questions[message["content"]] += 1
            else:
                answers[message["id"]] += 1
    return compare(tenant, questions, answers)


def compare(tenant: TenantLedger, questions: Counter[str], answers: Counter[str]) -> list[Finding]:
    """What the counts say."""
    problems = {
        "acknowledged questions are lost": [text for text in tenant.answers if not questions[text]],
        "acknowledged answers are lost": [i for i in tenant.answers.values() if not answers[i]],
        "questions are doubled": [text for text, count in questions.items() if count > 1],
        "answers are doubled": [identifier for identifier, count in answers.items() if count > 1],
        "questions that nobody asked": set(questions) - set(tenant.answers) - tenant.unanswered,
    }
    return [
        Finding("messages", tenant.name, f"{len(list(found))} {what}: {shortened(found)}")
        for what, found in problems.items()
        if found
    ]


async def pages(caller: Caller, path: str, *, what: str) -> list[dict[str, Any]]:
    """All items of a list."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        params = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        page = await caller.send("GET", path, what=what, params=params)
        items += page["items"]
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return items


async def unfinished(world: World) -> list[Finding]:
    """Answers that nobody is writing any more and that nobody marked."""
    found: list[Finding] = []
    async with world.fired.postgres() as connection:
        for cell_id in world.cells:
            name = table(cell_id, "conversation", "messages")
            if count := await connection.fetchval(f"SELECT count(*) FROM {name} WHERE status = 'streaming'"):
                found.append(Finding("messages", cell_id, f"{count} answers are neither completed nor failed"))
    return found
