"""Vault's adapters on the wire, against a stand-in; there is no Vault here."""

from __future__ import annotations

import asyncio
import time

import pytest
from voicehelper_core import errors
from voicehelper_core.tests.vault_server import VaultServer as StandIn
from voicehelper_core.vault import Reader, VaultAccess, VaultConnection, VaultSecretStore, VaultServer
from voicehelper_core.vault.secrets import path_of
from voicehelper_e2e.cluster.certificates import Authority, Subject

CELL, TENANT = "cabcdefghij1", "tabcdefghij1"
READER = Reader(f"cell-{CELL}", f"cell-{CELL}", "voicehelper-cell", (f"cells/{CELL}/workload",))


def sent(server, since=0):
    return [(request.method, request.path, request.body) for request in server.requests[since:]]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (f"cell-{CELL}", f"cells/{CELL}"),
        (f"cell-{CELL}-certificates", f"cells/{CELL}/certificates"),
        (f"tenant-{TENANT}-admin", f"tenants/{TENANT}/admin"),
        ("signing-key", "platform/signing-key"),
        ("cell-short", "platform/cell-short"),
        ("cell-1bcdefghij12", "platform/cell-1bcdefghij12"),
    ],
)
def test_paths(name, path):
    assert path_of(name) == path


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", ".hidden", "a..b", "a\0", "a\n", "-a"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="not the name"):
        path_of(name)


async def test_what_goes_over_the_wire(vault_store, vault_server):
    name, path = f"cell-{CELL}", f"cells/{CELL}"
    assert await vault_store.get(name) is None
    await vault_store.put(name, {"a": "1"})
    assert await vault_store.get(name) == {"a": "1"}
    await vault_store.put(name, {"a": "2"})
    await vault_store.delete(name)
    login = {"role": "voicehelper-operator", "jwt": "voicehelper-prod/operator"}
    assert sent(vault_server) == [
        ("POST", "/v1/auth/kubernetes/login", login),
        ("GET", f"/v1/secret/data/{path}", None),
        ("POST", f"/v1/secret/data/{path}", {"options": {"cas": 0}, "data": {"a": "1"}}),
        ("GET", f"/v1/secret/data/{path}", None),
        ("POST", f"/v1/secret/data/{path}", {"options": {"cas": 1}, "data": {"a": "2"}}),
        ("DELETE", f"/v1/secret/metadata/{path}", None),
    ]
    tokens = [request.token for request in vault_server.requests]
    assert tokens == [None, *["hvs.1"] * 5]
    assert {request.namespace for request in vault_server.requests} == {None}


async def test_a_writer_that_does_not_know_of_the_other_is_refused(connection):
    one, other = VaultSecretStore(connection), VaultSecretStore(connection)
    assert await one.get("platform") is None
    assert await other.get("platform") is None
    await one.put("platform", {"by": "one"})
    with pytest.raises(errors.Conflict, match="somebody else has written"):
        await other.put("platform", {"by": "other"})
    assert await other.get("platform") == {"by": "one"}
    await other.put("platform", {"by": "other"})
    await one.get("platform")
    await other.put("platform", {"by": "other again"})
    with pytest.raises(errors.Conflict):
        await one.put("platform", {"by": "one"})


async def test_what_somebody_deleted_by_hand_is_none_and_can_be_written_again(vault_store, vault_server):
    await vault_store.put("platform", {"a": "1"})
    vault_server.secrets["platform/platform"].versions[-1] = None
    assert await vault_store.get("platform") is None
    await vault_store.put("platform", {"a": "2"})
    assert await vault_store.get("platform") == {"a": "2"}


async def test_all_of_a_tenant_goes_and_nothing_of_another(vault_store, vault_server):
    for name in (f"tenant-{TENANT}-admin", f"tenant-{TENANT}-key", "tenant-tabcdefghij2-admin"):
        await vault_store.put(name, {"a": "1"})
    await vault_store.delete_of_tenant(TENANT)
    await vault_store.delete_of_tenant(TENANT)
    assert list(vault_server.secrets) == ["tenants/tabcdefghij2/admin"]


