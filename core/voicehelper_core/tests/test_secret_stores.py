"""What every ``SecretStore`` does: files, Kubernetes and Vault."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from voicehelper_core.embedded_secrets import FileSecretStore
from voicehelper_core.errors import Conflict
from voicehelper_core.kubernetes_api import KubernetesSecretStore

STORES = ("files", "vault", pytest.param("kubernetes", marks=pytest.mark.integration))


@pytest.fixture
def files(tmp_path):
    return FileSecretStore(tmp_path / "secrets")


@pytest.fixture
def vault(vault_store):
    return vault_store


@pytest.fixture
def kubernetes(api):
    return KubernetesSecretStore(api, "default")


@pytest.fixture(params=STORES)
def store(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def name():
    return f"cell-c{uuid.uuid4().hex[:11]}"


async def test_round_trip(store, name):
    assert await store.get(name) is None
    await store.put(name, {"password": "pä$$ \"'\n", "dsn": "x", "empty": ""})
    assert await store.get(name) == {"password": "pä$$ \"'\n", "dsn": "x", "empty": ""}
    await store.put(name, {"other": "y"})
    assert await store.get(name) == {"other": "y"}


async def test_deletion_is_final_and_repeated_without_an_error(store, name):
    await store.put(name, {"a": "1"})
    await store.delete(name)
    await store.delete(name)
    assert await store.get(name) is None
    await store.put(name, {"a": "2"})
    assert await store.get(name) == {"a": "2"}
    await store.delete(name)


async def test_names_do_not_meet(store, name):
    others = (f"{name}-certificates", name.replace("cell-", "tenant-") + "-admin", "platform-x")
    for number, other in enumerate((name, *others)):
        await store.put(other, {"number": str(number)})
    await store.delete(name)
    assert [(await store.get(other))["number"] for other in others] == ["1", "2", "3"]
    for other in others:
        await store.delete(other)


async def test_writers_at_once_leave_one_whole_bundle(store, name):
    bundles = [{"value": str(number) * 500} for number in range(8)]
    results = await asyncio.gather(*(store.put(name, bundle) for bundle in bundles), return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), Conflict}
    assert None in results
    assert await store.get(name) in bundles
    await store.delete(name)
