"""A world in memory: the ports that the reconcilers know, with what they made, and faults on demand."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from voicehelper_core import cell_bundle, errors, names
from voicehelper_core.names import ACCOUNTS
from voicehelper_crds import KINDS, Resource
from voicehelper_crds.validation import ValidationFailed, validate, validate_update

from voicehelper_operator.activity import NoActivity
from voicehelper_operator.archives.keeper import Archived
from voicehelper_operator.archives.problems import StoreProblem
from voicehelper_operator.cells.apply import CellApplier
from voicehelper_operator.cells.reconciler import CellReconciler
from voicehelper_operator.identity import Admin, AdminState
from voicehelper_operator.settings import OperatorSettings
from voicehelper_operator.slices.credentials import CellCredentials, Rotation
from voicehelper_operator.slices.interface import CellRef, TenantRef
from voicehelper_operator.tenants.apply import TenantApplier
from voicehelper_operator.tenants.reconciler import TenantReconciler
from voicehelper_operator.workloads.interface import StepFailed, WorkloadSpec, WorkloadState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The operator died here."""


class MemoryStore:
    """Resources with generations, finalizers and cascades, as the embedded store has them."""

    def __init__(self, step: Callable[[str], None] = lambda _: None) -> None:
        self.objects: dict[tuple[str, str], Resource] = {}
        self.writes = 0
        self._version = 0
        self._step = step

    def _put(self, resource: Resource) -> Any:
        self._step("store.put")
        self._version += 1
        self.writes += 1
        metadata = resource.metadata.model_copy(update={"resource_version": str(self._version)})
        stored = resource.model_copy(update={"metadata": metadata})
        self.objects[stored.kind, stored.metadata.name] = stored  # type: ignore[attr-defined]
        return stored.model_copy(deep=True)

    async def get(self, kind: Any, name: str) -> Any:
        try:
            return self.objects[kind.kind_name, name].model_copy(deep=True)
        except KeyError:
            raise errors.NotFound(f"no {kind.kind_name} '{name}'") from None

    async def list(self, kind: Any, labels: Mapping[str, str] | None = None) -> list[Any]:
        return [
            item.model_copy(deep=True) for (name, _), item in sorted(self.objects.items()) if name == kind.kind_name
        ]

    async def create(self, manifest: Mapping[str, Any]) -> Any:
        if (manifest["kind"], manifest["metadata"]["name"]) in self.objects:
            raise errors.Conflict("it exists")
        return await self.apply(manifest)

    async def apply(self, manifest: Mapping[str, Any]) -> Any:
        try:
            new = validate(manifest)
        except ValidationFailed as error:
            raise errors.InvalidArgument(str(error)) from None
        old = self.objects.get((new.kind, new.metadata.name))  # type: ignore[attr-defined]
        if old is None:
            self._version += 1
            update = {"uid": f"uid-{self._version}", "generation": 1, "creation_timestamp": NOW}
            return self._put(new.model_copy(update={"metadata": new.metadata.model_copy(update=update)}))
        if old.metadata.deletion_timestamp:
            raise errors.Conflict("it is being deleted")
        validate_update(old, new)
        same = old.spec == new.spec  # type: ignore[attr-defined]
        if same and old.metadata.annotations == new.metadata.annotations:
            return old.model_copy(deep=True)
        generation = (old.metadata.generation or 0) + (not same)
        changed = {"generation": generation, "annotations": new.metadata.annotations}
        metadata = old.metadata.model_copy(update=changed)
        return self._put(old.model_copy(update={"spec": new.spec, "metadata": metadata}))  # type: ignore[attr-defined]

    async def annotate(self, kind: Any, name: str, annotations: Mapping[str, str]) -> None:
        current = await self.get(kind, name)
        metadata = current.metadata.model_copy(update={"annotations": dict(annotations)})
        self._put(current.model_copy(update={"metadata": metadata}))

    async def update_status(self, kind: Any, name: str, status: Any, *, resource_version: str | None = None) -> Any:
        current = await self.get(kind, name)
        if resource_version is not None and current.metadata.resource_version != resource_version:
            raise errors.Conflict("stale")
        return current if current.status == status else self._put(current.model_copy(update={"status": status}))

    async def set_finalizers(self, kind: Any, name: str, finalizers: list[str]) -> None:
        current = await self.get(kind, name)
        metadata = current.metadata.model_copy(update={"finalizers": finalizers})
        self._put(current.model_copy(update={"metadata": metadata}))
        await self._collect(kind.kind_name, name)

    async def delete(self, kind: Any, name: str) -> None:
        current = await self.get(kind, name)
        if current.metadata.deletion_timestamp is None:
            metadata = current.metadata.model_copy(update={"deletion_timestamp": NOW})
            self._put(current.model_copy(update={"metadata": metadata}))
        await self._collect(kind.kind_name, name)

    async def _collect(self, kind: str, name: str) -> None:
        item = self.objects.get((kind, name))
        if item and item.metadata.deletion_timestamp and not item.metadata.finalizers:
            del self.objects[kind, name]
            for (other, dependant), owned in list(self.objects.items()):
                if any(owner.uid == item.metadata.uid for owner in owned.metadata.owner_references):
                    await self.delete(KINDS[other], dependant)


