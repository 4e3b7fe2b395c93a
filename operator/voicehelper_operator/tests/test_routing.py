"""Which keys a change concerns."""

from __future__ import annotations

from voicehelper_core.ports import Change
from voicehelper_crds import Cell

from voicehelper_operator.engine.queue import WorkQueue
from voicehelper_operator.routing import Router


def cell(name: str, cell_id: str) -> Change:
    document = {
        "apiVersion": "voicehelper.io/v1alpha1",
        "kind": "Cell",
        "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1},
        "spec": {},
        "status": {"cellId": cell_id},
    }
    return Change("applied", "Cell", name, Cell.model_validate(document))


async def taken(queue: WorkQueue) -> list[str]:
    found = []
    while len(queue):
        found.append(await queue.get())
        queue.done(found[-1])
    return found


async def test_a_changed_workload_concerns_its_own_cell_only() -> None:
    cells, tenants = WorkQueue(), WorkQueue()
    router = Router(cells, tenants)
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
