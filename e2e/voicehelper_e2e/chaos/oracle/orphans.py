"""Nothing is left of tenants and cells that are gone: in Postgres, Kafka, Milvus, on the machine, in the router."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import httpx
import psutil
from voicehelper_core import names
from voicehelper_embedded import client, users
from voicehelper_embedded.components.postgres import ROLES

from voicehelper_e2e.chaos.oracle.finding import Finding
from voicehelper_e2e.chaos.oracle.world import World

_SCHEMAS = {"public", "information_schema", "identity", "analytics", "resources"}
_KAFKA_USERS = {"admin", "connect", "analytics", "controller"}
_TOPICS = re.compile(r"^(__|_?connect[-_]|cdc\.|_?_?debezium)")


def _left(check: str, names_left: list[str], what: str) -> list[Finding]:
    return [Finding(check, name, f"{what} that belongs to nothing that lives") for name in names_left]


async def postgres(world: World) -> list[Finding]:
    """Schemas, roles, sessions, publication, slots, rows of tenants; and what the sink keeps."""
    async with world.fired.postgres() as connection:

        async def column(sql: str, *arguments: Any) -> set[str]:
            return {row[0] for row in await connection.fetch(sql, *arguments)}

        found = _left(
            "postgres",
            world.strangers(await column("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'"), _SCHEMAS),
            "a schema",
        )
        roles = await column("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")
        found += _left("postgres", world.strangers(roles, {"postgres", *ROLES}), "a role")
        tables = await column("SELECT DISTINCT schemaname FROM pg_publication_tables")
        found += _left("postgres", world.strangers(tables), "a schema in the publication")
        slots = {
            row["slot_name"]: row["active"] for row in await connection.fetch("SELECT * FROM pg_replication_slots")
        }
        if slots != {"voicehelper": True}:
            found.append(Finding("postgres", "slots", f"there should be one that is read: {slots}"))
        found += _left(
            "postgres", world.strangers(await column("SELECT topic FROM analytics.sink_positions")), "a position"
        )
        for what in ("sink_batches", "dead_letters"):
            if count := await connection.fetchval(f"SELECT count(*) FROM analytics.{what}"):
                found.append(Finding("sink", what, f"{count} are there"))
        strangers = await column("SELECT tenant_id FROM identity.tenants") - set(world.tenants) - {names.PUBLIC_TENANT}
        found += _left("identity", sorted(strangers), "a tenant")
        for cell_id in world.cells:
            for table in await column(
                "SELECT format('%I.%I', c.table_schema, c.table_name) FROM information_schema.columns c"
                " JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.column_name = 'tenant_id'"
                " AND t.table_type = 'BASE TABLE' AND c.table_schema LIKE $1",
                f"{cell_id}\\_%",
            ):
                rows = await column(f"SELECT DISTINCT tenant_id FROM {table}")
                found += [
                    Finding("postgres", table, f"rows of the tenant {tenant}, which is not there")
                    for tenant in sorted(rows - world.of(cell_id))
                ]
        return found


async def kafka(world: World) -> list[Finding]:
    """Topics, SCRAM users, ACLs, consumer groups."""

    def ask() -> list[Finding]:
        from confluent_kafka import admin

        client = admin.AdminClient(world.kafka)
        everything = admin.AclBindingFilter(
            admin.ResourceType.ANY, None, admin.ResourcePatternType.ANY, None, None,
            admin.AclOperation.ANY, admin.AclPermissionType.ANY,
        )  # fmt: skip
        topics = set(client.list_topics(timeout=20).topics)
        scram = set(client.describe_user_scram_credentials().result(20))
        principals = {acl.principal.removeprefix("User:") for acl in client.describe_acls(everything).result(20)}
        groups = {group.group_id for group in client.list_consumer_groups().result(20).valid}
        return [
            *_left("kafka", world.strangers({name for name in topics if not _TOPICS.match(name)}), "a topic"),
            *_left("kafka", world.strangers(scram, _KAFKA_USERS), "a SCRAM user"),
            *_left("kafka", world.strangers(principals, _KAFKA_USERS), "a user of ACLs"),
            *_left(
                "kafka", world.strangers({name for name in groups if names.ID.match(name.partition(".")[0])}), "a group"
            ),
        ]

    return await asyncio.to_thread(ask)


async def accounts(world: World) -> list[Finding]:
    """Of each cell that lives one account is open, the same in Postgres and Kafka."""
    async with world.fired.postgres() as connection:
        logins = {row[0] for row in await connection.fetch("SELECT rolname FROM pg_roles WHERE rolcanlogin")}

    def users() -> set[str]:
        from confluent_kafka import admin

        client = admin.AdminClient(world.kafka)  # its futures end with it
        return set(client.describe_user_scram_credentials().result(20))

    known, found = await asyncio.to_thread(users), []
    for cell_id in world.cells:
        sides = {
            "Postgres": {name for name in names.ACCOUNTS if names.login_role(cell_id, name) in logins},
            "Kafka": {name for name in names.ACCOUNTS if names.kafka_user(cell_id, name) in known},
        }
        found += open_accounts(cell_id, sides)
    return found


def open_accounts(cell_id: str, sides: Mapping[str, Collection[str]]) -> list[Finding]:
    """What is wrong with the accounts of a cell that are open, by store."""
    if len(set(map(tuple, map(sorted, sides.values())))) == 1 and all(len(opened) == 1 for opened in sides.values()):
        return []
    told = ", ".join(f"{store}: {'+'.join(sorted(opened)) or 'none'}" for store, opened in sides.items())
    return [Finding("accounts", cell_id, f"there should be one open account, the same everywhere ({told})")]


async def milvus(world: World) -> list[Finding]:
    """Collections and partitions."""
    async with world.milvus() as client:
        present = {name: set(await client.list_partitions(name)) for name in await client.list_collections()}
    found = _left("milvus", world.strangers(set(present)), "a collection")
    for cell_id in world.cells:
        left = present.get(names.collection(cell_id), set()) - world.of(cell_id) - {"_default"}
        found += _left("milvus", sorted(left), f"a partition of {names.collection(cell_id)}")
    return found


async def machine(world: World) -> list[Finding]:
    """Processes, users, folders, secrets, workloads of the supervisor."""
    return await asyncio.to_thread(_machine, world)


def _machine(world: World) -> list[Finding]:
    home = world.fired.watched.home
    living = {f"cell-{cell_id}" for cell_id in world.cells}
    pids = world.fired.watched.pids()
    found = [
        Finding("processes", name, f"pid {pid} runs and nobody knows it")
        for name, pid in world.fired.watched.leaders()
        if pids.get(name) != pid
    ]
    found += _left(
        "processes", sorted(name for name in pids if name.startswith("cell-") and _cell(name) not in living), "a cell"
    )
    accounts = set(users.of_platform(home.tag)) - {home.user}
    found += _left("users", sorted(accounts - {names.os_user(cell_id) for cell_id in world.cells}), "a user")
    found += _strays({home.user, *accounts}, pids)
    folders = {"objects": home.objects, "run": home.run / "cells"}
    for what, folder in folders.items():
        found += _left(what, world.strangers({path.name for path in folder.glob("*")}), "a folder")
    for cell_id in world.cells:
        tenants = {path.name for path in (home.objects / cell_id).glob("*")}
        found += _left("objects", sorted(tenants - world.of(cell_id)), f"a tenant's folder in {cell_id}")
    secrets = {path.stem for path in home.secrets.glob("*-*.json")} - {"platform-admin", "signing-key"}
    wanted = living | {f"tenant-{tenant_id}-admin" for tenant_id in world.tenants}
    found += _left("secrets", sorted(secrets - wanted), "a secret")
    workloads = {item["name"] for item in client.call(home, "GET", "/workloads") or []}
    return found + _left("workloads", sorted(workloads - living), "a workload")


def _cell(process: str) -> str:
    """The workload of one of its processes: the second one is called ``cell-<id>-b``, and so on."""
    return "-".join(process.split("-")[:2])


def _strays(accounts: set[str | None], pids: dict[str, int]) -> list[Finding]:
    """Processes of the platform's users that descend from no component."""
    if accounts == {None}:
        return []
    known = set(pids.values())
    for pid in list(known):
        if psutil.pid_exists(pid):
            known |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    found = []
    for process in psutil.process_iter(["username", "cmdline", "status"]):
        ours = process.info["username"] in accounts and process.info["status"] != psutil.STATUS_ZOMBIE
        if ours and process.pid not in known:
            line = " ".join(process.info["cmdline"] or [])[:120]
            found.append(Finding("processes", str(process.pid), f"descends from no component: {line}"))
    return found


