"""Secrets in files: private, whole, and only under their names."""

from __future__ import annotations

import asyncio
import stat

import pytest
from voicehelper_core.embedded_secrets import FileSecretStore


@pytest.fixture
def store(tmp_path):
    return FileSecretStore(tmp_path / "secrets")


async def test_round_trip(store):
    assert await store.get("platform") is None
    await store.put("platform", {"password": "pä$$", "dsn": "x"})
    assert await store.get("platform") == {"password": "pä$$", "dsn": "x"}
    await store.put("platform", {"other": "y"})
    assert await store.get("platform") == {"other": "y"}
    await store.delete("platform")
    await store.delete("platform")
    assert await store.get("platform") is None


async def test_only_the_owner_can_read(store, tmp_path):
    await store.put("cell-abc", {"a": "b"})
    folder = tmp_path / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_writers_at_once_leave_one_whole_bundle(store, tmp_path):
    bundles = [{"value": str(number) * 5000} for number in range(8)]
    await asyncio.gather(*(store.put("one", bundle) for bundle in bundles))
    assert await store.get("one") in bundles
    assert len(list((tmp_path / "secrets").iterdir())) == 1


async def test_a_failed_write_leaves_the_old_bundle(store, tmp_path):
    await store.put("one", {"a": "b"})
    with pytest.raises(TypeError):
        await store.put("one", {"a": object()})
    assert await store.get("one") == {"a": "b"}
    assert len(list((tmp_path / "secrets").iterdir())) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", ".hidden", "a..b", "a\0", "a\n", "-a"])
async def test_other_names_are_refused(store, name):
    for call in (store.get(name), store.put(name, {}), store.delete(name)):
        with pytest.raises(ValueError, match="not the name"):
            await call