class MemorySecrets:
    def __init__(self, step: Callable[[str], None] = lambda _: None) -> None:
        self.bundles: dict[str, dict[str, str]] = {}
        self._step = step

    async def get(self, name: str) -> dict[str, str] | None:
        return dict(self.bundles[name]) if name in self.bundles else None

    async def put(self, name: str, data: Mapping[str, str]) -> None:
        self._step("secret.before")
        self.bundles[name] = dict(data)
        self._step("secret.after")

    async def delete(self, name: str) -> None:
        self._step("secret.delete")
        self.bundles.pop(name, None)


class MemoryEvents:
    def __init__(self) -> None:
        self.recorded: list[tuple[str, str, str, str]] = []

    async def record(self, resource: Any, reason: str, message: str, *, warning: bool = False) -> None:
        self.recorded.append((resource.kind, resource.metadata.name, reason, message))

    async def events(self, kind: str, name: str) -> list[Any]:
        return []


def _told(tenant: TenantRef) -> str:
    return json.dumps([tenant.name, tenant.suspended, dict(tenant.limits)], sort_keys=True)


@dataclass
class MemorySlice:
    """``cells`` and ``tenants`` are what exists; ``broken`` is what every call raises.

    ``accounts`` are the passwords by which cells get in, by their names; ``secret`` is what the bundle calls them, and
    a store without it has no passwords.
    """

    store: str
    isolated: bool = True
    step: Callable[[str], None] = lambda _: None
    secret: str = ""
    bundle: Callable[[str], Awaitable[dict[str, str]]] | None = None
    accounts: dict[str, str] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)
    tenants: dict[tuple[str, str], str] = field(default_factory=dict)
    data: set[tuple[str, str]] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    broken: str = ""
    writes: int = 0

    def _check(self, name: str) -> None:
        self.step(f"{self.store}.{name}")
        if self.broken:
            raise RuntimeError(self.broken)

    async def observe(self, cell: CellRef) -> list[str]:
        return [] if cell.cell_id in self.cells else [f"{self.store} of the cell"]

    async def ensure(self, cell: CellRef) -> list[str]:
        self._check("ensure.before")
        made = await self._ensure_accounts(cell.cell_id)
        if cell.cell_id in self.cells:
            return made
        self.cells.add(cell.cell_id)
        self.writes += 1
        self._check("ensure.after")
        return [f"{self.store} of the cell", *made]

    async def _ensure_accounts(self, cell_id: str) -> list[str]:
        """A closed account is opened with its kept password; an open one keeps the one that it has."""
        if not self.secret:
            return []
        assert self.bundle is not None
        bundle = await self.bundle(cell_id)
        made = []
        for account in ACCOUNTS:
            name, wanted = names.kafka_user(cell_id, account), account in Rotation.of(bundle).open
            if wanted is not (name in self.accounts):
                self.writes += 1
                if wanted:
                    self.accounts[name] = bundle[cell_bundle.key(self.secret, account)]
                    made.append(f"account {name}")
                else:
                    del self.accounts[name]
                self._check(f"account.{account}.after")
        return made

    async def verify(self, cell: CellRef) -> str | None:
        if self.secret:
            assert self.bundle is not None
            bundle = await self.bundle(cell.cell_id)
            for account in Rotation.of(bundle).open:
                kept = bundle[cell_bundle.key(self.secret, account)]
                if self.accounts[names.kafka_user(cell.cell_id, account)] != kept:
                    return "the login was refused"
        return None

    async def remove(self, cell: CellRef) -> None:
        self._check("remove.before")
        self.cells.discard(cell.cell_id)
        for account in ACCOUNTS:
            self.accounts.pop(names.kafka_user(cell.cell_id, account), None)
        self.tenants = {key: name for key, name in self.tenants.items() if key[0] != cell.cell_id}
        self.data = {key for key in self.data if key[0] != cell.cell_id}
        self._check("remove.after")

    async def let_migrate(self, cell: CellRef, *, allowed: bool) -> None:
        self._check("let_migrate")

    async def archive(self, cell: CellRef) -> None:
        self.archived.add(cell.cell_id)

    async def ensure_tenant(self, cell: CellRef, tenant: TenantRef) -> list[str]:
        self._check("ensure_tenant.before")
        key = (cell.cell_id, tenant.tenant_id)
        told = _told(tenant)
        if self.tenants.get(key) == told:
            return []
        made = [] if key in self.tenants else [f"{self.store} of the tenant"]
        self.tenants[key] = told
        self.data.add(key)
        self.writes += 1
        self._check("ensure_tenant.after")
        return made

    async def lacking(self, cell: CellRef, tenants: Sequence[TenantRef]) -> set[str]:
        if self.broken:
            raise RuntimeError(self.broken)
        return {item.tenant_id for item in tenants if self.tenants.get((cell.cell_id, item.tenant_id)) != _told(item)}

    async def remove_tenant(self, cell: CellRef, tenant_id: str, *, data: bool) -> None:
        self._check("remove_tenant.before")
        self.tenants.pop((cell.cell_id, tenant_id), None)
        if data:
            self.data.discard((cell.cell_id, tenant_id))
        self._check("remove_tenant.after")


