"""A release after the one that runs: its migrations expand two schemas, and its code writes and reads what they add."""

from __future__ import annotations

import asyncpg
from voicehelper_core import names
from voicehelper_embedded.tests.test_release import install
from voicehelper_embedded.throwaway import Platform

RELEASE = "raaaaaaaad01"
_MIGRATION = """
from voicehelper_cell import migrations

revision, down_revision = "{revision}", "{before}"


def upgrade():
    schema = migrations.attribute("schema")
    {statements}
"""
_STATEMENTS = {
    "conversation": (
        'migrations.execute(f"alter table {schema}.conversations add column if not exists written_by text")'
    ),
    "knowledge": (
        'migrations.execute(f"create table {schema}.origins (tenant_id text not null, document_id uuid primary key,'
        " origin text not null, foreign key (tenant_id, document_id) references {schema}.documents (tenant_id, id)"
        ' on delete cascade)")\n'
        '    migrations.protect("origins", "knowledge")'
    ),
}
_CODE = {
    "conversation": {
        "(id, tenant_id, user_id, title, mode) VALUES ($1, $2, $3, $4, $5)": (
            "(id, tenant_id, user_id, title, mode, written_by) VALUES ($1, $2, $3, $4, $5, 'newer')"
        ),
        '"id, title, mode,': "\"id, title || coalesce(' (' || written_by || ')', '') AS title, mode,",
    },
    "knowledge": {
        "        who.user_id,\n    )\n    return _document(row)": (
            "        who.user_id,\n    )\n"
            "    origin = \"insert into origins (tenant_id, document_id, origin) values ($1, $2, 'newer')\"\n"
            "    await connection.execute(origin, who.tenant_id, document_id)\n"
            "    return _document(row)"
        ),
    },
}


def install_newer(platform: Platform, current: str) -> dict[str, str]:
    """Install it beside the current one; its revisions by service."""
    install(platform, current, RELEASE)
    folder = platform.home / "releases" / RELEASE / "voicehelper_cell"
    revisions = {}
    for service, statements in _STATEMENTS.items():
        versions = folder / service / "migrations" / "versions"
        before = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
        revisions[service] = f"{int(before) + 1:04d}"
        migration = versions / f"{revisions[service]}_newer.py"
        migration.write_text(
            _MIGRATION.format(revision=revisions[service], before=before, statements=statements)
        )  # fmt: skip
        migration.chmod(0o644)
        code = folder / service / "repository.py"
        text = code.read_text()
        for old, new in _CODE[service].items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        code.write_text(text)
    return revisions


async def forget(platform: Platform, cell_ids: list[str]) -> None:
    """Take it out of the schemas, for the tests that come after.

    The column stays and disturbs nobody: it is in the publication's list.
    """
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        for cell_id in cell_ids:
            conversation, knowledge = (names.schema(cell_id, service) for service in ("conversation", "knowledge"))
            await connection.execute(f"DROP TABLE IF EXISTS {knowledge}.origins")
            for schema in conversation, knowledge:
                await connection.execute(
                    f"UPDATE {schema}.alembic_version SET version_num = lpad((version_num::int - 1)::text, 4, '0')"
                )
    finally:
        await connection.close()


async def written(platform: Platform, cell_id: str) -> tuple[int, int]:
    """How many conversations and documents its code wrote."""
    connection = await asyncpg.connect(platform.postgres_dsn)
    try:
        conversation, knowledge = (names.schema(cell_id, service) for service in ("conversation", "knowledge"))
        told = f"SELECT count(*) FROM {conversation}.conversations WHERE written_by = 'newer'"
        return await connection.fetchval(told), await connection.fetchval(f"SELECT count(*) FROM {knowledge}.origins")
    finally:
        await connection.close()