async def test_strings_only(vault_store):
    with pytest.raises(TypeError):
        await vault_store.put("platform", {"a": object()})


async def test_the_next_login_comes_before_the_lease_ends(vault_store, vault_server):
    vault_server.roles["voicehelper-operator"]["token_ttl"] = 0.6
    await vault_store.get("platform")
    await vault_store.get("platform")
    assert vault_server.logins == 1
    await asyncio.sleep(0.45)
    await vault_store.get("platform")
    assert vault_server.logins == 2
    assert [code for code in sent(vault_server) if "login" in code[1]] == [sent(vault_server)[0]] * 2


async def test_a_refused_token_is_replaced_once_by_all(vault_store, vault_server):
    await vault_store.get("platform")
    vault_server.expire()
    await asyncio.gather(*(vault_store.get(f"platform-{number}") for number in range(8)))
    assert vault_server.logins == 2


async def test_a_right_that_is_missing_is_told(vault_store, vault_server):
    vault_server.policies["voicehelper-operator"] = 'path "secret/data/*" { capabilities = ["read"] }'
    with pytest.raises(errors.PermissionDenied, match="forbids POST secret/data/platform/platform: 1 error occurred"):
        await vault_store.put("platform", {"a": "1"})


async def test_a_service_account_that_nobody_knows(vault_store, connection, vault_server):
    connection.server.token_file.write_text("elsewhere/operator")
    with pytest.raises(errors.PermissionDenied, match="service account name not authorized"):
        await vault_store.get("platform")
    vault_server.roles.clear()
    with pytest.raises(errors.PermissionDenied, match="invalid role name"):
        await vault_store.get("platform")


@pytest.mark.parametrize(("trouble", "said"), [("sealed", "Vault is sealed"), ("limited", "rate limit quota exceeded")])
async def test_trouble_that_passes(vault_store, vault_server, trouble, said):
    await vault_store.put("platform", {"a": "1"})
    setattr(vault_server, trouble, True)
    for call in (vault_store.get("platform"), vault_store.put("platform", {}), vault_store.delete("platform")):
        with pytest.raises(errors.Unavailable, match=said):
            await call
    setattr(vault_server, trouble, False)
    assert await vault_store.get("platform") == {"a": "1"}


async def test_nobody_answers(tmp_path):
    server = StandIn()
    server.stop()
    (tmp_path / "token").write_text("voicehelper-prod/operator")
    connection = VaultConnection(VaultServer(server.address, "voicehelper-operator", tmp_path / "token"))
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await VaultSecretStore(connection).get("platform")
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await connection.check()
    await connection.close()


async def test_without_a_token_file(tmp_path, vault_server):
    connection = VaultConnection(VaultServer(vault_server.address, "voicehelper-operator", tmp_path / "none"))
    with pytest.raises(errors.Unavailable, match="FileNotFoundError"):
        await VaultSecretStore(connection).get("platform")
    await connection.close()


async def test_tls_and_a_namespace(tmp_path):
    for folder in ("right", "wrong"):
        Authority(tmp_path / folder).issue("vault", Subject("vault", hosts=("127.0.0.1",)))
    (tmp_path / "token").write_text("voicehelper-prod/operator")
    pair = tmp_path / "right" / "vault.crt", tmp_path / "right" / "vault.key"
    server = StandIn(namespace="team/a", tls=pair)
    try:
        for folder, namespace, problem in (
            ("right", "team/a", None),
            ("right", "", errors.PermissionDenied),
            ("wrong", "team/a", errors.Unavailable),
        ):
            where = VaultServer(
                server.address, "voicehelper-operator", tmp_path / "token", str(tmp_path / folder / "ca.crt"), namespace
            )
            connection = VaultConnection(where)
            if problem is None:
                assert await VaultSecretStore(connection).get("platform") is None
            else:
                with pytest.raises(problem):
                    await VaultSecretStore(connection).get("platform")
            await connection.close()
        assert [request.namespace for request in server.requests] == ["team/a", "team/a", None]
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("version", "fits"), [("1.15.0", 1), ("1.15.6+ent", 1), ("2.0.1", 1), ("1.14.10", 0), ("0.9", 0)]
)
async def test_the_version_is_checked(connection, vault_server, version, fits):
    vault_server.version = version
    if fits:
        await connection.check()
    else:
        with pytest.raises(errors.InvalidArgument, match=r"1\.15 or newer"):
            await connection.check()