@dataclass
class MemoryRuntime:
    """``leaving`` is what runs until ``ready`` lets what takes its place answer; a runtime that is not ``seamless`` has
    a gap instead, which is counted unless nobody was in the cell. With ``trouble`` what was there answers on.
    """

    topologies: ClassVar = frozenset({"compact"})
    seamless: bool = True
    step: Callable[[str], None] = lambda _: None
    running: dict[str, WorkloadSpec] = field(default_factory=dict)
    leaving: list[WorkloadSpec] = field(default_factory=list)
    migrated: set[str] = field(default_factory=set)
    restarts: dict[str, int] = field(default_factory=dict)
    broken_migration: str = ""
    ready: bool = True
    trouble: str = ""
    gaps: int = 0

    def _state(self, cell_id: str) -> WorkloadState:
        spec = self.running[cell_id]
        state = "ready" if self.ready else "starting"
        restarts = self.restarts.get(cell_id, 0)
        settled = self.ready and not self.trouble and cell_id not in {item.cell_id for item in self.leaving}
        addresses = ("127.0.0.1:1", "127.0.0.1:2")
        return WorkloadState(self.ready, state, restarts, self.trouble, spec.release, *addresses, settled)

    async def ensure(self, spec: WorkloadSpec) -> WorkloadState:
        self.step("workload.before")
        assert spec.cell_id in self.migrated, "code must not run before its migration"
        before = self.running.get(spec.cell_id)
        if self.ready:
            self.leaving = [item for item in self.leaving if item.cell_id != spec.cell_id]
        if before is not None and before.config != spec.config:
            if self.seamless:
                self.leaving.append(before)
            else:
                self.gaps += 1
        self.running[spec.cell_id] = spec
        self.step("workload.after")
        return self._state(spec.cell_id)

    async def observe(self, cell_id: str) -> WorkloadState | None:
        return self._state(cell_id) if cell_id in self.running else None

    async def sleep(self, spec: WorkloadSpec) -> bool:
        await self.remove(spec.cell_id)
        return True

    async def remove(self, cell_id: str) -> None:
        self.step("workload.remove.before")
        self.running.pop(cell_id, None)
        self.leaving = [item for item in self.leaving if item.cell_id != cell_id]
        self.step("workload.remove.after")

    async def run_once(self, spec: WorkloadSpec, command: str) -> str:
        self.step("migrate.before")
        if self.broken_migration:
            raise StepFailed(self.broken_migration)
        self.migrated.add(spec.cell_id)
        self.step("migrate.after")
        return 'starting\n{"schema_revision": "conversation=1"}\n'


