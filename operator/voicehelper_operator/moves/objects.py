"""A tenant's objects in the target: an object is written once below its key, so keys tell what is missing."""

from __future__ import annotations

import hashlib

from voicehelper_core.errors import Unprocessable

from voicehelper_operator.archives.objects import TenantObjects
from voicehelper_operator.moves.ends import Ends


async def bring(objects: TenantObjects, ends: Ends, *, below: str = "") -> int:
    """Copy what is missing and remove what is too much, below a prefix; how many were."""
    there = {key async for key in objects.keys(ends.source, ends.tenant_id, below)}
    here = {key async for key in objects.keys(ends.target, ends.tenant_id, below)}
    count = 0
    for key in sorted(there - here):
        content = await _read(objects, ends.source, ends.tenant_id, key)
        if content is None:
            continue  # removed meanwhile: the next round sees it
        await objects.put(ends.target, ends.tenant_id, key, content)
        count += 1
    for key in here - there:
        await objects.remove(ends.target, ends.tenant_id, key)
    return count + len(here - there)


async def compare(objects: TenantObjects, ends: Ends, *, below: str = "") -> int:
    """Compare all objects below a prefix byte by byte; how many there are. Raises Unprocessable."""
    count = 0
    async for key in objects.keys(ends.source, ends.tenant_id, below):
        mine, other = [await _digest(objects, cell, ends.tenant_id, key) for cell in (ends.source, ends.target)]
        if mine is None:
            continue  # removed meanwhile
        if mine != other:
            raise Unprocessable(f"objects: {key} is {'missing' if other is None else 'another'} in the target")
        count += 1
    return count


async def _read(objects: TenantObjects, cell_id: str, tenant_id: str, key: str) -> bytes | None:
    found = await objects.get(cell_id, tenant_id, key)
    return None if found is None else b"".join([chunk async for chunk in found[1]])


async def _digest(objects: TenantObjects, cell_id: str, tenant_id: str, key: str) -> bytes | None:
    found = await objects.get(cell_id, tenant_id, key)
    if found is None:
        return None
    digest = hashlib.sha256()
    async for chunk in found[1]:
        digest.update(chunk)
    return digest.digest()
