"""The victim's values, and strangers' of the same form, for parameters and fields by their names."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from voicehelper_cli.isolation.arena import Arena


@dataclass(frozen=True, slots=True)
class Values:
    """``known`` maps names of parameters and fields to values; ``said`` are all of them, for comparisons."""

    known: dict[str, str]
    said: tuple[str, ...]

    @classmethod
    def of_victim(cls, arena: Arena, use: str) -> Values:
        """What an attacker could have learnt of the victim: every id and name, and one of its keys (``KEY_USES``)."""
        facts, victim = arena.facts, arena.victim
        known = {
            "conversation_id": facts["conversation_id"],
            "message_id": facts["message_id"],
            "document_id": facts["document_id"],
            "user_id": facts["user_id"],
            "external_id": facts["external_id"],
            "idempotency_key": f"{facts['idempotency_key']}-{use}",
            "tenant_id": victim.tenant_id,
            "tenant": victim.name,
            "name": victim.name,
            "cell": victim.cell,
            "email": arena.canaries.of("address of a user").secret + "@example.com",
        }
        return cls(known, tuple(known.values()))

    @classmethod
    def of_nobody(cls) -> Values:
        """The same forms, of nothing that exists."""
        word = secrets.token_hex(8)
        known = {name: str(uuid.uuid4()) for name in ("conversation_id", "message_id", "document_id", "user_id")}
        known |= {
            "external_id": f"none{word}",
            "idempotency_key": f"none{word}",
            "tenant_id": f"n{word[:11]}",
            "tenant": f"none-{word}",
            "name": f"none-{word}",
            "cell": f"none-{word}",
            "email": f"none{word}@example.com",
        }
        return cls(known, tuple(known.values()))

    @property
    def lent(self) -> tuple[str, str]:
        """What an attacker may have given to things of its own: they come back in its own lists."""
        return self.known["external_id"], self.known["email"]

    def parameter(self, name: str, path: str) -> str:
        """For a path or query parameter."""
        if name == "name" and "/cells" in path:
            return self.known["cell"]
        return self.known.get(name, self.known["external_id"])

    def body(self, schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
        """A document that fits a JSON schema, with our values wherever a field has one of our names."""
        schema = _resolved(schema, schemas)
        if "const" in schema or "enum" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if schema.get("type") == "object" or "properties" in schema:
            fields = schema.get("properties", {})
            return {name: self._field(name, item, schemas, depth) for name, item in fields.items()} if depth < 6 else {}
        match schema.get("type"):
            case "integer" | "number":
                return max(int(schema.get("minimum", 1)), 1)
            case "boolean":
                return False
            case "array":
                return []
        return "Passw0rd-of-nobody"

    def _field(self, name: str, schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
        resolved = _resolved(schema, schemas)
        if resolved.get("type") == "string" and "enum" not in resolved and name in self.known:
            return self.known[name]
        return {"mode": "chat"}.get(name) or self.body(schema, schemas, depth + 1)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = schemas.get(schema["$ref"].rpartition("/")[2], {})
        return found
    choices = schema.get("anyOf") or schema.get("allOf") or schema.get("oneOf")
    if choices:
        useful = [item for item in choices if item.get("type") != "null"]
        return _resolved((useful or choices)[0], schemas)
    return schema


def shown(body: Any) -> str:
    """For what an attempt says."""
    return json.dumps(body)[:80] if body is not None else ""