async def test_a_sealed_vault_is_waited_for(connection, vault_server):
    vault_server.sealed = True
    with pytest.raises(errors.Unavailable, match="sealed"):
        await connection.check()


async def test_access_of_a_cell(connection, vault_server):
    access = VaultAccess(connection)
    assert await access.ensure(READER) == [f"policy cell-{CELL}", f"role cell-{CELL}"]
    before = len(vault_server.requests)
    assert await access.ensure(READER) == []
    assert {request.method for request in vault_server.requests[before:]} == {"GET"}
    puts = [request for request in vault_server.requests if request.method in ("PUT", "POST")][1:]
    rule = f'path "secret/data/cells/{CELL}/workload" {{\n  capabilities = ["read"]\n}}\n'
    text = f"# Kept by the operator of VoiceHelper.\n{rule}"
    assert [(request.method, request.path, request.body) for request in puts] == [
        ("PUT", f"/v1/sys/policies/acl/cell-{CELL}", {"policy": text}),
        (
            "POST",
            f"/v1/auth/kubernetes/role/cell-{CELL}",
            {
                "bound_service_account_names": ["voicehelper-cell"],
                "bound_service_account_namespaces": [f"cell-{CELL}"],
                "token_policies": [f"cell-{CELL}"],
                "token_ttl": 3600,
            },
        ),
    ]


async def test_access_that_somebody_changed_is_made_as_it_was(connection, vault_server):
    access = VaultAccess(connection)
    await access.ensure(READER)
    vault_server.policies[READER.name] = 'path "secret/*" { capabilities = ["read"] }'
    vault_server.roles[READER.name]["bound_service_account_namespaces"] = ["*"]
    assert await access.ensure(READER) == [f"policy cell-{CELL}", f"role cell-{CELL}"]
    assert await access.missing(READER) == []


async def test_a_cell_reads_its_own_and_nothing_else(connection, vault_server, tmp_path):
    store = VaultSecretStore(connection)
    for name in (f"cell-{CELL}", f"cell-{CELL}-workload", "cell-cabcdefghij2-workload", f"tenant-{TENANT}-admin"):
        await store.put(name, {"of": name})
    await VaultAccess(connection).ensure(READER)
    (tmp_path / "cell").write_text(f"cell-{CELL}/voicehelper-cell")
    cell = VaultConnection(VaultServer(vault_server.address, READER.name, tmp_path / "cell"))
    own = VaultSecretStore(cell)
    assert await own.get(f"cell-{CELL}-workload") == {"of": f"cell-{CELL}-workload"}
    for name in (f"cell-{CELL}", "cell-cabcdefghij2-workload", f"tenant-{TENANT}-admin"):
        with pytest.raises(errors.PermissionDenied):
            await own.get(name)
    with pytest.raises(errors.PermissionDenied):
        await own.put(f"cell-{CELL}-workload", {})
    await VaultAccess(connection).remove(READER)
    await VaultAccess(connection).remove(READER)
    with pytest.raises(errors.PermissionDenied):
        await own.get(f"cell-{CELL}-workload")
    await cell.close()


async def test_a_slow_vault_holds_up_nobody_else(connection, vault_server):
    store = VaultSecretStore(connection)
    answer = vault_server.answer

    def slow(request):
        time.sleep(0.3)
        return answer(request)

    vault_server.answer = slow
    asking = asyncio.create_task(store.get("platform"))
    started = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - started < 0.2
    assert await asking is None
