"""Processes with the very configuration that the chart renders, as the accounts that it makes; no stores are there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from voicehelper_cli.failures import Failure
from voicehelper_e2e.charts import render
from voicehelper_e2e.charts.tests.conftest import Cluster
from voicehelper_router.tests.harness import free_port

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def serving(cluster: Cluster, component: str, module: str, folder: Path, **secret: object) -> AsyncIterator[str]:
    """Its address. The second file stands for the Secret's; the pod's folders become those of the test."""
    rendered = render.objects(render.template(render.PLATFORM, *render.arguments("small")))
    config = render.named(rendered, "ConfigMap", component)["data"]["config.json"]
    port = free_port()
    own = {
        "http_port": port,
        "http_host": "127.0.0.1",
        "kubeconfig": str(cluster.account_kubeconfig(component)),
        **secret,
    }
    (folder / "config.json").write_text(
        config.replace("/var/lib/voicehelper", str(folder)).replace("/run/", f"{folder}/")
    )
    (folder / "secret.json").write_text(json.dumps(own))
    (folder / "voicehelper").mkdir()
    files = os.pathsep.join(str(folder / name) for name in ("config.json", "secret.json"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "VOICEHELPER_CONFIG": files}
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, "serve", env=environment, stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
        assert process.returncode is None, (folder / "log").read_text()[-3000:]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        assert await asyncio.wait_for(process.wait(), timeout=30) == 0, (folder / "log").read_text()[-3000:]


async def answer(url: str, status: int, said: str) -> None:
    """Wait for it."""
    last = ""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(240):
            with contextlib.suppress(httpx.HTTPError):
                found = await client.get(f"{url}/readyz")
                last = f"{found.status_code} {found.text}"
                if found.status_code == status and said in found.text:
                    return
            await asyncio.sleep(0.25)
    raise AssertionError(last or "no answer")


@pytest.fixture
def unasked(installed: Cluster) -> Iterator[None]:
    """Nobody is asked when the operator has gone: other tests change our resources."""
    yield
    what = ("validatingwebhookconfiguration", "voicehelper-operator", "--type=merge", "-p", '{"webhooks": []}')
    installed.kubectl("patch", *what)


async def test_the_operator_is_ready_holds_its_lease_and_is_asked(
    installed: Cluster, unasked: None, tmp_path: Path
) -> None:
    port = free_port()
    secret = {
        "postgres_admin_dsn": "postgresql://nobody@127.0.0.1:1/nothing",
        "provisioning_key": "key",
        "webhook": {"host": "127.0.0.1", "port": port, "url": f"https://127.0.0.1:{port}"},
    }
    async with serving(installed, "operator", "voicehelper_operator", tmp_path, **secret) as url:
        await answer(url, 200, "ready")
        plan = installed.kubectl("get", "tenantplan", "team", "-o", "json")
        broken = tmp_path / "tenant.json"
        made = {"apiVersion": json.loads(plan)["apiVersion"], "kind": "Tenant", "metadata": {"name": "t"}}
        broken.write_text(json.dumps(made | {"spec": {"planRef": "none", "admin": {"email": "a@b.example"}}}))
        said = ""
        for _ in range(50):
            try:
                await asyncio.to_thread(installed.kubectl, "create", "--dry-run=server", "-f", str(broken))
            except Failure as failure:
                said = str(failure)
                if "there is no TenantPlan 'none'" in said:
                    break
            await asyncio.sleep(0.2)
        assert "there is no TenantPlan 'none': apply it first, or name another one (enterprise, team)" in said
        installed.kubectl("-n", render.NAMESPACE, "wait", "--for=create", "lease/operator", "--timeout=30s")
        async with httpx.AsyncClient(trust_env=False) as client:
            asked = (await client.get(f"{url}/metrics")).text
        assert 'kubernetes_requests_total{code="200",kind="Cell",verb="list"}' in asked
        assert 'code="403"' not in asked


async def test_the_router_knows_its_routes_and_waits_for_the_keys(installed: Cluster, tmp_path: Path) -> None:
    secret = {"jwks_source_url": "http://127.0.0.1:1/keys"}
    async with serving(installed, "router", "voicehelper_router", tmp_path, **secret) as url:
        await answer(url, 503, "keys")