@dataclass
class MemoryIdentity:
    """``retired`` are the tenants whose users are kept, without a way to log in."""

    store: MemoryStore = field(default_factory=MemoryStore)
    step: Callable[[str], None] = lambda _: None
    tenants: dict[str, tuple[str, Admin]] = field(default_factory=dict)
    retired: dict[str, tuple[str, Admin]] = field(default_factory=dict)
    broken: str = ""

    async def ensure_tenant(self, name: str, tenant_id: str, admin: Admin, max_users: int) -> AdminState:
        self.step("identity.before")
        if self.broken:
            raise errors.Unavailable(self.broken)
        known = self.tenants.setdefault(tenant_id, (name, admin))
        self.step("identity.after")
        return AdminState(known[1].password == admin.password, "the password is another", 1)

    async def remove_tenant(self, tenant_id: str) -> None:
        self.step("identity.remove.before")
        known = self.tenants.pop(tenant_id, None) or self.retired.pop(tenant_id, None)
        if known is not None and not self._may_delete(tenant_id):
            self.retired[tenant_id] = known
        self.step("identity.remove.after")

    def _may_delete(self, tenant_id: str) -> bool:
        tenants = [item for (kind, _), item in self.store.objects.items() if kind == "Tenant"]
        tenant: Any = next(item for item in tenants if item.status.tenant_id == tenant_id)  # type: ignore[attr-defined]
        archived = any(item.type == "Archived" and item.status == "True" for item in tenant.status.conditions)
        policy = tenant.spec.deletion.policy
        return policy == "Delete" or (policy == "Archive" and archived)

    async def service_token(self, name: str, tenant_id: str, scope: str) -> str:
        return "token"


@dataclass
class MemoryKeeper:
    """``kept`` is what each archive holds: the stores and identity then. The first look finds it unfinished."""

    world: World
    kept: dict[str, set[str]] = field(default_factory=dict)
    making: set[str] = field(default_factory=set)
    broken: str = ""

    async def archived(self, tenant: Any) -> Archived | None:
        tenant_id = tenant.status.tenant_id
        if tenant_id not in self.making:
            self.making.add(tenant_id)
            self.world.store.writes += not self.broken  # it is not at rest
            return None
        self.world.hook("archive.before")
        if self.broken:
            raise StoreProblem("archives", self.broken)
        for item in self.world.slices:
            if item.broken:
                raise StoreProblem(item.store, item.broken)
        held = {s.store for s in self.world.slices if any(key[1] == tenant_id for key in s.data)}
        known = tenant_id in self.world.identity.tenants or tenant_id in self.world.identity.retired
        self.kept[tenant_id] = held | ({"identity"} if known else set())
        self.world.hook("archive.after")
        return Archived(f"/archives/{tenant.metadata.name}.tar.gz", 1, "0" * 64)


