"""The adapter's process behind a real API server, with the rights that the chart gives it, and Kubernetes' own
controller of autoscalers as its client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time

import httpx
import pytest
import yaml
from aiohttp import web
from voicehelper_cli.failures import Failure
from voicehelper_core import kubernetes_api
from voicehelper_core.kubernetes_api.kinds import AUTOSCALER
from voicehelper_operator.workloads.interface import Size, WorkloadSpec
from voicehelper_operator.workloads.kubernetes.conform import lacking
from voicehelper_operator.workloads.kubernetes.manifests import autoscaler

from voicehelper_e2e.charts import render

pytestmark = pytest.mark.integration
CELL, NAME = "cmetricsapi1", "metered"
NAMESPACE, CELLS = render.NAMESPACE, f"cell-{CELL}"
ROOT = "/apis/custom.metrics.k8s.io/v1beta2"
ALL = f"{ROOT}/namespaces/{CELLS}/pods/*/http_requests_per_second"
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
LABELS = {"voicehelper.io/cell": CELL, "app.kubernetes.io/component": "web"}
PODS = {"web-1": "127.0.0.2", "web-2": "127.0.0.3", "web-dead": "127.0.0.4"}
PARTS = ("configmap", "deployment", "service", "rbac")


class Cluster:
    """What the tests ask of it."""

    def __init__(self, server, port, folder):
        self.server, self.port, self._folder = server, port, folder

    def apply(self, *manifests, status=False):
        path = self._folder / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(manifests))
        more = ["--subresource=status"] if status else []
        self.server.kubectl("apply", "--server-side", "--force-conflicts", *more, "-f", str(path))

    def raw(self, path, *arguments):
        return json.loads(self.server.kubectl("get", "--raw", path, *arguments))

    async def get(self, path, *arguments):
        """In a thread: the pods answer in this process, and who does not answer is left out."""
        return await asyncio.to_thread(self.raw, path, *arguments)

    async def until(self, condition, seconds=40):
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            with contextlib.suppress(Failure):
                if last := await asyncio.to_thread(condition):
                    return last
            await asyncio.sleep(0.3)
        raise AssertionError(f"not within {seconds} s")

    def direct(self, certificate=None, authority=None):
        """A client that does not go by the API server."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(*(self.server.pki / f"{certificate}.{end}" for end in ("crt", "key")))
        return httpx.AsyncClient(base_url=f"https://127.0.0.1:{self.port}", verify=context, trust_env=False)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def _running(command, log, **more):
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **more)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _installed(server, port):
    """The chart's objects; the Service leads to this machine, since nobody here makes a ClusterIP lead anywhere."""
    shown = [part for name in PARTS for part in ("--show-only", f"templates/metrics-adapter/{name}.yaml")]
    found = render.objects(render.template(render.PLATFORM, "--set", "metricsAdapter.enabled=true", *shown))
    service = render.named(found, "Service", "metrics-adapter")
    service["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    (registered,) = [item for item in found if item["kind"] == "APIService"]
    registered["spec"]["service"]["port"] = port
    return [item for item in found if item["kind"] not in ("Deployment", "PodDisruptionBudget", "ConfigMap")]


def _pod(name, address, *, status):
    found = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": CELLS, "labels": LABELS}}
    if status:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        since = {"startTime": "2026-01-01T00:00:00Z"}
        found["status"] = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [ready],
            **since,
        }
    else:
        resources = {"requests": {"cpu": "100m", "memory": "64Mi"}}
        found["spec"] = {"nodeName": "none", "containers": [{"name": "web", "image": "none", "resources": resources}]}
    return found


def _kubeconfig(server, path):
    """Of the adapter's service account."""
    admin = yaml.safe_load(server.kubeconfig.read_text())
    token = server.kubectl("create", "token", "metrics-adapter", "-n", NAMESPACE).strip()
    admin["users"] = [{"name": "admin", "user": {"token": token}}]
    path.write_text(yaml.safe_dump(admin))