async def routes(world: World) -> list[Finding]:
    """What the router would still route, in its copy on disk and in Envoy itself."""
    living = {tenant.metadata.name for tenant in world.tenants.values()}
    found: list[Finding] = []
    for path in world.fired.watched.home.data("xds").glob("*.json"):
        saved = json.loads(path.read_text())
        if "tenants" in saved:
            found += _left("routes", sorted({item["name"] for item in saved["tenants"]} - living), "a saved tenant")
            found += _left("routes", world.strangers({item["cell_id"] for item in saved["cells"]}), "a saved cell")
    admin = httpx.AsyncHTTPTransport(uds=str(world.fired.watched.home.data("router") / "admin.sock"))
    async with httpx.AsyncClient(transport=admin, base_url="http://envoy", trust_env=False, timeout=20) as http:
        dump = (await http.get("/config_dump")).raise_for_status().json()
    scopes, clusters = envoy(dump)
    found += _left("routes", sorted(scopes - living - {names.PUBLIC_TENANT}), "a scope of Envoy")
    return found + _left(
        "routes", world.strangers({name for name in clusters if names.ID.match(name[:12])}), "a cluster of Envoy"
    )


def envoy(dump: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Tenants that have a scope, and names of clusters, from ``/config_dump``."""
    scopes: set[str] = set()
    clusters: set[str] = set()
    for part in dump["configs"]:
        for group in part.get("dynamic_scoped_route_configs", []):
            for scope in group["scoped_route_configs"]:
                keys = [item["string_key"] for item in scope["key"]["fragments"]]
                scopes |= {key for key in keys if not key.startswith("_")}
        for cluster in part.get("dynamic_active_clusters", []):
            clusters.add(cluster["cluster"]["name"])
    return scopes, clusters