class MemoryActivity(NoActivity):
    """``busy``: requests do not come to their end."""

    busy = False

    async def parked(self, cell_id: str) -> bool:
        return not self.busy


class World:
    """Reconcilers over memory. ``step`` is called at every effect and may raise Crash."""

    def __init__(self) -> None:
        self.hook: Callable[[str], None] = lambda _: None

        def step(name: str) -> None:
            self.hook(name)

        self.store, self.secrets, self.events = MemoryStore(step), MemorySecrets(step), MemoryEvents()

        stores = (
            ("postgres", True, cell_bundle.POSTGRES),
            ("kafka", True, cell_bundle.KAFKA),
            ("milvus", False, ""),
            ("objects", True, cell_bundle.OBJECTS),
        )
        self.slices = [MemorySlice(name, isolated, step, secret, self._bundle) for name, isolated, secret in stores]
        self.runtime, self.identity = MemoryRuntime(step), MemoryIdentity(self.store, step)
        self.keeper, self.activity = MemoryKeeper(self), MemoryActivity()
        self.now = datetime.now(UTC)
        self.restart()

    async def _bundle(self, cell_id: str) -> dict[str, str]:
        return await self.credentials.of(cell_id)

    def restart(self) -> None:
        """A new operator: nothing is remembered but what is in the stores."""
        self.keeper.making.clear()
        settings = OperatorSettings(
            release="r00000000001",
            router_url="http://router",
            objects_endpoint="http://s3",
            objects_admin_access_key="admin",
            objects_admin_secret_key="secret",
        )
        self.credentials = CellCredentials(self.secrets, lambda: self.now)
        applier = CellApplier(settings, self.store, self.slices, self.credentials, self.runtime, self.activity)
        self.cells = CellReconciler(applier, self.events)
        tenants = TenantApplier(self.store, self.secrets, self.slices, self.identity, self.keeper, 0)
        self.tenants = TenantReconciler(tenants, self.events, self, "http://router")

    def refused(self) -> list[str]:
        """Stores that let a workload not in by what it was told."""
        found = []
        for spec in (*self.runtime.running.values(), *self.runtime.leaving):
            login = urlsplit(spec.config["postgres_dsn"])
            told = {
                "postgres": (login.username, login.password),
                "kafka": (spec.config["kafka_user"], spec.config["kafka_password"]),
                "objects": (spec.config["objects_access_key"], spec.config["objects_secret_key"]),
            }
            known = {item.store: item.accounts for item in self.slices}
            found += [store for store, (user, password) in told.items() if known[store].get(user or "") != password]
        return found

    async def probe(self, name: str, tenant_id: str, cell_id: str, *, patience: float = 0) -> str | None:
        """The routed probe: the cell runs and knows the tenant."""
        known = (cell_id, tenant_id) in self.slices[0].tenants
        return None if cell_id in self.runtime.running and self.runtime.ready and known else "nobody answered"

    async def pass_once(self) -> None:
        """Every object once, in the order of the queue after a resync."""
        for kind, name in sorted(self.store.objects):
            if kind in ("Cell", "Tenant"):
                reconciler = self.cells if kind == "Cell" else self.tenants
                try:
                    await reconciler.reconcile(name)
                except errors.NotFound:
                    continue

    async def settle(self, passes: int = 12) -> int:
        """Passes until nothing is written any more; how many it took."""
        for count in range(passes):
            before = self.store.writes
            await self.pass_once()
            if self.store.writes == before:
                return count
        raise AssertionError("the world does not come to rest")
