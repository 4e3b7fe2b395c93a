"""A tenant's objects in a folder: nothing that a cell places there leads the operator elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from voicehelper_core.errors import Unprocessable

from voicehelper_operator.archives.objects import FolderObjects

CELL, TENANT = "c00000000001", "t00000000001"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("a platform's secret")
    (tmp_path / "objects" / CELL / TENANT / "documents" / "d").mkdir(parents=True)
    return tmp_path


async def held(home: Path) -> dict[str, bytes]:
    store, found = FolderObjects(str(home / "objects")), {}
    async for key in store.keys(CELL, TENANT):
        opened = await store.get(CELL, TENANT, key)
        assert opened is not None
        size, chunks = opened
        found[key] = b"".join([chunk async for chunk in chunks])
        assert len(found[key]) == size
    return found


async def test_what_was_put_is_found(home: Path) -> None:
    store = FolderObjects(str(home / "objects"))
    large = os.urandom(3 * 2**20)
    for key, content in {"documents/d/1": b"one", "documents/e/2": large, "deep/er/still/x": b""}.items():
        await store.put(CELL, TENANT, key, b"before")
        await store.put(CELL, TENANT, key, content)
    assert await held(home) == {"documents/d/1": b"one", "documents/e/2": large, "deep/er/still/x": b""}
    await store.clear(CELL, TENANT)
    assert await held(home) == {}
    assert [key async for key in store.keys("c00000000009", TENANT)] == []


async def test_links_are_not_followed(home: Path) -> None:
    folder = home / "objects" / CELL / TENANT / "documents"
    (folder / "d" / "1").symlink_to(home / "secret")
    (folder / "e").symlink_to(home)
    os.mkfifo(folder / "d" / "2")
    assert await held(home) == {}
    store = FolderObjects(str(home / "objects"))
    with pytest.raises(OSError):
        await store.get(CELL, TENANT, "documents/d/1")
    assert await store.get(CELL, TENANT, "documents/d/2") is None
    await store.put(CELL, TENANT, "documents/d/1", b"ours")
    assert (home / "secret").read_text() == "a platform's secret"
    with pytest.raises(OSError):
        await store.put(CELL, TENANT, "documents/e/secret", b"ours")
    assert (home / "secret").read_text() == "a platform's secret"


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "a//b", ".", "a/..", "a\0b"])
async def test_keys_that_lead_elsewhere_are_refused(home: Path, key: str) -> None:
    with pytest.raises(Unprocessable):
        await FolderObjects(str(home / "objects")).put(CELL, TENANT, key, b"x")
    assert sorted(path.name for path in home.iterdir()) == ["objects", "secret"]
