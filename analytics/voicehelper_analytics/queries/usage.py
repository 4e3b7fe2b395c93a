"""A tenant's usage by minute."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from voicehelper_core.context import TenantContext
from voicehelper_core.errors import InvalidArgument

from voicehelper_analytics.warehouse import Warehouse

MAX_RANGE = timedelta(days=92)
_SUMS = "sum(message_count), sum(total_tokens), sum(total_cost), sum(user_message_count), sum(assistant_message_count)"
_WHERE = "tenant_id = {tenant:String} AND minute >= {low:DateTime('UTC')} AND minute < {high:DateTime('UTC')}"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open, whole minutes, UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, start: str, end: str, now: datetime | None = None) -> Window:
        """RFC 3339 bounds; by default the last hour, the running minute included. Raises InvalidArgument."""
        now = now or datetime.now(UTC)
        high = _time("to", end) if end else now + timedelta(minutes=1)
        low = _time("from", start) if start else high - timedelta(hours=1, minutes=1)
        window = cls(low.replace(second=0, microsecond=0), high)
        if window.start >= window.end:
            raise InvalidArgument("from must be before to")
        if window.end - window.start > MAX_RANGE:
            raise InvalidArgument(f"from and to may be at most {MAX_RANGE.days} days apart")
        return window


def _time(name: str, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f"{name}: send an RFC 3339 time such as 2026-01-31T12:00:00Z") from None
    if not 2000 <= value.year <= 2100:
        raise InvalidArgument(f"{name}: the year must be between 2000 and 2100")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of messages, model tokens and USD."""

    message_count: int
    total_tokens: int
    total_cost: Decimal
    user_message_count: int
    assistant_message_count: int


@dataclass(frozen=True, slots=True)
class Minute:
    """One user's minute."""

    minute: datetime
    user_id: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class UsagePage:
    """Totals of the whole window and one page of its minutes."""

    totals: Totals
    items: list[Minute]
    next_cursor: str


async def usage(warehouse: Warehouse, who: TenantContext, window: Window, *, limit: int, cursor: str) -> UsagePage:
    """Usage of the context's tenant, newest minute first. Raises InvalidArgument."""
    if not 0 <= limit <= 1000:
        raise InvalidArgument("limit must be between 1 and 1000")
    limit = limit or 100
    bound: dict[str, Any] = {"tenant": who.tenant_id, "low": window.start, "high": window.end}
    after = ""
    if cursor:
        bound["at"], bound["user"] = _decode(cursor)
        after = " AND (minute, user_id) < ({at:DateTime('UTC')}, {user:String})"
    total = await warehouse.query(f"SELECT {_SUMS} FROM message_stats_minute WHERE {_WHERE}", bound)  # noqa: S608
    rows = await warehouse.query(
        f"SELECT minute, user_id, {_SUMS} FROM message_stats_minute WHERE {_WHERE}{after}"  # noqa: S608
        f" GROUP BY minute, user_id ORDER BY minute DESC, user_id DESC LIMIT {limit + 1}",
        bound,
    )
    items = [Minute(_aware(row[0]), row[1], _totals(row[2:])) for row in rows[:limit]]
    more = len(rows) > limit
    return UsagePage(_totals(total[0]), items, _encode(items[-1]) if more else "")


def _aware(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _totals(row: tuple[Any, ...]) -> Totals:
    return Totals(int(row[0]), int(row[1]), Decimal(row[2]), int(row[3]), int(row[4]))


def _encode(item: Minute) -> str:
    return base64.urlsafe_b64encode(json.dumps([item.minute.isoformat(), item.user_id]).encode()).decode()


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        at, user = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return _time("cursor", str(at)), str(user)
    except (ValueError, TypeError, binascii.Error, InvalidArgument):
        raise InvalidArgument("cursor: send the next_cursor of an earlier page unchanged") from None
