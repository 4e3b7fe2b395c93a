"""Events that no consumer understands, on the cells' topics and on those of change data capture."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from voicehelper_core import names
from voicehelper_core.context import TenantContext
from voicehelper_core.events import DocumentDeleted, Envelope

from voicehelper_e2e.chaos.oracle.world import World
from voicehelper_e2e.chaos.scenarios.stage import Scenario, Stage

HUGE_BYTES = 5 * 2**20
_LETTERS_SECONDS = 60


def poison(tenant: str, cell_id: str) -> dict[str, bytes | None]:
    """Values by what is wrong with them; ``tenant`` lives in another cell."""

    def stray(tenant_id: str) -> bytes:
        who = TenantContext(tenant_id, "stray", "somebody", cell_id)
        gone = DocumentDeleted(document_id=uuid.uuid4())
        return Envelope.new(who, gone, aggregate_id=gone.document_id, aggregate_type="document").to_json().encode()

    return {
        "not JSON": b"\xff\xfe{",
        "wrong schema": b'{"event_type": "conversation.message.sent", "event_version": 1, "payload": {}}',
        "huge": b'{"x": "' + b"y" * HUGE_BYTES + b'"}',
        "null": None,
        "unknown tenant": stray(names.new_id()),
        "wrong cell": stray(tenant),
    }


async def run(stage: Stage) -> None:
    """Poison both topics of the shared cell and one of change data capture, then look for the letters."""
    world = await World.now(stage.fired, stage.ledger)
    first, other = (stage.ledger.tenants[stage.tenants[at]] for at in (0, -1))
    documents, messages = (names.topic(first.cell_id, name) for name in ("document.events", "conversation.events"))
    bad = list(poison(other.tenant_id, first.cell_id).items())
    stage.chance.shuffle(bad)
    sent = {f"{kind} on {documents}": (documents, value) for kind, value in bad}
    by_content = [item for item in bad if item[0] not in ("unknown tenant", "wrong cell")]
    sent |= {f"{kind} on {messages}": (messages, value) for kind, value in by_content}
    sent |= {f"{kind} on cdc": ("cdc.conversation.messages", value) for kind, value in by_content}
    places = await asyncio.to_thread(_produce, world.kafka, sent)
    expected = {kind: place for kind, place in places.items() if not kind.endswith("on cdc")}
    stage.facts["poisoned"] = len(places)

    async def kept() -> bool:
        letters = {letter["id"]: letter for letter in json.loads(await stage.cli("events", "dead", "--json"))}
        return all(place in letters and letters[place]["reason"] for place in expected.values())

    waited = await stage.until(kept, f"dead letters of {', '.join(expected)}", _LETTERS_SECONDS)
    stage.facts["letters after"] = f"{waited:.1f} s"
    place = next(place for kind, place in expected.items() if kind.startswith("wrong cell"))
    before = len(json.loads(await stage.cli("events", "dead", "--json")))
    await stage.cli("events", "replay", place)

    async def again() -> bool:
        return len(json.loads(await stage.cli("events", "dead", "--json"))) > before

    await stage.until(again, "the replayed event was read again", _LETTERS_SECONDS)
    async with stage.fired.postgres() as connection:  # they were ours: the oracle asks for letters that were not
        await connection.execute("DELETE FROM analytics.dead_letters WHERE topic = $1", messages)


def _produce(access: dict[str, Any], sent: dict[str, tuple[str, bytes | None]]) -> dict[str, str]:
    """Where each record stands: ``<topic>/<partition>/<offset>``."""
    from confluent_kafka import Producer

    producer = Producer({**access, "message.max.bytes": 8388608})
    places: dict[str, str] = {}

    def told(kind: str, error: Any, message: Any) -> None:
        if error is not None:
            raise RuntimeError(f"{kind}: {error}")
        places[kind] = f"{message.topic()}/{message.partition()}/{message.offset()}"

    for kind, (topic, value) in sent.items():
        producer.produce(topic, value, key=b"poison", on_delivery=lambda e, m, kind=kind: told(kind, e, m))
    left = producer.flush(30)
    assert not left, f"Kafka did not take {left} records"
    return places


SCENARIO = Scenario("events that nobody understands became dead letters with a reason, and all others flowed on", run)