@pytest.fixture(scope="module")
async def pods():
    """Two that count faster and faster, as asked: what each has been asked so far."""
    counted, started, runners = {"web-1": 0.0, "web-2": 0.0}, time.monotonic(), []
    speed = {"web-1": 300.0, "web-2": 500.0}

    async def serve(name, address):
        async def metrics(request):
            total = speed[name] * (time.monotonic() - started)
            return web.Response(
                text=f'http_requests_total{{route="/a/{{id}}"}} {total}\nprocess_start_time_seconds 1\n'
            )

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, address, port).start()
        runners.append(runner)

    port = _free_port()
    for name in counted:
        await serve(name, PODS[name])
    yield port
    for runner in runners:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def cluster(api_server, pods, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("adapter"), _free_port()
    cluster = Cluster(api_server, port, folder)
    cluster.apply(
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (NAMESPACE, CELLS))
    )
    installed = _installed(api_server, port)
    cluster.apply(*installed)
    cell = {"apiVersion": "voicehelper.io/v1alpha1", "kind": "Cell", "metadata": {"name": NAME}}
    cluster.apply({**cell, "spec": {"topology": "expanded"}})
    cluster.apply({**cell, "status": {"cellId": CELL}}, status=True)
    api_server.kubectl("create", "serviceaccount", "default", "-n", CELLS)
    for status in (False, True):
        cluster.apply(*(_pod(name, address, status=status) for name, address in PODS.items()), status=status)
    _kubeconfig(api_server, folder / "kubeconfig")
    config = {
        "kubeconfig": str(folder / "kubeconfig"), "https_host": "127.0.0.1", "https_port": port,
        "http_host": "127.0.0.1", "http_port": _free_port(), "pod_port": pods, "namespace": NAMESPACE,
        "scrape_seconds": 0.5, "window_seconds": 3, "check_seconds": 1,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "voicehelper_operator", "metrics-adapter"]
    environment = {**os.environ, "VOICEHELPER_CONFIG": str(folder / "config.json")}
    with _running(command, folder / "adapter.log", env=environment):
        try:
            await cluster.until(lambda: api_server.kubectl("get", "--raw", ROOT))
            await cluster.until(lambda: len(cluster.raw(ALL)["items"]) == 2)
            yield cluster
        finally:
            print((folder / "adapter.log").read_text()[-4000:])
            for item in installed:
                where = ["-n", item["metadata"]["namespace"]] if "namespace" in item["metadata"] else []
                api_server.kubectl("delete", "--ignore-not-found", item["kind"], item["metadata"]["name"], *where)
            api_server.kubectl("delete", "pods", "--all", "-n", CELLS, "--force", "--grace-period=0")
            api_server.kubectl("delete", "cell", NAME)


async def test_discovery_through_the_aggregator(cluster):
    found = cluster.server.kubectl("get", "apiservice", "v1beta2.custom.metrics.k8s.io", "-o", "json")
    (condition,) = json.loads(found)["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("Available", "True")
    await cluster.until(lambda: "custom.metrics.k8s.io/v1beta2" in cluster.server.kubectl("api-versions"))


async def test_values_through_the_aggregator(cluster):
    found = await cluster.get(ALL, f"--as={HPA}")
    values = {item["describedObject"]["name"]: item["value"] for item in found["items"]}
    assert values.keys() == {"web-1", "web-2"}  # the dead one is left out
    milli = {name: int(value[:-1]) if value.endswith("m") else int(value) * 1000 for name, value in values.items()}
    assert milli["web-1"] == pytest.approx(300_000, rel=0.1)
    assert milli["web-2"] == pytest.approx(500_000, rel=0.1)
    chosen = await cluster.get(f"{ALL}?labelSelector=app.kubernetes.io%2Fcomponent%3Drag")
    assert chosen["items"] == []
    assert len((await cluster.get(ALL.replace("*", "web-1")))["items"]) == 1
    with pytest.raises(Failure, match="NotFound"):
        await cluster.get(ALL.replace("*", "web-dead"))


async def test_strangers_are_refused(cluster):
    with pytest.raises(Failure, match="Forbidden"):
        await cluster.get(ALL, "--as=mallory")
    answers = {}
    for certificate, user in ((None, HPA), ("admin", HPA), ("aggregator", "mallory"), ("aggregator", HPA)):
        async with cluster.direct(certificate) as client:
            headers = {"X-Remote-User": user, "X-Remote-Group": "system:authenticated"}
            answers[certificate, user] = (await client.get(ALL, headers=headers)).status_code
    assert list(answers.values()) == [401, 401, 403, 200]


async def test_a_certificate_of_a_stranger_does_not_get_a_connection(cluster, tmp_path):
    from voicehelper_e2e.cluster.certificates import Authority, Subject

    Authority(tmp_path).issue("aggregator", Subject("aggregator"))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "aggregator.crt", tmp_path / "aggregator.key")
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(f"https://127.0.0.1:{cluster.port}{ALL}", headers={"X-Remote-User": HPA})


