"""Golden tests: ``golden/<case>/initial.yaml`` comes to rest as ``expected.yaml``.

``UPDATE_GOLDEN=1 pytest`` writes the expected files anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from voicehelper_crds import KINDS

from voicehelper_operator.tests.world import World

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
_ID = re.compile(r"\b[a-z][a-z0-9]{11}(?=\b|_)")


async def _arrange(world: World, documents: list[dict[str, Any]]) -> None:
    """Resources are applied; a document of kind World breaks, empties, annotates or deletes things, in order."""
    for document in documents:
        if document["kind"] != "World":
            await world.store.apply(document)
            continue
        for store, problem in document.get("broken", {}).items():
            next(item for item in world.slices if item.store == store).broken = problem
        world.runtime.broken_migration = document.get("brokenMigration", "")
        world.runtime.ahead = document.get("schemasAhead", [])
        world.identity.broken = document.get("brokenIdentity", "")
        world.keeper.broken = document.get("brokenArchives", "")
        world.runtime.ready = not document.get("silentWorkload", False)
        world.runtime.trouble = document.get("stuckWorkload", "")
        if document.get("settle"):
            await world.settle()
        for item in document.get("annotate", []):
            await world.store.annotate(KINDS[item["kind"]], item["name"], item.get("annotations", {}))
        for store in document.get("emptied", []):
            lost = next(item for item in world.slices if item.store == store)
            lost.cells.clear()
            lost.tenants.clear()
        if document.get("stopped"):
            world.runtime.running.clear()
        for item in document.get("delete", []):
            await world.store.delete(KINDS[item["kind"]], item["name"])


def _shown(world: World) -> dict[str, Any]:
    """Everything that matters, with ids numbered in order of appearance and without times."""
    resources = [
        item.model_dump(mode="json", by_alias=True, exclude_none=True, include={"kind", "metadata", "status"})
        for key, item in sorted(world.store.objects.items())
        if key[0] in ("Cell", "Tenant")
    ]
    for item in resources:
        item["metadata"] = {key: item["metadata"][key] for key in ("name", "finalizers") if item["metadata"].get(key)}
        for condition in item["status"].get("conditions", []):
            condition.pop("lastTransitionTime")
        item["status"].get("credentials", {}).pop("rotatedAt", None)
    state = {
        "resources": resources,
        "slices": {
            item.store: {
                "cells": sorted(item.cells),
                "tenants": sorted(tenant for _, tenant in item.tenants),
                "data": sorted(tenant for _, tenant in item.data),
                "archived": sorted(item.archived),
                "accounts": sorted(item.accounts),
            }
            for item in world.slices
        },
        "running": sorted(world.runtime.running),
        "identity": sorted(name for name, _ in world.identity.tenants.values()),
        "events": [" ".join(event[:3]) for event in world.events.recorded],
    }
    text, numbers = yaml.safe_dump(state, sort_keys=True, width=110), {}
    identifiers = {item.status.cell_id for item in world.store.objects.values() if hasattr(item.status, "cell_id")}
    identifiers |= {getattr(item.status, "tenant_id", None) for item in world.store.objects.values()}
    identifiers |= {found for s in world.slices for found in (*s.cells, *(t for _, t in s.data))}

    def number(match: re.Match[str]) -> str:
        if match[0] not in identifiers:
            return match[0]
        return numbers.setdefault(match[0], f"id{len(numbers) + 1:010d}")

    shown: dict[str, Any] = yaml.safe_load(_ID.sub(number, text))
    for listed in (shown, *shown["slices"].values()):
        for key in set(listed) & {"running", "cells", "tenants", "data", "archived", "accounts"}:
            listed[key] = sorted(listed[key])  # the ids were random when they were sorted first
    return shown


@pytest.mark.parametrize("case", CASES)
async def test_golden(case: str) -> None:
    world = World()
    await _arrange(world, list(yaml.safe_load_all((GOLDEN / case / "initial.yaml").read_text())))
    await world.settle()
    shown, expected = _shown(world), GOLDEN / case / "expected.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(yaml.safe_dump(shown, sort_keys=True, width=110))
    assert shown == yaml.safe_load(expected.read_text())


@pytest.mark.parametrize("case", CASES)
async def test_a_world_at_rest_is_left_alone(case: str) -> None:
    world = World()
    await _arrange(world, list(yaml.safe_load_all((GOLDEN / case / "initial.yaml").read_text())))
    await world.settle()
    writes, made = world.store.writes, [item.writes for item in world.slices]
    world.restart()
    await world.pass_once()
    assert world.store.writes == writes
    assert [item.writes for item in world.slices] == made
