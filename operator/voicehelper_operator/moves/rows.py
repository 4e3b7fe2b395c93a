"""Rows of a tenant from one cell's schemas to another's, on the same server: the target is made what the source is.

Nothing is remembered but a moment: what differs is found by comparison, so a copy that was cut off goes on wherever it
was. With a ``since``, only rows that were written later are looked at (by their ``xmin``; older ones are the same on
both sides, since nobody else writes in the target). Foreign keys and triggers are off: rows come as they are, the
totals too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
from voicehelper_core import names
from voicehelper_core.errors import Unprocessable

from voicehelper_operator.archives.tables import TenantTable, primary_keys, quoted, revisions, tables
from voicehelper_operator.moves.ends import Ends

_XIDS = 2**32


@dataclass(frozen=True, slots=True)
class Pair:
    """One table on both sides."""

    source: TenantTable
    target: TenantTable
    key: tuple[str, ...]
    """Columns of the primary key besides the tenant's id; none where the tenant has one row."""

    @property
    def title(self) -> str:
        """``knowledge.chunks``."""
        return f"{self.source.service}.{self.source.name}"

    @property
    def columns(self) -> tuple[str, ...]:
        """All that is copied."""
        return self.source.columns

    def names(self) -> tuple[str, str]:
        """Source and target."""
        return f"{self.source.schema}.{self.source.name}", f"{self.target.schema}.{self.target.name}"

    def same(self) -> str:
        """Condition that ``s`` and ``t`` are the same row."""
        return " AND ".join(["t.tenant_id = s.tenant_id", *(f"t.{quoted(c)} = s.{quoted(c)}" for c in self.key)])

    def row(self, alias: str) -> str:
        """Its values."""
        return "ROW(" + ", ".join(f"{alias}.{quoted(column)}" for column in self.columns) + ")"


@dataclass(slots=True)
class Brought:
    """What one round changed."""

    since: int
    """For the next one: every transaction before this one had ended when the round looked."""
    rows: dict[str, int] = field(default_factory=dict)
    """By table."""

    @property
    def lag(self) -> int:
        """All of them."""
        return sum(self.rows.values())


async def pairs(connection: asyncpg.Connection, ends: Ends) -> list[Pair]:
    """All tables. Raises Unprocessable where the target cannot take the source's rows."""
    await _fits(connection, ends)
    here = {table.key: table for table in await tables(connection, ends.target)}
    keys, found = await primary_keys(connection, ends.source), []
    for table in await tables(connection, ends.source):
        other = here.get(table.key)
        if other is None:
            raise Unprocessable(
                f"the target cell has no table {table.service}.{table.name}: bring it to a newer release"
            )
        if unknown := sorted(set(table.columns) - set(other.columns)):
            raise Unprocessable(f"the target cell's {table.service}.{table.name} has no column {', '.join(unknown)}")
        key = keys.get((table.schema, table.name))
        if key is None:
            raise Unprocessable(f"{table.service}.{table.name} has no primary key: its rows cannot be told apart")
        found.append(Pair(table, other, tuple(column for column in key if column != "tenant_id")))
    return found


async def _fits(connection: asyncpg.Connection, ends: Ends) -> None:
    source, target = await revisions(connection, ends.source), await revisions(connection, ends.target)
    for service, revision in source.items():
        if revision > target.get(service, ""):
            raise Unprocessable(
                f"the schema '{service}' has revision {revision} in the source and {target.get(service, 'none')} in the"
                " target: bring the target's cell to a newer release first"
            )


async def begin(connection: asyncpg.Connection) -> int:
    """Within a transaction of one snapshot: as rows come, and from where the next round has to look."""
    await connection.execute(
        "SET LOCAL session_replication_role = replica; SET LOCAL statement_timeout = 0;"
        " SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL TimeZone = 'UTC'"
    )
    return int(await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))


def newer(since: int | None) -> Mapping[str, str]:
    """Conditions, for ``s`` and ``t``, that a row was written by no transaction before ``since``.

    ``xmin`` has the lower half of a transaction's number and is compared as Postgres compares it, in a circle. Rows of
    a subtransaction have its own number, which is higher.
    """
    if since is None:
        return {"s": "true", "t": "true"}
    return {alias: f"(({alias}.xmin::text::bigint - {since % _XIDS}) & {_XIDS - 1}) < {_XIDS // 2}" for alias in "st"}


