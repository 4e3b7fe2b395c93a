"""Which keys a change concerns."""

from __future__ import annotations

from voicehelper_core.ports import Change
from voicehelper_crds import Cell, Tenant

from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.routing import Router


def cell(name: str, cell_id: str, **status: object) -> Change:
    document = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Cell",
        "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1},
        "spec": {},
        "status": {"cellId": cell_id, **status},
    }
    return Change("applied", "Cell", name, Cell.model_validate(document))


def tenant(name: str, home: str | None) -> Change:
    document = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1},
        "spec": {"planRef": "basic", "admin": {"email": "admin@example.com"}},
        "status": {"cell": home},
    }
    return Change("applied", "Tenant", name, Tenant.model_validate(document))


async def taken(queue: WorkQueue) -> list[str]:
    found = []
    while len(queue):
        found.append(await queue.get())
        queue.done(found[-1])
    return found


async def test_a_changed_workload_concerns_its_own_cell_only() -> None:
    cells, tenants = WorkQueue(), WorkQueue()
    router = Router(cells, tenants, WorkQueue(), WorkQueue())
    for name, cell_id in (("one", "cone00000001"), ("two", "ctwo00000001")):
        router.route(cell(name, cell_id))
    await taken(cells)
    router.workload_changed("cell-ctwo00000001")
    assert await taken(cells) == ["two"]
    router.workload_changed("cell-cstrange0001")
    assert await taken(cells) == []
    router.route(Change("deleted", "Cell", "two", None))
    router.workload_changed("cell-ctwo00000001")
    assert await taken(cells) == []


async def test_tenants_hear_of_what_their_cell_offers_and_not_of_each_other() -> None:
    cells, tenants = WorkQueue(), WorkQueue()
    router = Router(cells, tenants, WorkQueue(), WorkQueue())
    router.route(cell("one", "cone00000001"))
    router.route(tenant("acme", "one"))
    router.route(tenant("globex", "two"))
    router.route(tenant("homeless", None))
    await taken(tenants)
    router.route(cell("one", "cone00000001", tenants=7))
    assert await taken(tenants) == ["homeless"]
    router.route(cell("one", "cone00000001", tenants=7, release="2"))
    assert set(await taken(tenants)) == {"acme", "homeless"}
    router.route(Change("deleted", "Cell", "one", None))
    assert set(await taken(tenants)) == {"acme", "homeless"}


async def test_a_request_for_new_passwords_concerns_the_cell_and_their_rotation_no_tenant() -> None:
    cells, tenants = WorkQueue(), WorkQueue()
    router = Router(cells, tenants, WorkQueue(), WorkQueue())
    router.route(cell("one", "cone00000001"))
    router.route(tenant("acme", "one"))
    await taken(cells)
    await taken(tenants)
    change = cell("one", "cone00000001")
    assert change.resource is not None
    change.resource.metadata.annotations["voicehelper.io/rotate-credentials"] = "now"
    router.route(change)
    assert await taken(cells) == ["one"]
    router.route(change)
    assert await taken(cells) == []
    told = cell("one", "cone00000001", credentials={"account": "a", "rotation": "Opening"})
    assert told.resource is not None
    told.resource.metadata.annotations.update(change.resource.metadata.annotations)
    router.route(told)
    assert await taken(cells) == []
    assert await taken(tenants) == []
