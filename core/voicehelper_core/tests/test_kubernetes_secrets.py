"""Secrets in a real API server."""

from __future__ import annotations

import pytest
from voicehelper_core import errors, kubernetes_api
from voicehelper_core.kubernetes_api.kinds import SECRET

pytestmark = pytest.mark.integration


async def test_secrets(api):
    secrets = kubernetes_api.KubernetesSecretStore(api, "default")
    assert await secrets.get("cell-a") is None
    await secrets.put("cell-a", {"one": "1", "two": "zwei ✓"})
    assert await secrets.get("cell-a") == {"one": "1", "two": "zwei ✓"}
    await secrets.put("cell-a", {"two": "2"})
    assert await secrets.get("cell-a") == {"two": "2"}
    assert (await api.get(SECRET, "cell-a", "default"))["metadata"]["labels"][
        "app.kubernetes.io/part-of"
    ] == "voicehelper"
    await secrets.delete("cell-a")
    await secrets.delete("cell-a")
    assert await secrets.get("cell-a") is None


async def test_a_secret_is_replaced_only_as_it_was_read(api):
    secrets = kubernetes_api.KubernetesSecretStore(api, "default")
    assert await secrets.read("shared") == (None, "")
    await secrets.replace("shared", {"one": "1"}, "")
    with pytest.raises(errors.Conflict):
        await secrets.replace("shared", {"one": "another's"}, "")
    data, version = await secrets.read("shared")
    await secrets.replace("shared", {"two": "2"}, version)
    with pytest.raises(errors.Conflict):
        await secrets.replace("shared", {"three": "3"}, version)
    assert (data, await secrets.get("shared")) == ({"one": "1"}, {"two": "2"})
    await secrets.delete("shared")