async def bring(connection: asyncpg.Connection, ends: Ends, all_pairs: Sequence[Pair], since: int | None) -> Brought:
    """Make the target what the source is, as of the transaction's snapshot."""
    found = Brought(await begin(connection))
    new = newer(since)
    for pair in all_pairs:
        found.rows[pair.title] = await _bring(connection, ends, pair, new["s"])
    return found


async def _bring(connection: asyncpg.Connection, ends: Ends, pair: Pair, new: str) -> int:
    source, target = pair.names()
    changed = (
        f"DELETE FROM {target} t USING {source} s WHERE t.tenant_id = $1 AND s.tenant_id = $1 AND {new}"
        f" AND {pair.same()} AND {pair.row('t')} IS DISTINCT FROM {pair.row('s')}"
    )
    gone = (
        f"DELETE FROM {target} t WHERE t.tenant_id = $1"
        f" AND NOT EXISTS (SELECT FROM {source} s WHERE s.tenant_id = $1 AND {pair.same()})"
    )
    added = missing(pair, new)
    count = "SELECT count(*) FROM {} WHERE tenant_id = $1"
    replaced = await _done(connection, changed, ends.tenant_id)
    try:
        async with connection.transaction():
            came = await _done(connection, added, ends.tenant_id)
    except asyncpg.UniqueViolationError:  # a row that is gone has what a new one wants to have
        went = await _done(connection, gone, ends.tenant_id)
        return went + await _done(connection, added, ends.tenant_id)
    there, here = [await connection.fetchval(count.format(table), ends.tenant_id) for table in (source, target)]
    went = await _done(connection, gone, ends.tenant_id) if there != here else 0
    return max(replaced, came) + went


def missing(pair: Pair, which: str) -> str:
    """INSERT of the source's rows ``s`` that fulfil a condition and are not in the target; $1 is the tenant's id."""
    source, target = pair.names()
    columns, values = ", ".join(map(quoted, pair.columns)), ", ".join(f"s.{quoted(column)}" for column in pair.columns)
    return (
        f"INSERT INTO {target} (tenant_id, {columns}) SELECT s.tenant_id, {values} FROM {source} s"
        f" WHERE s.tenant_id = $1 AND {which}"
        f" AND NOT EXISTS (SELECT FROM {target} t WHERE t.tenant_id = $1 AND {pair.same()})"
    )


async def _done(connection: asyncpg.Connection, statement: str, tenant_id: str) -> int:
    return int((await connection.execute(statement, tenant_id)).rsplit(" ", 1)[1])


async def compare(connection: asyncpg.Connection, ends: Ends, all_pairs: Sequence[Pair], since: int | None) -> int:
    """Compare both sides by number and checksum, in the transaction that has brought them; how many rows there are.

    With ``since``, by the number of all, and by the checksum of those that were written later on either side. Raises
    Unprocessable that names the table.
    """
    new, total = newer(since), 0
    for pair in all_pairs:
        source, target = pair.names()
        there, here = [
            await connection.fetchval(f"SELECT count(*) FROM {table} WHERE tenant_id = $1", ends.tenant_id)
            for table in (source, target)
        ]
        if there != here:
            raise Unprocessable(f"{pair.title}: the source has {there} rows, the target {here}")
        total += there
        for mine, other, one, two in ((source, target, "s", "t"), (target, source, "t", "s")):
            row = await connection.fetchrow(
                f"SELECT count(*) AS rows, count({two}.tenant_id) AS met, sum({_sum(pair, one)}) AS mine,"
                f" sum({_sum(pair, two)}) AS others FROM {mine} {one} LEFT JOIN {other} {two} ON {pair.same()}"
                f" WHERE {one}.tenant_id = $1 AND {new[one]}",
                ends.tenant_id,
            )
            if row["rows"] != row["met"] or row["mine"] != row["others"]:
                raise Unprocessable(f"{pair.title}: the checksums of source and target differ")
    return total


def _sum(pair: Pair, alias: str) -> str:
    return f"hashtextextended({pair.row(alias)}::text, 0)::numeric"


async def emptied(connection: asyncpg.Connection, cell_id: str, tenant_id: str) -> bool:
    """Whether the cell has no row of the tenant."""
    for table in await tables(connection, cell_id):
        query = f"SELECT EXISTS (SELECT FROM {table.schema}.{table.name} WHERE tenant_id = $1)"
        if await connection.fetchval(query, names.checked(tenant_id)):
            return False
    return True
