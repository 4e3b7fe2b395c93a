"""What a cell's pods can really reach: connections are made from inside of them, and every policy is enforced."""

from __future__ import annotations

import json

import pytest

from voicehelper_e2e.cluster.home import HOST_ADDRESS, NODE_ADDRESS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300), pytest.mark.enable_socket]
_TRY = """
import json, socket, sys
def opens(host, port):
    try:
        socket.create_connection((host, port), 3).close()
        return True
    except OSError:
        return False
print(json.dumps([opens(host, port) for host, port in json.loads(sys.argv[1])]))
"""


def opens(people, tenant, *targets):
    """Whether the tenant's cell can open a connection to each."""
    shown = people.installation.kubectl(
        "exec", "-n", people.namespace(tenant), "deployment/cell", "--", "python3.11", "-c", _TRY, json.dumps(targets)
    )
    return dict(zip(targets, json.loads(shown.splitlines()[-1]), strict=True))


def pod_address(people, tenant):
    listed = people.installation.kubectl(
        "get", "pods", "-n", people.namespace(tenant), "-l", "app.kubernetes.io/component=cell", "-o", "json"
    )
    return next(item["status"]["podIP"] for item in json.loads(listed)["items"] if item["status"].get("podIP"))


def test_a_cell_reaches_its_stores_and_nobody_else(people):
    stores = people.installation.stores
    ports = stores.platform.ports
    values = stores.values()
    service = people.installation.get("service", "cell", people.namespace("globex"))["spec"]["clusterIP"]
    allowed = [
        (HOST_ADDRESS, ports["postgres"]), (HOST_ADDRESS, ports["kafka"]), (HOST_ADDRESS, ports["milvus"]),
        (HOST_ADDRESS, values["objects"]["peers"][0]["ports"][0]),
        ("identity.voicehelper-prod.svc.cluster.local", 8080), ("inference.voicehelper-prod.svc.cluster.local", 9090),
        ("analytics.voicehelper-prod.svc.cluster.local", 9090),
    ]  # fmt: skip
    forbidden = [
        (pod_address(people, "globex"), 8080), (pod_address(people, "globex"), 9090), (service, 8080),
        (HOST_ADDRESS, ports["connect"]), (HOST_ADDRESS, ports["kafka-controller"]),
        (NODE_ADDRESS, 6443), ("kubernetes.default.svc.cluster.local", 443), (NODE_ADDRESS, 10250),
        ("router.voicehelper-prod.svc.cluster.local", 80), ("operator.voicehelper-prod.svc.cluster.local", 8080),
        ("analytics.voicehelper-prod.svc.cluster.local", 8080),
    ]  # fmt: skip
    found = opens(people, "acme", *allowed, *forbidden)
    assert {target for target, open_ in found.items() if open_} == set(allowed)


def test_credentials_of_one_cell_open_no_other(people):
    """What the cell of globex was given, used by somebody in the cell of acme."""
    secret = people.installation.get("secret", "voicehelper-cell", people.namespace("globex"))["data"]["config.json"]
    script = """
import asyncio, base64, json, sys
import asyncpg
from obstore.store import S3Store
own = json.load(open("/etc/voicehelper/config.json"))
other = json.loads(base64.b64decode(sys.argv[1]))
async def postgres():
    connection = await asyncpg.connect(own["postgres_dsn"])
    try:
        await connection.execute(f"SET ROLE {other['cell_id']}_conversation_rw")
        return "became the other's role"
    except asyncpg.PostgresError as error:
        return type(error).__name__
def objects():
    from voicehelper_core import names
    store = S3Store(
        names.bucket(other["cell_id"]), endpoint=own["objects_endpoint"], region=own["objects_region"],
        access_key_id=own["objects_access_key"], secret_access_key=own["objects_secret_key"],
        virtual_hosted_style_request=False, client_options={"allow_http": True}, retry_config={"max_retries": 0},
    )
    try:
        return f"listed {len(list(store.list()))}"
    except Exception as error:
        return str(error)
print(json.dumps([asyncio.run(postgres()), objects()]))
"""
    shown = people.installation.kubectl(
        "exec", "-n", people.namespace("acme"), "deployment/cell", "--", "python3.11", "-c", script, secret
    )
    postgres, objects = json.loads(shown.splitlines()[-1])
    assert postgres == "InsufficientPrivilegeError"
    assert "403 Forbidden" in objects


def test_a_pod_has_no_token_and_writes_nowhere(people):
    script = """
import json, os
def writes(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
print(json.dumps([os.path.exists("/var/run/secrets/kubernetes.io"), writes("/opt/x"), writes("/etc/voicehelper/x"),
                  writes("/tmp/x"), os.getuid()]))
"""
    shown = people.installation.kubectl(
        "exec", "-n", people.namespace("acme"), "deployment/cell", "--", "python3.11", "-c", script
    )
    assert json.loads(shown.splitlines()[-1]) == [False, False, False, True, 65532]
