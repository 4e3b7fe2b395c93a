"""Conversations, messages and the events of an answer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Mode = Literal["chat", "agent", "workflow"]
STARTED, DELTA, CITATION, COMPLETED, ERROR = "message.started", "delta", "citation", "message.completed", "error"
FINAL = (COMPLETED, ERROR)
LEASE_SECONDS = 15
"""An answer is nobody else's for so long after its process last said that it works on it."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of one user."""

    id: uuid.UUID
    title: str
    mode: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A message; citations are dicts in the shape of the API."""

    id: uuid.UUID
    conversation_id: uuid.UUID
    sequence: int
    role: str
    content: str
    citations: list[dict[str, Any]]
    status: str
    error: str
    model: str
    tokens_used: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an answer; ids rise by one from 1. ``body`` is what the API shows."""

    id: int
    type: str
    body: dict[str, Any] = field(default_factory=dict)
