"""Tables of the schema ``resources``."""

from __future__ import annotations

from typing import Any

import asyncpg

LOCK = 0x766F696365  # "voice": held by every write to the end of its transaction
CHANNEL = "resources"

_DDL = """
CREATE SCHEMA IF NOT EXISTS resources;

CREATE SEQUENCE IF NOT EXISTS resources.version;

CREATE TABLE IF NOT EXISTS resources.objects (
    kind text NOT NULL,
    name text NOT NULL,
    uid uuid NOT NULL UNIQUE,
    generation bigint NOT NULL,
    resource_version bigint NOT NULL,
    creation_timestamp timestamptz NOT NULL DEFAULT now(),
    deletion_timestamp timestamptz,
    labels jsonb NOT NULL,
    annotations jsonb NOT NULL,
    finalizers text[] NOT NULL,
    owner_references jsonb NOT NULL,
    spec jsonb NOT NULL,
    status jsonb NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE UNIQUE INDEX IF NOT EXISTS objects_version ON resources.objects (resource_version);
CREATE INDEX IF NOT EXISTS objects_owner ON resources.objects USING gin (owner_references jsonb_path_ops);

-- What was removed, for watchers that have not seen it yet; pruned up to the version in "horizon".
CREATE TABLE IF NOT EXISTS resources.tombstones (
    resource_version bigint PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    last jsonb NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS resources.horizon (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
INSERT INTO resources.horizon (version) VALUES (0) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS resources.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    count bigint NOT NULL DEFAULT 1,
    last_seen timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS events_same ON resources.events (kind, name, type, reason, md5(message));

CREATE TABLE IF NOT EXISTS resources.leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL
);

DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'resources_reader') THEN
        GRANT USAGE ON SCHEMA resources TO resources_reader;
        GRANT SELECT ON resources.objects, resources.tombstones, resources.horizon, resources.events
            TO resources_reader;
    END IF;
END $$;
"""


async def install(connection: Any) -> None:
    """Make the schema, or what is missing of it. Takes a connection or a DSN, of the role that is to own it."""
    if isinstance(connection, str):
        opened = await asyncpg.connect(connection)
        try:
            await install(opened)
        finally:
            await opened.close()
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(_DDL)