async def test_a_new_certificate_is_served_without_a_refusal(cluster):
    """Somebody empties the Secret: another certificate is made, published, and served."""

    def published():
        found = json.loads(cluster.server.kubectl("get", "apiservice", "v1beta2.custom.metrics.k8s.io", "-o", "json"))
        return found["spec"]["caBundle"]

    before = await asyncio.to_thread(published)
    patch = ["patch", "secret", "metrics-adapter-certificate", "-n", NAMESPACE, "--type=merge", "-p", '{"data": null}']
    await asyncio.to_thread(cluster.server.kubectl, *patch)
    await cluster.until(lambda: published() != before)
    await cluster.until(lambda: cluster.raw(ALL)["items"])
    async with cluster.direct("aggregator") as client:
        for _ in range(30):
            headers = {"X-Remote-User": HPA, "Connection": "close"}
            assert (await client.get(ALL, headers=headers)).status_code == 200


async def test_the_controller_of_autoscalers_scales_by_it(cluster, tmp_path):
    """300 and 500 a second, and a third pod of which nobody knows: at 150 a pod six are needed."""
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": CELLS}}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "web", "image": "none"}]}}
    cluster.apply({**deployment, "spec": {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": template}})
    cluster.apply({**deployment, "status": {"replicas": 3}}, status=True)
    wanted = autoscaler.render(WorkloadSpec(CELL, "r1", {}, topology="expanded", size=Size(replicas=3)), "web")
    api = await kubernetes_api.connect(cluster.server.kubeconfig)
    try:
        assert lacking(wanted, await api.apply(wanted, manager="test")) is None
        assert lacking(wanted, await api.get(AUTOSCALER, "web", CELLS)) is None
        wanted["spec"]["metrics"][2]["pods"]["target"]["averageValue"] = "150"
        await api.apply(wanted, manager="test", force=True)
    finally:
        await api.close()
    config = cluster.server.pki / "controllers.kubeconfig"
    command = [
        str(cluster.server.kube), "kube-controller-manager", f"--kubeconfig={config}", "--leader-elect=false",
        f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}", "--secure-port=0",
        f"--service-account-private-key-file={cluster.server.pki / 'accounts.key'}", "--v=1",
        "--use-service-account-credentials=true", "--controllers=horizontal-pod-autoscaler-controller",
        "--horizontal-pod-autoscaler-sync-period=1s",
    ]  # fmt: skip

    def scaled():
        found = json.loads(cluster.server.kubectl("get", "deployment", "web", "-n", CELLS, "-o", "json"))
        return found["spec"]["replicas"] > 3 and found["spec"]["replicas"]

    with _running(command, tmp_path / "controllers.log"):
        try:
            replicas = await cluster.until(scaled, 60)
        finally:
            print(cluster.server.kubectl("describe", "hpa", "web", "-n", CELLS))
            print((tmp_path / "controllers.log").read_text()[-3000:])
    assert replicas == 6
