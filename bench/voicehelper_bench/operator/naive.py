"""The same steps as kopf handlers: what an operator is that is written after kopf's tutorial.

Three handlers, since an id has to be recorded before anything is made with it, and the route before it is probed.
Its places are counted in memory, which is cheaper than asking, and its cells do not count their tenants. What it does
not have: repair of drift, a lease, events (kopf makes them of log lines of the level INFO, which are off here),
back-off that is told in conditions, or protection of a status that changed.
"""

from __future__ import annotations

import asyncio
import secrets as random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kopf
import uvloop
from pydantic_settings import BaseSettings, SettingsConfigDict
from voicehelper_core import names
from voicehelper_core.kubernetes_api import KubernetesSecretStore, connect
from voicehelper_crds import API_VERSION
from voicehelper_e2e.operator_stubs import ENDPOINT, GRACE_SECONDS, RELEASE, StubIdentity, StubProber, slices
from voicehelper_operator.identity import Admin
from voicehelper_operator.slices.interface import CellRef, TenantRef

GROUP, VERSION = API_VERSION.split("/")
TENANTS, CELLS = (GROUP, VERSION, "tenants"), (GROUP, VERSION, "cells")
_PLACED = ("Accepted", "Placed")
_PROVISIONED = ("SlicesReady", "IdentityReady", "Routable")


class Settings(BaseSettings):
    """Shared with the other variant's process."""

    model_config = SettingsConfigDict(env_prefix="VOICEHELPER_")

    kubeconfig: Path


class World:
    """What the handlers share."""

    def __init__(self, secrets: KubernetesSecretStore) -> None:
        self.secrets, self.slices, self.identity, self.prober = secrets, slices(), StubIdentity(), StubProber()
        self.cells: dict[str, tuple[str, int]] = {}
        """Id and capacity by name."""
        self.homes: dict[str, str] = {}
        """Cell by tenant."""

    def place(self, tenant: str) -> tuple[str, str]:
        """Name and id of the fullest cell with room."""
        counts = Counter(self.homes.values())
        free = [name for name, (_, capacity) in self.cells.items() if counts[name] < capacity]
        if not free:
            raise kopf.TemporaryError("no cell has room", delay=1)
        home = min(free, key=lambda name: (-counts[name], name))
        self.homes[tenant] = home
        return home, self.cells[home][0]


WORLD: World


@kopf.on.startup()
async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    # As kopf's documentation advises for schemas that keep no unknown fields.
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage()
    settings.scanning.disabled = True


@kopf.on.login()
def _login(**known: Any) -> Any:
    return kopf.login_with_kubeconfig(**known)


@kopf.on.event(*TENANTS)
async def _count(type: str | None, name: str, status: kopf.Status, **_: Any) -> None:
    if type == "DELETED":
        WORLD.homes.pop(name, None)
    elif home := status.get("cell"):
        WORLD.homes[name] = home


@kopf.on.event(*CELLS)
async def _know(name: str, spec: kopf.Spec, status: kopf.Status, **_: Any) -> None:
    if cell_id := status.get("cellId"):
        WORLD.cells[name] = (cell_id, spec.get("capacity", 100))


@kopf.on.create(*CELLS)
async def _cell(patch: kopf.Patch, **_: Any) -> None:
    conditions = _met((), ("Accepted", "SlicesReady", "Migrated", "WorkloadReady", "Ready"), 1)
    patch.status.update(
        {
            "cellId": names.new_id(), "release": RELEASE, "phase": "Ready", "conditions": conditions,
            "endpoints": {"http": "127.0.0.1:1", "grpc": "127.0.0.1:2"},
        }
    )  # fmt: skip


@kopf.on.resume(*TENANTS)
@kopf.on.update(*TENANTS)
@kopf.on.create(*TENANTS)
async def place(name: str, status: kopf.Status, meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    """Its id and its cell."""
    if status.get("tenantId"):
        return
    cell, cell_id = WORLD.place(name)
    patch.status.update(
        {
            "tenantId": names.new_id(), "cell": cell, "cellId": cell_id, "phase": "Provisioning",
            "conditions": _met((), _PLACED, meta["generation"]),
        }
    )  # fmt: skip


@kopf.on.resume(*TENANTS)
@kopf.on.update(*TENANTS)
@kopf.on.create(*TENANTS)
async def provision(
    name: str, spec: kopf.Spec, status: kopf.Status, meta: kopf.Meta, patch: kopf.Patch, **_: Any
) -> None:
    """Its part of the stores, its admin, its route."""
    part, cell = TenantRef(status["tenantId"], name), CellRef(status["cellId"])
    await asyncio.gather(*(item.ensure_tenant(cell, part) for item in WORLD.slices))
    secret, email = names.admin_secret(part.tenant_id), spec["admin"]["email"]
    kept = await WORLD.secrets.get(secret)
    if kept is None:
        kept = {"tenant": name, "email": email, "password": random.token_urlsafe(18)}
        await WORLD.secrets.put(secret, kept)
    admin = Admin(email, "", kept["password"])
    await WORLD.identity.ensure_tenant(name, part.tenant_id, admin, 100)
    conditions = _met(status.get("conditions", ()), _PROVISIONED, meta["generation"])
    _say(status, patch, {"endpoint": ENDPOINT, "conditions": conditions})


@kopf.on.resume(*TENANTS)
@kopf.on.update(*TENANTS)
@kopf.on.create(*TENANTS)
async def probe(name: str, status: kopf.Status, meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    """Whether the route works."""
    if problem := await WORLD.prober.probe(name, status["tenantId"], status["cellId"]):
        raise kopf.TemporaryError(problem, delay=1)
    conditions = _met(status.get("conditions", ()), ("Ready",), meta["generation"])
    _say(status, patch, {"phase": "Ready", "conditions": conditions})


@kopf.on.delete(*TENANTS)
async def remove(status: kopf.Status, **_: Any) -> None:
    """Its access, and after a while its data."""
    tenant_id, cell = status["tenantId"], CellRef(status["cellId"])
    await asyncio.gather(*(item.remove_tenant(cell, tenant_id, data=False) for item in WORLD.slices))
    await WORLD.identity.remove_tenant(tenant_id)
    await WORLD.secrets.delete(names.admin_secret(tenant_id))
    await asyncio.sleep(GRACE_SECONDS)
    await asyncio.gather(*(item.remove_tenant(cell, tenant_id, data=True) for item in WORLD.slices))


def _say(status: kopf.Status, patch: kopf.Patch, new: dict[str, Any]) -> None:
    """Only what is new, so that a restart has nothing to say."""
    patch.status.update({key: value for key, value in new.items() if status.get(key) != value})


def _met(known: Any, kinds: tuple[str, ...], generation: int) -> list[dict[str, Any]]:
    """Conditions that hold; those that did already stay as they are."""
    conditions = {item["type"]: dict(item) for item in known}
    now = datetime.now(UTC).isoformat()
    for kind in kinds:
        if conditions.get(kind, {}).get("status") != "True":
            conditions[kind] = {
                "type": kind, "status": "True", "reason": "Done", "message": "", "observedGeneration": generation,
                "lastTransitionTime": now,
            }  # fmt: skip
    return list(conditions.values())


async def _serve(settings: Settings) -> None:
    global WORLD  # noqa: PLW0603 (kopf's handlers are functions of the module)
    api = await connect(settings.kubeconfig)
    WORLD = World(KubernetesSecretStore(api, "default"))
    try:
        await kopf.operator(clusterwide=True, standalone=True)
    finally:
        await api.close()


def main() -> None:
    """Until SIGTERM."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(Settings()))


if __name__ == "__main__":
    main()
